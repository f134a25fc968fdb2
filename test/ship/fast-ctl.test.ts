// SPDX-License-Identifier: Apache-2.0
// fast-ctl as people carry it away: one file, on a machine that has Node and nothing of ours. And its siblings.
import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPrograms } from '../../scripts/build-programs.ts';
import { buildFolder } from '../../scripts/steps.ts';
import { version } from '../../src/api/names.ts';

const folder = mkdtempSync(join(tmpdir(), 'fast-ctl-'));
const file = join(folder, 'fast-ctl.mjs');

beforeAll(async () => {
  await buildPrograms();
  copyFileSync(join(buildFolder, 'fast-ctl.mjs'), file);
});
afterAll(() => rmSync(folder, { recursive: true }));

function fastCtl(...args: string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], { cwd: folder }, (_, stdout, stderr) => resolve(stdout + stderr));
  });
}

describe('the one file', () => {
  it('runs alone', async () => {
    expect(await fastCtl('--version')).toBe(`${version}\n`);
    expect(await fastCtl('status', '--help')).toContain('Usage: fast-ctl status');
    expect(await fastCtl('completion', 'bash')).toContain('complete ');
  });

  it('says how to look at a kernel from where there is none of ours', async () => {
    expect(await fastCtl('maps', 'list', 'counters')).toBe(
      "fast-ctl: this fast-ctl has no library beside it to read a kernel's maps; --node NAME looks through an agent's pod\n",
    );
  });
});

describe('the bundles', () => {
  it('are not made again while nothing has changed', async () => {
    expect(await buildPrograms()).toEqual({ controller: 'current', agent: 'current', 'fast-ctl': 'current' });
  });

  it('of the agent brings no models of APIs that it never speaks', () => {
    expect(readFileSync(join(buildFolder, 'agent.mjs'), 'utf8').includes('V1PodSpec')).toBe(false);
  });
});
