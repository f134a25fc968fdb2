// SPDX-License-Identifier: Apache-2.0
// What a node routes and masquerades, and what its agent says of it.
import { describe, expect, it } from 'vitest';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { NodeEndpoint, NodeEndpointStatus } from '../../src/api/generated/node-endpoint.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { formatCidr, parseRange } from '../../src/ip/range.ts';
import { RangeSet } from '../../src/ip/range-set.ts';
import { readRanges } from '../../src/api/masquerade-knob.ts';
import { endpointStatus, type NodeReport } from '../../src/wiring/endpoint-status.ts';
import { masqueradeScript, overlayOf } from '../../src/wiring/overlay.ts';
import type { Wire } from '../../src/wiring/wire.ts';

function pool(name: string, ...ips: string[]): Ips {
  return { metadata: { name }, spec: { subnet: '10.244.0.1/32', ips } };
}

function endpoint(name: string, tunnelAddress: string, more: Partial<NodeEndpoint['spec']> = {}): NodeEndpoint {
  return { metadata: { name }, spec: { nodeUID: `uid-${name}`, tunnelAddress, ...more } };
}

const rules = {
  addresses: RangeSet.empty,
  excluded: RangeSet.empty,
  device: 'fast_vxlan',
  tunnelPort: 4789,
};

const routes = (pools: Ips[], endpoints: NodeEndpoint[] = []): string[] =>
  overlayOf(pools, endpoints).routes.map(formatCidr);

describe('the overlay', () => {
  it('is one route for each merged block of the pools', () => {
    expect(routes([pool('a', '10.1.0.0-10.1.0.127'), pool('b', '10.1.0.128/25', '10.1.1.1')])).toEqual([
      '10.1.0.0/24',
      '10.1.1.1/32',
    ]);
  });

  it('also holds what is still in use outside the pools', () => {
    const used = endpoint('two', '172.30.0.2', { overlayAddress: '10.9.0.2', podAddresses: ['10.8.0.7'] });
    expect(routes([pool('a', '10.1.0.0/24')], [used])).toEqual(['10.1.0.0/24', '10.8.0.7/32', '10.9.0.2/32']);
  });

  it('never holds the address of a machine, whatever a pool says', () => {
    expect(routes([pool('a', '172.30.0.0/30')], [endpoint('two', '172.30.0.2')])).toEqual([
      '172.30.0.0/31',
      '172.30.0.3/32',
    ]);
  });

  it('never holds the network that the node stands in, and says which pool does', () => {
    const own = [{ first: parseAddress('172.30.0.0'), last: parseAddress('172.30.0.255') }];
    const pools = [pool('near', '172.29.255.254-172.30.0.9'), pool('far', '10.1.0.0/24')];
    const { routes: found, problems } = overlayOf(pools, [], own);
    expect(found.map(formatCidr)).toEqual(['10.1.0.0/24', '172.29.255.254/31']);
    expect(problems).toEqual([
      "Ips near: 172.30.0.0-172.30.0.9 lies in this node's own network 172.30.0.0-172.30.0.255 and is not routed; choose addresses that no machine's network has",
    ]);
  });

  it('leaves out an entry that does not parse and says which', () => {
    const { problems, routes: found } = overlayOf([pool('bad', '10.1.0.9-10.1.0.1', '10.2.0.0/24')], []);
    expect(found.map(formatCidr)).toEqual(['10.2.0.0/24']);
    expect(problems).toEqual([expect.stringContaining('Ips bad: "10.1.0.9-10.1.0.1" is reversed')]);
  });

  it('is a set of ranges for nftables, replaced in one transaction', () => {
    const { addresses } = overlayOf([pool('a', '10.1.0.0-10.1.0.9', '10.1.1.1')], []);
    const script = masqueradeScript({ ...rules, addresses });
    expect(script).toContain('table ip fast\ndelete table ip fast\ntable ip fast {');
    expect(script).toContain('elements = { 10.1.0.0-10.1.0.9, 10.1.1.1 };');
    expect(script).toContain('oifname "fast_vxlan" ip saddr != @overlay counter masquerade');
  });
});

it('the rules about the tunnel know the port that the knob tunnel-port chose', () => {
  const script = masqueradeScript({ ...rules, tunnelPort: 8472 });
  expect([...script.matchAll(/udp dport (\d+) (.*)/g)].map((match) => match.slice(1).join(' '))).toEqual([
    '8472 notrack',
    '8472 notrack',
    '8472 counter drop',
    '8472 counter drop',
  ]);
});

