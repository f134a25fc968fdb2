// SPDX-License-Identifier: Apache-2.0
// The demo on a cluster where people have pods and pools of their own.
import { describe, expect, it } from 'vitest';
import type { IpAllocation, NodeEndpoint } from '../../src/api/generated/index.ts';
import { heldByQuickStart, keptByOthers, notReleased } from '../cluster/quick-start-addresses.ts';

const record = (address: string, ips: string, name: string, state = 'Bound', wire?: string): IpAllocation =>
  ({
    metadata: { name: address },
    spec: { address, ips, nodeName: 'one', owner: { kind: 'Pod', namespace: 'default', name, uid: name }, state },
    ...(wire === undefined ? {} : { status: { attached: { interface: wire } } }),
  }) as IpAllocation;
const view = (...podAddresses: string[]): NodeEndpoint =>
  ({ metadata: { name: 'one' }, spec: { podAddresses } }) as unknown as NodeEndpoint;

const demo = record('10.244.10.0', 'sample-ips', 'busybox-6c9f7d8b5-x2x4z', 'Bound', 'fast0');
const mine = record('10.1.0.5', 'my-pool', 'web-0', 'Bound', 'fast1');

describe("the demo beside a person's own pods and pools", () => {
  it('does not wait for the addresses of theirs', () => {
    const held = heldByQuickStart([demo, mine]);
    expect(held).toEqual({ addresses: ['10.244.10.0'], wires: [{ node: 'one', name: 'fast0' }] });
    expect(notReleased([mine], [view('10.1.0.5')], held)).toBeUndefined();
    expect(keptByOthers([demo, mine])).toBeUndefined();
  });

  it('waits for its own, and says whose they are', () => {
    const held = heldByQuickStart([demo, mine]);
    expect(notReleased([{ ...demo, spec: { ...demo.spec, state: 'Releasing' } }, mine], [], held)).toBe(
      'records: 10.244.10.0 Releasing for default/busybox-6c9f7d8b5-x2x4z',
    );
    expect(notReleased([mine], [view('10.1.0.5', '10.244.10.0')], held)).toBe('NodeEndpoints with addresses: one');
  });

  it('names the pods that keep its pools, and what to do, before it deletes anything', () => {
    const web = record('10.244.100.7', 'default-ips', 'web-0');
    const free = record('10.244.100.8', 'default-ips', 'web-1', 'Cooling');
    expect(keptByOthers([demo, mine, web, free])).toBe(
      'the quick start makes its pools sample-ips and default-ips anew, and other pods have addresses of them: ' +
        'default/web-0 (10.244.100.7 of default-ips). Delete these pods with their owners, or begin with a new cluster: ' +
        'npm run cluster -- down',
    );
  });
});
