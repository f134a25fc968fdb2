// SPDX-License-Identifier: Apache-2.0
// What a program says to a Node that is too old for it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { beginningOf } from '../../scripts/build-programs.ts';

let clone: string;

beforeEach(() => {
  clone = realpathSync(mkdtempSync(join(tmpdir(), 'fast-node-')));
  mkdirSync(join(clone, 'build'));
});

afterEach(() => rmSync(clone, { recursive: true }));

function run(least: string): { status: number | null; stdout: string; stderr: string } {
  const program = join(clone, 'build/program.mjs');
  writeFileSync(program, `${beginningOf(least)}\nconsole.log('ran');\n`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const refused = `this needs Node 99.1 or newer, and here is ${process.version}`;

it('an old Node is refused in one line', () => {
  expect(run('99.1')).toEqual({ status: 1, stdout: '', stderr: `${refused}\n` });
});

it('an old Node is shown the way to the one of the clone', () => {
  const ours = join(clone, 'node_modules/.bin/node');
  mkdirSync(join(clone, 'node_modules/.bin'), { recursive: true });
  writeFileSync(ours, '');
  expect(run('99.1')).toEqual({ status: 1, stdout: '', stderr: `${refused}; run it by ${ours}\n` });
});

it('a Node that is new enough runs it', () => {
  expect(run('20.0')).toEqual({ status: 0, stdout: 'ran\n', stderr: '' });
});
