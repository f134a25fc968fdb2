// SPDX-License-Identifier: Apache-2.0
// Bundles each program that runs under Node into one file for its image. koffi stays outside: it holds a native library.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { buildFolder, root } from './steps.ts';

const programs = {
  controller: 'src/operator/main.ts',
  agent: 'src/node/main.ts',
  'fast-ctl': 'src/cli/main.ts',
};

/** What undici, the HTTP client, asks for; before it says so by an error of its own. */
const leastNode = '22.19';
const nodeCheck = `const [fastMajor, fastMinor] = process.versions.node.split('.').map(Number);
if (fastMajor * 1000 + fastMinor < ${leastNode.replace('.', ' * 1000 + ')}) {
  console.error('this needs Node ${leastNode} or newer, and here is ' + process.version);
  process.exit(1);
}`;

/** CommonJS parts of the bundle call `require`, which an ES module does not have. */
const banner =
  "import { createRequire as fastRequire } from 'node:module'; const require = fastRequire(import.meta.url);";

/**
 * client-node does not say that its modules do nothing on import, so one that is imported for a function brings the
 * generated models of every API with it: 430 kB that the agent would parse, and 8 MB of its resident memory.
 */
const clientNodeOnDemand: Plugin = {
  name: 'client-node-on-demand',
  setup(bundler) {
    bundler.onResolve({ filter: /^(\.|@kubernetes\/client-node)/ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === clientNodeOnDemand.name) return undefined;
      const found = await bundler.resolve(path, { ...from, pluginData: clientNodeOnDemand.name });
      return found.path.includes('/@kubernetes/client-node/') ? { path: found.path, sideEffects: false } : undefined;
    });
  },
};

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

/** Bundles one program. */
export async function bundleProgram(entry: string, outfile: string, plugins: Plugin[] = []): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: `${banner}\n${nodeCheck}` },
    plugins: [...plugins, clientNodeOnDemand, koffiLate],
    // Names stay, so that a stack in a log can be read; the rest of client-node's generated models need not.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    sourcemap: false,
    logLevel: 'warning',
  });
}

export async function buildPrograms(): Promise<void> {
  for (const [name, entry] of Object.entries(programs)) {
    if (!existsSync(join(root, entry))) throw new Error(`${entry} is missing`);
    await bundleProgram(join(root, entry), join(buildFolder, `${name}.mjs`));
  }
}
