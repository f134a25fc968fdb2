// SPDX-License-Identifier: Apache-2.0
// Malformed pools through the parser: refused or not as the reference says, never by an exception, and each refusal
// names the field and the value.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePool } from '../../src/reconcilers/pool.ts';
import { rounds } from '../share.ts';
import { isSound, type OddPool, oddPools } from './odd-pools.ts';

function verdictOf({ subnet, ips, excludeIPs }: OddPool) {
  return parsePool({ metadata: { name: 'odd' }, spec: { subnet, ips, excludeIPs } });
}

describe('the parser of pools', () => {
  it('refuses what the reference refuses, and names field and value, over 200,000 pools of which most are malformed', () => {
    let malformed = 0;
    fc.assert(
      fc.property(oddPools, (pool) => {
        const verdict = verdictOf(pool);
        if (verdict.kind !== (isSound(pool) ? 'pool' : 'problem')) throw new Error(`the parser says ${verdict.kind}`);
        if (verdict.kind === 'pool') return;
        malformed += 1;
        const { field, message } = verdict.problem;
        const [, name = '', index] = /^spec\.(subnet|ips|excludeIPs)(?:\[(\d+)\])?$/.exec(field) ?? [];
        const value = name === 'subnet' ? pool.subnet : pool[name as 'ips' | 'excludeIPs'][Number(index)];
        if (!message.startsWith(`${field}: "${value}" `)) throw new Error(`it is told as ${message}`);
      }),
      { numRuns: rounds(200_000) },
    );
    expect(malformed).toBeGreaterThan(rounds(100_000));
  });

  it('refuses a pool without ranges, and one with more than the API server takes', () => {
    const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `10.20.0.${index % 256}`);
    const problem = (ips: string[], excludeIPs: string[] = []): unknown =>
      verdictOf({ subnet: '10.244.0.1/32', ips, excludeIPs, odd: 'ips' });
    expect(problem([])).toMatchObject({ problem: { message: 'spec.ips: is empty; write at least one range' } });
    expect(problem(many(256))).toMatchObject({ kind: 'pool' });
    expect(problem(many(257))).toMatchObject({
      problem: { message: 'spec.ips: has 257 entries; at most 256 are allowed, and a CIDR may take the place of many' },
    });
    expect(problem(many(1), many(257))).toMatchObject({ problem: { field: 'spec.excludeIPs' } });
  });
});
