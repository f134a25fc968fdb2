// SPDX-License-Identifier: Apache-2.0
// Builds fast-cni: the TypeScript becomes one script (esbuild), the script bytecode (QuickJS), and the bytecode part of
// a statically linked executable (cargo). It runs on any distribution and starts in less time than a Go plugin.
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { build, version as esbuildVersion } from 'esbuild';
import type { Plugin } from 'esbuild';
import { ajvOptions, schemas } from '../src/cni/validators.ts';
import { buildFolder, cached, cacheFolder, hashOf, root, run, say, step } from './steps.ts';

const target = 'x86_64-unknown-linux-gnu';
const host = join(root, 'src/cni/host');

/** Puts code in place of src/cni/validators.ts, so that the compiler of schemas is not on board. */
const compiledSchemas: Plugin = {
  name: 'compiled-schemas',
  setup(bundler) {
    bundler.onLoad({ filter: /\/src\/cni\/validators\.ts$/ }, () => {
      const ajv = new Ajv({ ...ajvOptions, code: { source: true, esm: true } });
      for (const [name, schema] of Object.entries(schemas)) ajv.addSchema(schema, name);
      const names = Object.fromEntries(Object.keys(schemas).map((name) => [name, name]));
      return { contents: standalone.default(ajv, names), loader: 'js', resolveDir: root };
    });
  },
};

async function bundle(outfile: string): Promise<void> {
  await build({
    entryPoints: [join(root, 'src/cni/main.ts')],
    outfile,
    bundle: true,
    minify: true,
    platform: 'neutral',
    format: 'esm',
    target: 'es2023',
    plugins: [compiledSchemas],
    legalComments: 'none',
    logLevel: 'warning',
  });
}

/** Builds one of the two programs of the host's crate and returns its path. They share all that is compiled. */
async function cargo(binary: 'compile' | 'fast-cni', bytecode: string): Promise<string> {
  const folder = join(cacheFolder(), 'cargo');
  const env = {
    CARGO_TARGET_DIR: folder,
    // One static file: no libc of the node's is asked for.
    RUSTFLAGS: '-C target-feature=+crt-static -C relocation-model=static',
    FAST_CNI_BYTECODE: bytecode,
  };
  await run('cargo', ['build', '--release', '--locked', '--target', target, '--bin', binary], { cwd: host, env });
  return join(folder, target, 'release', binary);
}

/** Makes build/fast-cni, unless it is current. About 50 s on a cold cache, then 10. */
export async function buildCni(): Promise<void> {
  const output = join(buildFolder, 'fast-cni');
  const sources = ['src/cni', 'src/protocol', 'src/api/names.ts', 'scripts/build-cni.ts', 'package-lock.json'];
  const rustVersion = await run('rustc', ['--version']);
  const hash = hashOf(
    sources.map((path) => join(root, path)),
    esbuildVersion,
    rustVersion,
  );
  await mkdir(buildFolder, { recursive: true });
  await cached(output, hash, async () => {
    let now = 'bundling';
    const made = await step(
      'fast-cni',
      async () => {
        const script = join(buildFolder, 'fast-cni.js');
        const bytecode = join(buildFolder, 'fast-cni.bytecode');
        await bundle(script);
        now = 'compiling QuickJS and its host';
        await run(await cargo('compile', bytecode), [script, bytecode]);
        now = 'linking the bytecode into the executable';
        return cargo('fast-cni', bytecode);
      },
      () => now,
    );
    // By rename, so that nobody ever runs half of it.
    await copyFile(made, `${output}.partial`);
    await rename(`${output}.partial`, output);
    say(`  ${output}, ${(readFileSync(output).length / 1e6).toFixed(1)} MB`);
  });
}

if (import.meta.main) {
  try {
    await buildCni();
  } catch (error) {
    say(`fast: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
