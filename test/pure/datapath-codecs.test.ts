// SPDX-License-Identifier: Apache-2.0
// The maps' bytes, compared with literals: the programs read exactly these.
import { describe, expect, it } from 'vitest';
import {
  decodeAddressKey,
  decodeClusterPod,
  decodeCounters,
  decodeDrops,
  decodeLocalDev,
  decodeLocalPod,
  encodeAddressKey,
  encodeClusterPod,
  encodeClusterPods,
  encodeLocalDev,
  encodeLocalPod,
  type RawEntry,
} from '../../src/datapath/codecs.ts';
import { counters, layoutVersion, maps } from '../../src/datapath/generated/layout.ts';
import { mapPins, pinFolder } from '../../src/datapath/pins.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const pod = {
  address: '10.244.10.1',
  ifindex: 258,
  podMac: '0a:00:00:00:00:07',
  hostMac: '02:fa:57:00:00:01',
  stackOnly: true,
};

describe('codecs', () => {
  it('writes an address in network order, as packets have it', () => {
    expect(hex(encodeAddressKey('10.244.10.1'))).toBe('0af40a01');
    expect(decodeAddressKey(bytes('ff 00 00 01'))).toBe('255.0.0.1');
  });

  it('writes a local pod as the program reads it: index and flags little-endian, MACs as they are', () => {
    const [key, value] = encodeLocalPod(pod);
    expect(hex(key)).toBe('0af40a01');
    expect(hex(value)).toBe('02010000' + '0a0000000007' + '02fa57000001' + '01000000');
    expect(decodeLocalPod([key, value])).toEqual(pod);
  });

  it('writes a cluster pod with its node in network order', () => {
    const remote = { address: '10.244.10.1', nodeAddress: '172.30.0.2', direct: false, adjacent: false };
    const [key, value] = encodeClusterPod(remote);
    expect([hex(key), hex(value)]).toEqual(['0af40a01', 'ac1e000200000000']);
    expect(decodeClusterPod([key, value])).toEqual(remote);
  });

  it.each([
    [{ direct: true, adjacent: true }, '03000000'],
    [{ direct: false, adjacent: true }, '02000000'],
  ])('writes how another node is reached as flags %#', (way, flags) => {
    const remote = { address: '10.244.10.1', nodeAddress: '172.30.0.2', ...way };
    const entry = encodeClusterPod(remote);
    expect(hex(entry[1])).toBe(`ac1e0002${flags}`);
    expect(decodeClusterPod(entry)).toEqual(remote);
  });

  it('writes many cluster pods as it writes each', () => {
    const pods = [1, 2, 3].map((last) => ({
      address: `10.244.10.${last}`,
      nodeAddress: `172.30.0.${last}`,
      direct: last === 2,
      adjacent: last > 1,
    }));
    const texts = (raw: RawEntry[]) => raw.map(([key, value]) => hex(key) + hex(value));
    expect(texts(encodeClusterPods(pods))).toEqual(texts(pods.map(encodeClusterPod)));
    expect(encodeClusterPods([])).toEqual([]);
  });

  it('writes the node, with the fast path off as a flag', () => {
    const dev = {
      vxlanIfindex: 7,
      uplinkIfindex: 2,
      overlayAddress: '10.244.224.1',
      overlayMtu: 1450,
      uplinkMtu: 1500,
      fastPath: false,
    };
    const [key, value] = encodeLocalDev(dev);
    expect([hex(key), hex(value)]).toEqual([
      '00000000',
      '07000000' + '02000000' + '0af4e001' + 'aa050000' + 'dc050000' + '01000000',
    ]);
    expect(decodeLocalDev([key, value])).toEqual(dev);
  });

  it('sums a counter over the CPUs and shows those that never counted', () => {
    const readings = decodeCounters([[bytes('01000000'), bytes('0300000000000000 0400000000000000')]]);
    expect(readings).toHaveLength(counters.length);
    expect(readings[1]).toMatchObject({ name: 'from_pod_tunnel', program: 'from_pod', drop: false, packets: 7n });
    expect(readings[0]?.packets).toBe(0n);
  });

  it('reads the drops by age, wherever in the round they stand, and leaves out slots that were never written', () => {
    const record = (sequence: string, ports: string): Uint8Array =>
      bytes(`00e40b5402000000 ${sequence} 29000000 07000000 62000000 0af40a01 0af40a00 ac1e0002 0800 ${ports} 06 00`);
    const raw: RawEntry[] = [
      [bytes('00000000'), record('0004000000000000', '9c40 1f90')],
      [bytes('01000000'), record('0104000000000000', '0001 0002')],
      [bytes('02000000'), new Uint8Array(48)],
      [bytes('03000000'), record('0300000000000000', '0003 0004')],
    ];
    const drops = decodeDrops(raw);
    expect(drops.map(({ sequence }) => sequence)).toEqual([3, 1024, 1025]);
    expect(drops[1]).toEqual({
      atNs: 10_000_000_000n,
      sequence: 1024,
      program: 'from_overlay',
      reason: 'source',
      meaning: "the tunnel's other end does not hold the inner source",
      ifindex: 7,
      bytes: 98,
      etherType: 0x0800,
      source: '10.244.10.1',
      destination: '10.244.10.0',
      tunnelSource: '172.30.0.2',
      protocol: 6,
      sourcePort: 40_000,
      destinationPort: 8080,
    });
  });

  it('reads a value that lies inside a bigger buffer', () => {
    const buffer = bytes('ffff 0af40a01 ffff');
    expect(decodeAddressKey(buffer.subarray(2, 6))).toBe('10.244.10.1');
  });

  it.each([
    [() => encodeAddressKey('10.0.0.01'), '"10.0.0.01" is no IPv4 address'],
    [() => encodeLocalPod({ ...pod, podMac: '0a:00' }), 'podMac is "0a:00"'],
    [() => encodeLocalPod({ ...pod, ifindex: -1 }), 'ifindex is -1'],
    [() => decodeLocalPod([bytes('0af40a01'), bytes('00')]), "has 1 bytes, this build's layout has 20"],
  ])('names what is wrong with its value %#', (work, message) => {
    expect(work).toThrow(message);
  });
});

