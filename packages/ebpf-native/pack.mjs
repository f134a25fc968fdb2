// SPDX-License-Identifier: Apache-2.0
// What `npm pack` runs before and after. In the repository the sources run as they are; Node does not do that for what is
// installed (it strips no types below node_modules), so a packed package has JavaScript and declarations, and a
// package.json that points at them.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = import.meta.dirname;
const own = join(folder, 'package.json');
/** The repository's package.json while the packed one is in its place. */
const aside = join(folder, 'package.source.json');

/** Also after a pack that was killed in between. */
function restore() {
  if (existsSync(aside)) renameSync(aside, own);
  for (const made of ['LICENSE', 'dist']) rmSync(join(folder, made), { recursive: true, force: true });
}

function build() {
  restore();
  execFileSync('tsc', ['-p', join(folder, 'tsconfig.build.json')], { stdio: ['ignore', 2, 2] });
  const { scripts: _, ...described } = JSON.parse(readFileSync(own, 'utf8'));
  const exports = { '.': { types: './dist/index.d.ts', default: './dist/index.js' } };
  copyFileSync(own, aside);
  writeFileSync(own, `${JSON.stringify({ ...described, exports }, null, 2)}\n`);
  copyFileSync(join(folder, '../../LICENSE'), join(folder, 'LICENSE'));
}

const steps = { build, restore };
steps[process.argv[2]]();