describe('ranges that are excluded from masquerading', () => {
  it('stand before the rule that masquerades, so that hosts there see pods by their own addresses', () => {
    const { addresses } = overlayOf([pool('a', '10.1.0.0/24')], []);
    const excluded = RangeSet.of([parseRange('192.0.2.0/24')]);
    const lines = masqueradeScript({ ...rules, addresses, excluded }).split('\n');
    expect(lines).toContain('  set excluded { type ipv4_addr; flags interval; elements = { 192.0.2.0-192.0.2.255 }; }');
    const exception = lines.indexOf('    ip saddr @overlay ip daddr @excluded return');
    const masquerade = lines.findIndex((line) => line.includes('daddr != @overlay'));
    expect(exception).toBeGreaterThan(0);
    expect(masquerade).toBeGreaterThan(exception);
  });

  it('are read from the knob one by one: what is no range is named and the others hold', () => {
    expect(readRanges(' 192.0.2.0/24,\n10.9.0.1 10.8.0.1-10.8.0.9')).toEqual({
      ranges: ['192.0.2.0-192.0.2.255', '10.9.0.1', '10.8.0.1-10.8.0.9'],
      problems: [],
    });
    expect(readRanges('192.0.2.0/33, 10.9.0.1')).toEqual({
      ranges: ['10.9.0.1'],
      problems: [expect.stringContaining('192.0.2.0/33')],
    });
    expect(readRanges(undefined)).toEqual({ ranges: [], problems: [] });
  });
});

const report: NodeReport = {
  mtu: 1450,
  maps: [{ name: 'cluster_pod_ips', entries: 100, maxEntries: 1000 }],
  orphans: [],
  conditions: { DatapathReady: { isTrue: true, reason: 'AsDesired', message: 'fine' } },
};
const [early, late] = ['2026-01-01T00:00:00Z', '2026-01-01T01:00:00Z'];

describe('the status of a node', () => {
  const said = endpointStatus({}, report, early) as NodeEndpointStatus;

  it('is written once and then left', () => {
    expect(said.conditions?.[0]).toMatchObject({ type: 'DatapathReady', status: 'True', lastTransitionTime: early });
    expect(endpointStatus(said, report, late)).toBeUndefined();
  });

  it("is written for a map's fill only when that doubled, halved or moved by a twentieth of the room", () => {
    const filled = (entries: number, maxEntries: number): NodeReport['maps'] => [
      { name: 'cluster_pod_ips', entries, maxEntries },
    ];
    const isTold = (entries: number, maxEntries: number): boolean =>
      endpointStatus(
        { ...said, maps: [...filled(100, maxEntries)] },
        { ...report, maps: filled(entries, maxEntries) },
        late,
      ) !== undefined;
    expect([49, 50, 51, 149, 199, 200].map((entries) => isTold(entries, 10_000))).toEqual([
      true,
      true,
      false,
      false,
      false,
      true,
    ]);
    expect([149, 150].map((entries) => isTold(entries, 1000))).toEqual([false, true]);
    expect(
      [0, 1].map(
        (entries) =>
          endpointStatus({ ...said, maps: [...filled(0, 1000)] }, { ...report, maps: filled(entries, 1000) }, late) !==
          undefined,
      ),
    ).toEqual([false, true]);
  });

  it('tells the room of a map whose size a new release changed, though its fill did not move', () => {
    const grown = [{ name: 'cluster_pod_ips', entries: 100, maxEntries: 2000 }];
    expect(endpointStatus(said, { ...report, maps: grown }, late)?.maps).toEqual(grown);
  });

  it('is left while an orphan stays, whose fields the API server gives back in the order of their names', () => {
    const wire: Wire = {
      identity: 'uid-1',
      containerId: 'c1',
      address: '10.244.10.0',
      podInterface: 'eth0',
      interface: 'fast0123456789',
      ifindex: 7,
    };
    const orphaned = { ...report, orphans: [wire] };
    const given = {
      ...said,
      orphans: [{ address: '10.244.10.0', interface: 'fast0123456789', ownerUID: 'uid-1' }],
    };
    expect(endpointStatus(given, orphaned, late)).toBeUndefined();
    expect(endpointStatus(said, orphaned, late)?.orphans).toHaveLength(1);
    expect(endpointStatus(given, { ...report, orphans: [{ ...wire, address: '10.244.10.1' }] }, late)).toBeDefined();
    expect(endpointStatus(given, report, late)?.orphans).toEqual([]);
  });

  it('keeps the time of a condition whose message alone changed', () => {
    const worded = { DatapathReady: { isTrue: true, reason: 'AsDesired', message: 'still fine' } };
    expect(endpointStatus(said, { ...report, conditions: worded }, late)?.conditions?.[0]).toMatchObject({
      message: 'still fine',
      lastTransitionTime: early,
    });
    const failed = { DatapathReady: { isTrue: false, reason: 'Differs', message: 'routes: no' } };
    expect(endpointStatus(said, { ...report, conditions: failed }, late)?.conditions?.[0]).toMatchObject({
      status: 'False',
      lastTransitionTime: late,
    });
  });

  it('names a wire without a record', () => {
    const orphan = {
      identity: 'a',
      containerId: 'c',
      podInterface: 'eth0',
      address: '10.1.0.1',
      interface: 'fast0',
      ifindex: 7,
    };
    expect(endpointStatus(said, { ...report, orphans: [orphan] }, late)?.orphans).toEqual([
      { address: '10.1.0.1', ownerUID: 'a', interface: 'fast0' },
    ]);
  });
});
