// SPDX-License-Identifier: Apache-2.0
// Bundles each program that runs under Node into one file for its image. koffi stays outside: it holds a native library.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { buildFolder, root } from './steps.ts';

const programs = {
  controller: 'src/operator/main.ts',
  agent: 'src/node/main.ts',
  'fast-ctl': 'src/cli/main.ts',
};

/** CommonJS parts of the bundle call `require`, which an ES module does not have. */
const banner =
  "import { createRequire as fastRequire } from 'node:module'; const require = fastRequire(import.meta.url);";

export async function buildPrograms(): Promise<void> {
  for (const [name, entry] of Object.entries(programs)) {
    if (!existsSync(join(root, entry))) throw new Error(`${entry} is missing`);
    await build({
      entryPoints: [join(root, entry)],
      outfile: join(buildFolder, `${name}.mjs`),
      bundle: true,
      platform: 'node',
      target: 'node24',
      format: 'esm',
      external: ['koffi'],
      banner: { js: banner },
      // Names stay, so that a stack in a log can be read; the rest of client-node's generated models need not.
      minifyWhitespace: true,
      minifySyntax: true,
      legalComments: 'none',
      sourcemap: false,
      logLevel: 'warning',
    });
  }
}
