// SPDX-License-Identifier: Apache-2.0
// The npm scripts' own words: a slip of the pen is said before anything is installed, built or torn down.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';

function start(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(root, 'scripts/start.mjs'), ...words], {
    encoding: 'utf8',
    timeout: 20_000,
  });
}

it.each([
  ['demo --wrong', '"--wrong" means nothing to npm run demo; it takes no words'],
  ['test nope', '"nope" means nothing to npm run test; it takes pure, kernel, ship, api, cluster'],
  ['test --wrong', '"--wrong" means nothing to npm run test'],
  ['build x', '"x" means nothing to npm run build'],
  ['nonsense', 'no command "nonsense"; there are bench, build'],
])('%s does nothing, and says why', (line, said) => {
  const { status, stdout, stderr } = start(...line.split(' '));
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toContain(said);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

it('--help says what the command does, and does not do it', () => {
  const { status, stdout } = start('demo', '--help');
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^npm run demo\n {2}the README's quick start/)]);
});

it('every npm script begins there', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const strangers = Object.entries(scripts).filter(([name, line]) => line !== `node scripts/start.mjs ${name}`);
  expect(strangers.map(([name]) => name)).toEqual(['format']);
});
