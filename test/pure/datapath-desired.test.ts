// SPDX-License-Identifier: Apache-2.0
// What each node's maps should hold, and the difference to what they hold.
import { describe, expect, it } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { encodeAddressKey, encodeClusterPod } from '../../src/datapath/codecs.ts';
import { desiredClusterEntries, desiredLocalEntries } from '../../src/datapath/desired.ts';
import { differenceOf, isSame } from '../../src/datapath/diff.ts';
import { maps } from '../../src/datapath/generated/layout.ts';

function endpoint(name: string, tunnelAddress: string, overlayAddress: string, podAddresses: string[]): NodeEndpoint {
  return { metadata: { name }, spec: { nodeUID: `uid-${name}`, tunnelAddress, overlayAddress, podAddresses } };
}

const north = endpoint('north', '172.30.0.1', '10.244.224.1', ['10.244.10.0', '10.244.10.2']);
const south = endpoint('south', '172.30.0.2', '10.244.224.2', ['10.244.10.1']);

describe('desired cluster entries', () => {
  it('holds the pods and overlay addresses of other nodes, never its own, never a node address', () => {
    const { entries, refused } = desiredClusterEntries([south, north], 'north');
    expect([...entries.values()]).toEqual([
      { address: '10.244.224.2', nodeAddress: '172.30.0.2', direct: false, adjacent: false },
      { address: '10.244.10.1', nodeAddress: '172.30.0.2', direct: false, adjacent: false },
    ]);
    expect(refused).toEqual([]);
  });

  it('holds a node that has no address of its own yet by its pods alone', () => {
    const fresh: NodeEndpoint = { metadata: { name: 'east' }, spec: { nodeUID: 'u', tunnelAddress: '172.30.0.3' } };
    expect(desiredClusterEntries([fresh], 'north').entries.size).toBe(0);
  });

  it('does not let another node take an address that is our own', () => {
    const thief = endpoint('a-thief', '172.30.0.9', '10.244.224.9', ['10.244.10.0']);
    const { entries, refused } = desiredClusterEntries([thief, north], 'north');
    expect([...entries.keys()]).toEqual(['10.244.224.9']);
    expect(refused).toEqual([
      { address: '10.244.10.0', nodeName: 'a-thief', because: expect.stringContaining('node north claims it too') },
    ]);
  });

  it('gives an address that two nodes claim to the same one of them, whatever the order', () => {
    const east = endpoint('east', '172.30.0.3', '10.244.224.3', ['10.244.10.1']);
    for (const order of [
      [south, east],
      [east, south],
    ]) {
      const { entries, refused } = desiredClusterEntries(order, 'north');
      expect(entries.get('10.244.10.1')?.nodeAddress).toBe('172.30.0.3');
      expect(refused.map(({ nodeName }) => nodeName)).toEqual(['south']);
    }
  });

  it('refuses a malformed address in words and keeps the others', () => {
    const odd = endpoint('odd', '172.30.0.4', '10.244.224.4', ['10.244.10.01', '10.244.10.9']);
    const { entries, refused } = desiredClusterEntries([odd], 'north');
    expect([...entries.keys()]).toEqual(['10.244.224.4', '10.244.10.9']);
    expect(refused[0]?.because).toBe('"10.244.10.01" is no IPv4 address');
  });
});

describe('desired local entries', () => {
  const wire = {
    address: '10.244.10.0',
    ifindex: 5,
    podMac: '0a:00:00:00:00:01',
    hostMac: '02:fa:57:00:00:01',
    stackOnly: false,
  };

  it('prefers the newer of two wires with one address', () => {
    const { entries } = desiredLocalEntries([wire, { ...wire, ifindex: 9 }]);
    expect(entries.get('10.244.10.0')?.ifindex).toBe(9);
  });

  it('refuses more wires than the map has room for', () => {
    const wires = Array.from({ length: maps.localPodIps.maxEntries + 1 }, (_, index) => ({
      ...wire,
      address: `10.1.${index >> 8}.${index & 255}`,
    }));
    const { entries, refused } = desiredLocalEntries(wires);
    expect(entries.size).toBe(1024);
    expect(refused).toEqual([{ address: '10.1.4.0', because: 'local_pod_ips is full: it has room for 1024 entries' }]);
  });
});

describe('difference', () => {
  const entry = (address: string, nodeAddress: string) =>
    encodeClusterPod({ address, nodeAddress, direct: false, adjacent: false });

  it('writes what is new or changed, removes what nobody desires, leaves the rest', () => {
    const actual = [entry('10.0.0.1', '172.30.0.1'), entry('10.0.0.2', '172.30.0.1'), entry('10.0.0.3', '172.30.0.1')];
    const desired = [entry('10.0.0.1', '172.30.0.1'), entry('10.0.0.2', '172.30.0.2'), entry('10.0.0.4', '172.30.0.2')];
    expect(differenceOf(desired, actual)).toEqual({
      upserts: [entry('10.0.0.2', '172.30.0.2'), entry('10.0.0.4', '172.30.0.2')],
      removals: [encodeAddressKey('10.0.0.3')],
    });
  });

  it('is nothing where both are the same in another order', () => {
    const both = [entry('10.0.0.1', '172.30.0.1'), entry('10.0.0.2', '172.30.0.1')];
    expect(isSame(differenceOf(both, both.toReversed()))).toBe(true);
    expect(isSame(differenceOf([], both))).toBe(false);
  });
});
