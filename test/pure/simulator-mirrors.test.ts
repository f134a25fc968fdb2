// SPDX-License-Identifier: Apache-2.0
// What the simulator's judge grants to static pods, which run on a machine that nobody reaches as they do on any other.
import { describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Sandbox } from '../simulator/machine.ts';
import { Mirrors } from '../simulator/mirrors.ts';

const identity = 'f270a7145bec3725c26bae029458cc2e';
const address = '10.1.0.3';

function record(state: IpAllocation['spec']['state'], uid = identity, nodeName = 'n1'): IpAllocation {
  const owner = { kind: 'Pod' as const, namespace: 'default', name: 'static-n1', uid };
  const spec = { address, ips: 'p', gateway: '10.1.0.1', prefixLength: 32, nodeName, nodeUID: 'n', owner, state };
  return { metadata: { name: address }, spec: { ...spec, stateSince: '2026-01-01T00:00:00Z' } };
}

function speakForNode(mirrors: Mirrors): void {
  const leaving = record('Releasing');
  mirrors.onReplaced(leaving, { ...leaving, status: { released: { owner: { uid: identity } } } });
}

function started(id: string, uid = identity): Sandbox {
  return { id, pod: { namespace: 'default', name: 'static-n1', identity: uid }, address } as unknown as Sandbox;
}

describe('a static pod that is started once more', () => {
  const judge = (): Mirrors => new Mirrors([], () => 0);

  it('by an agent that has not heard that its node was spoken for has no claim to its former address', () => {
    const mirrors = judge();
    speakForNode(mirrors);
    mirrors.onAdded('n1', started('again'), undefined);
    expect(mirrors.isSevered(started('again'))).toBe(true);
  });

  it('after it was given its address anew has a claim to it', () => {
    const mirrors = judge();
    speakForNode(mirrors);
    mirrors.onGiven(record('Bound'));
    mirrors.onAdded('n1', started('again'), record('Bound'));
    expect(mirrors.isSevered(started('again'))).toBe(false);
  });

  it('after its own agent has called the address released is a broken invariant still', () => {
    const mirrors = judge();
    const released = { ...record('Releasing'), status: { released: { owner: { uid: identity } } } };
    mirrors.onReplaced(released, { ...released, spec: { ...released.spec, state: 'Cooling' } });
    mirrors.onAdded('n1', started('again'), undefined);
    expect(mirrors.isSevered(started('again'))).toBe(false);
  });

  it.each([
    ['where nobody has spoken for its node', 'n2', identity],
    ['as another pod than the one that was spoken for', 'n1', '0'.repeat(32)],
    ['by the API server and not by a file', 'n1', '00000000-0000-4000-8000-000000000001'],
  ])('%s, without a record, is a broken invariant still', (_, machine, uid) => {
    const mirrors = judge();
    speakForNode(mirrors);
    mirrors.onAdded(machine, started('again', uid), undefined);
    expect(mirrors.isSevered(started('again'))).toBe(false);
  });
});
