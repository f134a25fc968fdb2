// SPDX-License-Identifier: Apache-2.0
// Lengths of time on a command line: one form for all flags, and a number without a unit is none.
import { describe, expect, it } from 'vitest';
import { clock, cluster } from './cli-installed-cluster.ts';
import { fastCtl } from './cli-shell.ts';

describe('a duration', () => {
  it.each([
    ['90s', '90 s'],
    ['2m', '120 s'],
    ['1m30s', '90 s'],
    ['5s', '5 s'],
  ])('takes a duration as kubectl does: --timeout %s is %s', async (text, said) => {
    const { fake } = cluster(['two']);
    const around = { cluster: () => Promise.resolve(fake), ...clock() };
    const { stderr } = await fastCtl(`uninstall --yes --timeout ${text}`, around);
    expect(stderr).toContain(`the nodes are not done after ${said}: two`);
  });

  it.each(['soon', '2x', '0s', '-1m', '48h', ''])(
    'takes no time that is none (%j), and says the form',
    async (text) => {
      const { stderr } = await fastCtl(['uninstall', `--timeout=${text}`]);
      expect(stderr).toContain('Write a duration from 1s to 24h, such as 90s, 5m or 1h30m.');
    },
  );

  it.each([
    ['monitor --interval 5', '5 seconds are 5s'],
    ['monitor --interval 1.5', '1.5 seconds are 1.5s'],
    ['uninstall --timeout 90', '90 seconds are 90s'],
  ])('without a unit is refused and said with one: %s', async (line, cure) => {
    const { code, stderr } = await fastCtl(line);
    expect(code).toBe(1);
    expect(stderr).toContain(`is invalid. It has no unit; ${cure}.`);
  });

  it('without a unit that would be none with it either is told the form', async () => {
    expect((await fastCtl('monitor --interval 0')).stderr).toContain('Write a duration from 100ms to 1h');
    expect((await fastCtl('monitor --interval .5')).stderr).toContain('Write a duration from 100ms to 1h');
  });
});
