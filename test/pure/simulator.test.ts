// SPDX-License-Identifier: Apache-2.0
// The simulator itself: a seed plays the same twice, a share of the seeds breaks no invariant, and builds that are broken
// on purpose are found. It runs as a person runs it, since what stands in for the kernel has to be there before the agent
// is imported.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mutants } from '../simulator/mutants.ts';
import { rounds } from '../share.ts';

const root = join(import.meta.dirname, '..', '..');
/** CI is slow, and a long run is 1,000,000 steps. */
const patienceMs = 1_800_000;

/** 10,000 steps. */
const seedsOfBlock = 10;
const mostBlocks = 6;

interface Told {
  readonly seeds: number;
  readonly steps: number;
  readonly digest: string;
  readonly broken?: { readonly invariant: number; readonly text: string };
}

function simulate(...args: string[]): Promise<Told> {
  const argv = [join(root, 'scripts', 'simulate.ts'), ...args, '-o', 'json'];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, argv, { cwd: root }, (_error, stdout, stderr) => {
      if (stdout === '') reject(new Error(stderr));
      else resolve(JSON.parse(stdout) as Told);
    });
  });
}

describe('the simulator', () => {
  it('plays a seed twice alike, and another one otherwise', { timeout: patienceMs }, async () => {
    const [once, again, other] = await Promise.all([
      simulate('--seed', '7'),
      simulate('--seed', '7'),
      simulate('--seed', '8'),
    ]);
    expect(again.digest).toBe(once?.digest);
    expect(other.digest).not.toBe(once?.digest);
  });

  it('finds no invariant broken', { timeout: patienceMs }, async () => {
    const seeds = rounds(1_000);
    const { broken, steps } = await simulate('--seed', '1', '--seeds', `${seeds}`, '--steps', '1000');
    expect(broken).toBeUndefined();
    expect(steps).toBe(seeds * 1_000);
  });

  // Whatever changes a source changes what each seed plays, so another block of seeds gets its chance.
  it.each(mutants)('finds within 10,000 steps: $what', { timeout: patienceMs }, async ({ name, from }) => {
    for (let block = 0; block < mostBlocks; block += 1) {
      const seed = `${from + block * seedsOfBlock}`;
      const { broken } = await simulate(
        '--mutant',
        name,
        '--seed',
        seed,
        '--seeds',
        `${seedsOfBlock}`,
        '--steps',
        '1000',
      );
      if (broken !== undefined) return;
    }
    throw new Error(`the build "${name}" passes for sound`);
  });
});
