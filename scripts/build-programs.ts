// SPDX-License-Identifier: Apache-2.0
// Bundles each program that runs under Node into one file for its image. koffi stays outside: it holds a native library.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build, type Plugin, version as esbuildVersion } from 'esbuild';
import { cached, type Made } from './cached.ts';
import { buildFolder, hashOf, root, step } from './steps.ts';

const programs = {
  controller: 'src/operator/main.ts',
  agent: 'src/node/main.ts',
  'fast-ctl': 'src/cli/main.ts',
};

/** What undici, the HTTP client, asks for; before it says so by an error of its own. */
const leastNode = '22.19';
const checkOf = (least: string): string => `const [fastMajor, fastMinor] = process.versions.node.split('.').map(Number);
if (fastMajor * 1000 + fastMinor < ${least.replace('.', ' * 1000 + ')}) {
  const ours = require('node:url').fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url));
  const cure = require('node:fs').existsSync(ours) ? '; run it by ' + ours : '';
  console.error('this needs Node ${least} or newer, and here is ' + process.version + cure);
  process.exit(1);
}`;

/** CommonJS parts of the bundle call `require`, which an ES module does not have. */
const banner =
  "import { createRequire as fastRequire } from 'node:module'; const require = fastRequire(import.meta.url);";

/** What every program begins with. In a clone, where the tools brought a Node of their own, an old one is shown the way to it. */
export function beginningOf(least = leastNode): string {
  return `${banner}\n${checkOf(least)}`;
}

/**
 * client-node does not say that its modules do nothing on import, so one that is imported for a function brings the
 * generated models of every API with it: 430 kB that the agent would parse, and 8 MB of its resident memory. Each of its
 * six thousand imports comes by here, so that those of its own files, which name each file in full, are answered on the
 * spot: to ask the bundler back took ten times as long as all the rest of its work.
 */
const clientNodeOnDemand: Plugin = {
  name: 'client-node-on-demand',
  setup(bundler) {
    bundler.onResolve({ filter: /^(\.|@kubernetes\/client-node)/ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === clientNodeOnDemand.name) return undefined;
      if (path.startsWith('.')) {
        if (!from.resolveDir.includes(clientNode)) return undefined;
        const file = join(from.resolveDir, path);
        if (statSync(file, { throwIfNoEntry: false })?.isFile() === true) return { path: file, sideEffects: false };
      }
      const found = await bundler.resolve(path, { ...from, pluginData: clientNodeOnDemand.name });
      return found.path.includes(clientNode) ? { path: found.path, sideEffects: false } : undefined;
    });
  },
};
const clientNode = '/node_modules/@kubernetes/client-node/';

/**
 * koffi is asked for when something of the kernel is, and not by the bundle's first line: fast-ctl is one file that also
 * runs on a laptop, where there is none.
 */
const koffiLate: Plugin = {
  name: 'koffi-late',
  setup(bundler) {
    bundler.onResolve({ filter: /^koffi$/ }, ({ namespace }) =>
      namespace === 'koffi-late' ? { path: 'koffi', external: true } : { path: 'koffi', namespace: 'koffi-late' },
    );
    bundler.onLoad({ filter: /.*/, namespace: 'koffi-late' }, () => ({
      contents: "module.exports = require('koffi');",
    }));
  },
};

/** Bundles one program. Answers the files that went into it. */
export async function bundleProgram(entry: string, outfile: string, plugins: Plugin[] = []): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: beginningOf() },
    plugins: [...plugins, clientNodeOnDemand, koffiLate],
    // Names stay, so that a stack in a log can be read; the rest of client-node's generated models need not.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    sourcemap: false,
    logLevel: 'warning',
    metafile: true,
    absWorkingDir: root,
  });
  return Object.keys(metafile.inputs)
    .filter((input) => !input.startsWith('koffi-late:'))
    .map((input) => resolve(root, input));
}

/**
 * The packages that files are of, each as a whole folder: what a package says of its files in package.json, and a file that
 * comes to lie beside another, decide about a bundle as much as the files in it.
 */
export function packagesOf(files: readonly string[]): string[] {
  const folders = files.flatMap((file) => {
    const installed = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0];
    const ours = /^.*\/packages\/[^/]+(?=\/)/.exec(file)?.[0];
    return installed ?? ours ?? [];
  });
  return [...new Set(folders)].toSorted();
}

/**
 * Besides the packages that went into the last bundle: our own sources as a whole; how a bundle is made, and by which
 * esbuild; and what is installed, for a package that came to lie before or in the place of another, or that was not there
 * to be found.
 */
function inputs(): string {
  const ours = ['src', 'packages', 'tsconfig.json', 'package.json', 'scripts/build-programs.ts'];
  const installed = ['package-lock.json', 'node_modules/.package-lock.json'];
  const names = readdirSync(join(root, 'node_modules'));
  const paths = [...ours, ...installed].map((path) => join(root, path));
  return hashOf(paths, esbuildVersion, process.version, process.env['NODE_PATH'] ?? '', ...names);
}

/** Makes those bundles that are not current. Two seconds for all of them. */
export async function buildPrograms(): Promise<Record<string, Made>> {
  const made: Record<string, Made> = {};
  for (const [name, entry] of Object.entries(programs)) {
    if (!existsSync(join(root, entry))) throw new Error(`${entry} is missing`);
    made[name] = await cached(join(buildFolder, `${name}.mjs`), {
      inputs,
      make: (path) => step(`bundle ${name}`, async () => packagesOf(await bundleProgram(join(root, entry), path))),
    });
  }
  return made;
}
