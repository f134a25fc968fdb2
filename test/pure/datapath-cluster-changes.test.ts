// SPDX-License-Identifier: Apache-2.0
// The short way must lead where the whole comparison does, whatever the endpoints do.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { ClusterChanges } from '../../src/datapath/cluster-changes.ts';
import { desiredClusterEntries } from '../../src/datapath/desired.ts';
import type { ClusterPodEntry } from '../../src/datapath/entries.ts';
import { byTunnel } from '../../src/datapath/way.ts';
import { rounds } from '../share.ts';

const own = 'a';
const way = (other: NodeEndpoint) => ({ direct: false, adjacent: other.spec.tunnelAddress.endsWith('.2') });

function endpoint(
  name: string,
  podAddresses: string[],
  tunnelAddress = `172.30.0.${name.charCodeAt(0)}`,
): NodeEndpoint {
  return { metadata: { name }, spec: { nodeUID: name, tunnelAddress, podAddresses } };
}

/** A map that is written as the agent writes it. */
class Written {
  readonly changes = new ClusterChanges(own);
  entries = new Map<string, ClusterPodEntry>();
  wholes = 0;

  see(endpoints: NodeEndpoint[]): void {
    const difference = this.changes.next(endpoints, way);
    if (difference === undefined) {
      const { entries, refused } = desiredClusterEntries(endpoints, own, way);
      this.entries = entries;
      this.wholes += 1;
      if (refused.length === 0) this.changes.remember(endpoints, way);
      return;
    }
    for (const entry of difference.upserts) this.entries.set(entry.address, entry);
    for (const address of difference.removals) this.entries.delete(address);
  }
}

describe('the changes between two lists', () => {
  it('are one entry for a pod that came, went or moved, and none for a status', () => {
    const [a, b, c] = [endpoint('a', ['10.0.0.1']), endpoint('b', ['10.0.0.2']), endpoint('c', ['10.0.0.3'])];
    const changes = new ClusterChanges(own);
    changes.remember([a, b, c], () => byTunnel);
    const more = endpoint('b', ['10.0.0.2', '10.0.0.9']);
    const entry = { address: '10.0.0.9', nodeAddress: '172.30.0.98', ...byTunnel };
    expect(changes.next([a, more, c], () => byTunnel)).toEqual({ upserts: [entry], removals: [] });
    expect(changes.next([a, { ...more, status: {} }, c], () => byTunnel)).toEqual({ upserts: [], removals: [] });
    const moved = [a, endpoint('b', ['10.0.0.2']), endpoint('c', ['10.0.0.3', '10.0.0.9'])];
    const there = { ...entry, nodeAddress: '172.30.0.99' };
    expect(changes.next(moved, () => byTunnel)).toEqual({ upserts: [there], removals: [] });
    expect(changes.next([a, endpoint('b', []), moved[2] ?? c], () => byTunnel)).toEqual({
      upserts: [],
      removals: ['10.0.0.2'],
    });
  });

  it.each([
    ['two nodes claim one address', [endpoint('a', []), endpoint('b', ['10.0.0.2']), endpoint('c', ['10.0.0.2'])]],
    ['an address is none', [endpoint('a', []), endpoint('b', ['10.0.0.02'])]],
    ['this node itself is missing', [endpoint('b', ['10.0.0.2'])]],
  ])('are not told where %s, nor right after', (_, endpoints) => {
    const changes = new ClusterChanges(own);
    const before = [endpoint('a', []), endpoint('b', ['10.0.0.2'])];
    changes.remember(before, () => byTunnel);
    expect(changes.next(endpoints, () => byTunnel)).toBeUndefined();
    expect(changes.next(before, () => byTunnel)).toBeUndefined();
  });

  it('lead to the same map as the whole comparison', () => {
    const addresses = fc.uniqueArray(fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'));
    const tunnel = fc.constantFrom('172.30.0.1', '172.30.0.2');
    const step = fc.record({ name: fc.constantFrom('a', 'b', 'c'), addresses, tunnel, isGone: fc.boolean() });
    let short = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const written = new Written();
        const endpoints = new Map([['a', endpoint('a', [])]]);
        for (const one of steps) {
          if (one.isGone && one.name !== own) endpoints.delete(one.name);
          else endpoints.set(one.name, endpoint(one.name, one.addresses, one.tunnel));
          written.see([...endpoints.values()]);
          expect(written.entries).toEqual(desiredClusterEntries(endpoints.values(), own, way).entries);
        }
        short += steps.length - written.wholes;
      }),
      { numRuns: rounds(20_000), seed: 11 },
    );
    expect(short).toBeGreaterThan(100);
  }, 300_000);
});
