// SPDX-License-Identifier: Apache-2.0
// Writes olm/ from config/ and crds/: the second of the two ways to install, out of the one source. `--check` compares.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundleFiles } from './bundle/files.ts';
import { writeOrCompare } from './generated-files.ts';
import { root } from './steps.ts';

export const olmFolder = join(root, 'olm');

/** What a former generator left would be in the bundle still. */
function strangers(known: ReadonlySet<string>): string[] {
  if (!existsSync(olmFolder)) return [];
  return readdirSync(olmFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !known.has(path));
}

export function generateBundle(): void {
  const files = new Map([...bundleFiles()].map(([path, text]) => [join(olmFolder, path), text]));
  for (const [path, text] of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeOrCompare(path, text);
  }
  for (const path of strangers(new Set(files.keys()))) {
    if (process.argv.includes('--check')) {
      console.error(`${path} is not of the bundle any more; run \`npm run generate\``);
      process.exitCode = 1;
    } else rmSync(path);
  }
}