describe('layout', () => {
  it("pins every map under the layout's version", () => {
    expect(layoutVersion).toBe(2);
    expect(pinFolder('/sys/fs/bpf/fast')).toBe('/sys/fs/bpf/fast/v2');
    expect(mapPins('/sys/fs/bpf/fast')).toEqual({
      local_pod_ips: '/sys/fs/bpf/fast/v2/local_pod_ips',
      cluster_pod_ips: '/sys/fs/bpf/fast/v2/cluster_pod_ips',
      local_dev: '/sys/fs/bpf/fast/v2/local_dev',
      counters: '/sys/fs/bpf/fast/v2/counters',
      drops: '/sys/fs/bpf/fast/v2/drops',
      drops_told: '/sys/fs/bpf/fast/v2/drops_told',
      drops_written: '/sys/fs/bpf/fast/v2/drops_written',
    });
  });

  it('has room for 150,000 pods and 5,000 nodes', () => {
    expect(maps.clusterPodIps.maxEntries).toBeGreaterThan(155_000);
    expect(maps.localPodIps.maxEntries).toBeGreaterThanOrEqual(1024);
  });

  it('tells program, verdict and reason of every counter, and never one twice', () => {
    expect(counters.filter(({ verdict, drop }) => drop !== (verdict === 'drop'))).toEqual([]);
    expect(counters[0]).toMatchObject({ program: 'from_pod', verdict: 'redirect', reason: 'local' });
    const labels = counters.map(({ program, verdict, reason }) => `${program} ${verdict} ${reason}`);
    expect(new Set(labels).size).toBe(counters.length);
  });
});
