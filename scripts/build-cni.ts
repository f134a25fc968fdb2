// SPDX-License-Identifier: Apache-2.0
// Builds fast-cni: the TypeScript becomes one script (esbuild), the script bytecode (QuickJS), and the bytecode part of
// a statically linked executable (cargo). It runs on any distribution and starts in less time than a Go plugin.
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import standalone from 'ajv/dist/standalone/index.js';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import { ajvOptions, schemas } from '../src/cni/validators.ts';
import { cached, type Made } from './cached.ts';
import { buildFolder, cacheFolder, hashOf, root, run, say, StepFailed, step } from './steps.ts';

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

/** The one script. It takes a tenth of a second, so it is made each time, and is then the whole of what Rust is given. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'src/cni/main.ts')],
    write: false,
    bundle: true,
    minify: true,
    platform: 'neutral',
    format: 'esm',
    target: 'es2023',
    plugins: [compiledSchemas],
    legalComments: 'none',
    logLevel: 'warning',
  });
  return outputFiles.map((file) => file.text).join('');
}

// One static file: no libc of the node's is asked for.
const rustFlags = '-C target-feature=+crt-static -C relocation-model=static';

/** Builds one of the two programs of the host's crate and returns its path. They share all that is compiled. */
async function cargo(binary: 'compile' | 'fast-cni', bytecode: string): Promise<string> {
  const folder = join(cacheFolder(), 'cargo');
  const env = { CARGO_TARGET_DIR: folder, RUSTFLAGS: rustFlags, FAST_CNI_BYTECODE: bytecode };
  await run('cargo', ['build', '--release', '--locked', '--target', target, '--bin', binary], { cwd: host, env });
  return join(folder, target, 'release', binary);
}

async function make(text: string, output: string): Promise<void> {
  let now = 'compiling QuickJS and its host';
  const work = async (): Promise<void> => {
    const script = join(buildFolder, 'fast-cni.js');
    const bytecode = join(buildFolder, 'fast-cni.bytecode');
    await writeFile(script, text);
    await run(await cargo('compile', bytecode), [script, bytecode]);
    now = 'linking the bytecode into the executable';
    await copyFile(await cargo('fast-cni', bytecode), output);
    if (!readFileSync(output).includes(readFileSync(bytecode))) {
      throw new StepFailed('a build of another checkout put its fast-cni where cargo leaves ours; try again');
    }
  };
  await step('fast-cni, by cargo', work, () => now);
  say(`  ${(readFileSync(output).length / 1e6).toFixed(1)} MB`);
}

/** Makes build/fast-cni, unless it is current. About 50 s on a cold cache, then 10. */
export async function buildCni(): Promise<Made> {
  await mkdir(buildFolder, { recursive: true });
  const versions = await Promise.all(['rustc', 'cargo'].map((program) => run(program, ['--version'])));
  const script = await bundle();
  return await cached(join(buildFolder, 'fast-cni'), {
    // Cargo.lock names the content of all crates.
    inputs: () => hashOf([host], script, rustFlags, target, ...versions),
    make: (path) => make(script, path),
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
