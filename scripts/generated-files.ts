// SPDX-License-Identifier: Apache-2.0
// How every generator ends: it writes its file, or under `--check` says which file is not current.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Writes `text` to `path`; with `--check` on the command line compares, and sets exit code 1 where they differ. */
export function writeOrCompare(path: string, text: string): void {
  const old = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  if (old === text) return;
  if (process.argv.includes('--check')) {
    console.error(`${basename(path)} is not current; run \`npm run generate\` and commit the result`);
    process.exitCode = 1;
    return;
  }
  writeFileSync(path, text);
  console.log(`wrote ${basename(path)}`);
}
