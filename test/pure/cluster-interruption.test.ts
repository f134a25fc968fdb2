// SPDX-License-Identifier: Apache-2.0
// What somebody reads who presses Ctrl-C while the test cluster starts, and presses it again.
import { describe, expect, it } from 'vitest';
import { Interruption, leftBehind } from '../cluster/interruption.ts';

function story(phase: 'starting' | 'up' | undefined): { said: string[]; interruption: Interruption } {
  const said: string[] = [];
  return {
    said,
    interruption: new Interruption(
      (line) => said.push(line),
      () => phase,
    ),
  };
}

describe('Ctrl-C', () => {
  it('says once what is stopped, however often one press comes, and that a second one is of no use', () => {
    const { said, interruption } = story('starting');
    for (const atMs of [1000, 1001, 1005]) interruption.meet('SIGINT', atMs);
    expect(said).toEqual([expect.stringMatching(/^\nSIGINT: stopping; the machines .* removed\.$/)]);
    expect([interruption.signal.aborted, interruption.exitCode]).toEqual([true, 130]);
    interruption.meet('SIGINT', 3000);
    interruption.meet('SIGINT', 3001);
    expect(said.slice(1)).toEqual([expect.stringMatching(/^SIGINT: stopping already; the clean-up ends by itself/)]);
  });

  it.each([
    [undefined, 'no cluster has been touched'],
    ['up', 'the cluster stays up'],
  ] as const)('says what becomes of a cluster that is %s', (phase, words) => {
    const { said, interruption } = story(phase);
    interruption.meet('SIGINT', 1000);
    expect(said).toEqual([expect.stringContaining(words)]);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('and %s end with the exit code %i, whatever comes after it', (name, code) => {
    const { interruption } = story('starting');
    interruption.meet(name, 1000);
    interruption.meet('SIGTERM', 9000);
    expect(interruption.exitCode).toBe(code);
  });

  it('is followed by what is left, and how to be rid of it', () => {
    expect(leftBehind('down')).toContain('nothing is left');
    for (const state of ['up', 'incomplete'] as const) expect(leftBehind(state)).toContain('`npm run cluster -- down`');
    for (const state of ['up', 'down', 'incomplete'] as const) expect(leftBehind(state)).toContain('in build/ and /');
  });
});
