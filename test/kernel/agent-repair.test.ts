// SPDX-License-Identifier: Apache-2.0
// What others do to a node, and that one full comparison mends it or names it.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfLink, ensureClsact, Netns, replaceFilter, RouteSocket, tcxChain } from 'ebpf-native';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { layoutVersion } from '../../src/datapath/generated/layout.ts';
import { DevicePrograms } from '../../src/node/device-programs.ts';
import { openHost } from '../../src/node/host.ts';
import type { Attachment } from '../../src/protocol/messages.ts';
import { AgentNode, endpointOf, inside, netnsPath, one, outsideDown, outsideUp, ping, two } from './agent-node.ts';
import { DatapathObject } from './datapath-object.ts';
import { eventually } from './eventually.ts';
import { record } from './memory-records.ts';

interface LinkWords {
  ifindex: number;
  address: string;
  mtu: number;
}

let node: AgentNode;
let wired: Attachment;
let other: DatapathObject;

const link = (namespace: string, name: string): LinkWords =>
  (JSON.parse(inside(namespace, 'ip', '-j', 'link', 'show', name)) as [LinkWords])[0];
const vxlan = (): number => link('one', 'fast_vxlan').ifindex;

/** Work in the node's namespace. */
function there<T>(work: (netns: Netns) => T): T {
  const netns = Netns.open(netnsPath('one'));
  try {
    return netns.run(() => work(netns));
  } finally {
    netns.close();
  }
}

const chain = (direction: 'ingress' | 'egress') => there(() => tcxChain(vxlan(), direction).programs);
const filters = (): string => inside('one', 'tc', 'filter', 'show', 'dev', wired.hostInterface, 'ingress');

beforeAll(async () => {
  await outsideUp();
  other = await DatapathObject.load();
  node = await AgentNode.up(one, [endpointOf(one), endpointOf(two, ['10.244.10.9'])]);
  node.sandbox('p1');
  node.records.put(record('10.244.10.0', 'p1'));
  wired = await node.add('p1', 'p1');
});

afterAll(async () => {
  other?.close();
  await node?.down();
  outsideDown();
});

beforeEach(async () => {
  await node.compare();
});

describe('one comparison mends', () => {
  it('a second program of ours on the device, and leaves others’ alone', async () => {
    const [second, stranger] = there(() => [
      BpfLink.attachTcx(other.object.program('from_overlay'), vxlan(), 'ingress'),
      BpfLink.attachTcx(other.object.program('to_overlay'), vxlan(), 'ingress'),
    ]) as [BpfLink, BpfLink];
    expect(chain('ingress')).toHaveLength(3);
    await node.compare();
    expect(chain('ingress').map(({ programId }) => programId)).toEqual([
      expect.any(Number),
      other.object.program('to_overlay').id,
    ]);
    expect(second.info().ifindex).toBe(0);
    second.close();
    stranger.close();
  });

  it('a second from_pod on a wire', async () => {
    there((netns) => {
      const socket = RouteSocket.open(netns);
      const program = other.object.program('from_pod');
      const spec = { priority: 88, handle: 1, name: 'fast_from_pod', program };
      replaceFilter(socket, link('one', wired.hostInterface).ifindex, 'ingress', spec);
      socket.close();
    });
    expect(filters().match(/fast_from_pod/g)).toHaveLength(2);
    await node.compare();
    expect(filters().match(/fast_from_pod/g)).toHaveLength(1);
  });

  it('a link that somebody detached', async () => {
    const pin = join(node.pinFolder, `v${layoutVersion}/link_to_overlay`);
    const detached = BpfLink.openPinned(pin);
    detached.detach();
    detached.close();
    expect(chain('egress')).toEqual([]);
    await node.compare();
    expect(chain('egress')).toHaveLength(1);
  });

  it('lost pins, before a restart begins with empty maps', async () => {
    rmSync(join(node.pinFolder, `v${layoutVersion}`), { recursive: true });
    await node.compare();
    const before = chain('ingress');
    await node.stop();
    await node.start();
    expect(chain('ingress').map(({ linkId }) => linkId)).toEqual(before.map(({ linkId }) => linkId));
    expect(ping('one', '10.244.10.0').received).toBe(5);
  });

  it('a filter that another agent put in the place of ours', async () => {
    there((netns) => {
      const socket = RouteSocket.open(netns);
      const index = link('one', wired.hostInterface).ifindex;
      ensureClsact(socket, index);
      const program = other.object.program('from_pod');
      replaceFilter(socket, index, 'ingress', { priority: 87, handle: 0xfa57, name: 'other', program });
      socket.close();
    });
    expect(filters()).toContain(`id ${other.object.program('from_pod').id} `);
    await node.compare();
    expect(filters()).not.toContain(`id ${other.object.program('from_pod').id} `);
    expect(ping('one', '10.244.10.0').received).toBe(5);
  });

  it.each([
    ['the tunnel’s device', () => 'fast_vxlan'],
    ['a pod’s wire', () => wired.hostInterface],
  ])('a changed MAC of %s', async (_, name) => {
    const before = link('one', name()).address;
    inside('one', 'ip', 'link', 'set', name(), 'address', '0a:00:00:00:00:99');
    await node.compare();
    expect(link('one', name()).address).toBe(before);
    expect(ping('one', '10.244.10.0').received).toBe(5);
  });

  it('rp_filter that systemd set on new devices', async () => {
    const keys = ['fast_vxlan', wired.hostInterface].map((name) => `net.ipv4.conf.${name}.rp_filter`);
    for (const key of keys) inside('one', 'sysctl', '-qw', `${key}=2`);
    await node.compare();
    expect(inside('one', 'sysctl', '-n', ...keys)).toBe('0\n0\n');
  });

  it('a device that was deleted, with its routes, address and programs', async () => {
    const before = inside('one', 'ip', 'route');
    inside('one', 'ip', 'link', 'del', 'fast_vxlan');
    await node.compare();
    expect(inside('one', 'ip', 'route')).toBe(before);
    expect([chain('ingress'), chain('egress')].map((programs) => programs.length)).toEqual([1, 1]);
  });

  it('a route and a rule that networkd removed', async () => {
    const before = [inside('one', 'ip', 'route'), inside('one', 'nft', '-s', 'list', 'table', 'ip', 'fast')];
    inside('one', 'ip', 'route', 'flush', 'proto', '250');
    inside('one', 'nft', 'delete', 'table', 'ip', 'fast');
    await node.compare();
    expect([inside('one', 'ip', 'route'), inside('one', 'nft', '-s', 'list', 'table', 'ip', 'fast')]).toEqual(before);
  });
});

describe('a wire whose veth goes in the middle of a comparison', () => {
  it('is no fault', async () => {
    node.sandbox('p3');
    node.records.put(record('10.244.10.3', 'p3'));
    const { hostInterface } = await node.add('p3', 'p3');
    const { book, comparison } = node.wiring;
    const list = book.list.bind(book);
    const read = vi.spyOn(book, 'list');
    await comparison.runNow(true);
    // The last look into the book is behind the list of links.
    const reads = read.mock.calls.length;
    inside('one', 'ip', 'link', 'set', hostInterface, 'mtu', '1400');
    read.mockClear();
    read.mockImplementation(() => {
      if (read.mock.calls.length === reads) inside('one', 'ip', 'link', 'del', hostInterface);
      return list();
    });
    await comparison.runNow(true);
    read.mockRestore();
    expect(() => link('one', hostInterface)).toThrow();
    expect(comparison.problems()).toEqual([]);
    node.records.remove('10.244.10.3');
  });
});

describe('a kernel without tcx', () => {
  it('has the programs of devices as filters, each once', () => {
    inside('one', 'ip', 'link', 'add', 'd0', 'type', 'bridge');
    const netns = Netns.open(netnsPath('one'));
    const host = openHost(netns);
    const programs = new DevicePrograms(host, node.pinFolder, undefined, false);
    const { ifindex } = link('one', 'd0');
    const place = { ifindex, direction: 'ingress', program: other.object.program('from_uplink') } as const;
    expect([programs.has('from_uplink', ifindex), programs.ensure(place, true)]).toEqual([false, 1]);
    expect([programs.has('from_uplink', ifindex), programs.ensure(place, true)]).toEqual([true, 0]);
    const stray = { priority: 99, handle: 1, name: 'fast_from_uplink', program: place.program };
    replaceFilter(host.socket, ifindex, 'ingress', stray);
    expect(programs.ensure(place, true)).toBe(1);
    expect(inside('one', 'tc', 'filter', 'show', 'dev', 'd0', 'ingress').match(/fast_from_uplink/g)).toHaveLength(1);
    expect(programs.remove('from_uplink', ifindex, 'ingress')).toBe(1);
    expect(programs.has('from_uplink', ifindex)).toBe(false);
    inside('one', 'ip', 'link', 'del', 'd0');
  });
});

describe('one comparison names', () => {
  it('a wire with another’s qdisc in the place of ours, and mends all the others, which new pods join', async () => {
    node.sandbox('p2');
    node.records.put(record('10.244.10.1', 'p2'));
    const { hostInterface } = await node.add('p2', 'p2');
    const [first, second] = node.wiring.book.list().map((wire) => wire.interface) as [string, string];
    expect([first, second]).toEqual([wired.hostInterface, hostInterface]);
    for (const name of [first, second]) inside('one', 'tc', 'qdisc', 'del', 'dev', name, 'clsact');
    inside('one', 'tc', 'qdisc', 'add', 'dev', first, 'ingress');
    await node.wiring.comparison.runNow(true);
    expect(inside('one', 'tc', 'filter', 'show', 'dev', second, 'ingress')).toContain('fast_from_pod');
    expect(node.wiring.comparison.problems()).toEqual([
      expect.stringMatching(`^single-wires: 1 of 2 wires cannot be mended: ${first} of 10.244.10.0: .*qdisc 'ingress'`),
    ]);
    expect([node.wiring.unavailable(), node.wiring.obstacle()]).toEqual([undefined, undefined]);
    await node.wiring.comparison.runNow(false);
    expect(node.wiring.comparison.problems()).toHaveLength(1);
    inside('one', 'tc', 'qdisc', 'del', 'dev', first, 'ingress');
    await node.wiring.comparison.runNow(false);
    expect(node.wiring.comparison.problems()).toEqual([]);
    expect(filters()).toContain('fast_from_pod');
    await node.del('p2', 'p2');
  });

  it('a second vxlan that has the port, and how to be rid of it', async () => {
    inside('one', 'ip', 'link', 'del', 'fast_vxlan');
    inside('one', 'ip', 'link', 'add', 'flannel.1', 'type', 'vxlan', 'external', 'dstport', '4789');
    inside('one', 'ip', 'link', 'set', 'flannel.1', 'up');
    await expect(node.compare()).rejects.toThrow(
      'fast_vxlan cannot be brought up: the vxlan device flannel.1 has UDP port 4789 already; ip link del flannel.1',
    );
    inside('one', 'ip', 'link', 'del', 'flannel.1');
    await node.compare();
  });
});

describe('the MTU', () => {
  const sizes = (): number[] => [
    link('one', 'fast_vxlan').mtu,
    link('one', wired.hostInterface).mtu,
    link('p1', 'eth0').mtu,
  ];

  it.each([
    ['smaller', 1400, 1350],
    ['bigger', 9000, 8950],
    ['what it was', 1500, 1450],
  ])('follows an uplink that becomes %s, running pods too', async (_, uplink, pods) => {
    inside('one', 'ip', 'link', 'set', 'up0', 'mtu', String(uplink));
    await node.compare();
    expect(sizes()).toEqual([pods, pods, pods]);
  });

  it('tells a pod with a bigger one by frag-needed, and fragments nothing in silence', async () => {
    inside('one', 'ip', 'link', 'set', 'up0', 'mtu', '1400');
    await node.compare();
    inside('p1', 'ip', 'link', 'set', 'eth0', 'mtu', '1450');
    inside('one', 'ip', 'link', 'set', wired.hostInterface, 'mtu', '1450');
    const size = ['-s', '1400', '-M', 'do', '-c', '1', '-W', '1', '10.244.10.9'];
    expect(() => inside('p1', 'ping', ...size)).toThrow();
    expect(inside('p1', 'ip', 'route', 'get', '10.244.10.9')).toContain('mtu 1350');
    inside('one', 'ip', 'link', 'set', 'up0', 'mtu', '1500');
  });
});

describe('a node without an overlay address', () => {
  const withoutAddress = (): NodeEndpoint => {
    const { metadata, spec } = endpointOf(one);
    const { overlayAddress: _former, ...rest } = spec;
    return { metadata, spec: { ...rest, nodeUID: 'node-one-anew' } };
  };
  const former = record(one.overlayAddress, 'node-one', {
    owner: { kind: 'Node', name: 'one', uid: 'node-one' },
    state: 'Releasing',
  });
  const released = (address: string) => node.records.get(address)?.status?.released?.owner.uid;

  afterEach(async () => {
    node.endpoints[0] = endpointOf(one);
    for (const address of [one.overlayAddress, '10.244.10.7']) node.records.remove(address);
    await node.compare();
    expect(node.wiring.comparison.problems()).toEqual([]);
  });

  it('gives up the former one, and says so when the device has it no more', async () => {
    node.records.put(former);
    expect(inside('one', 'ip', 'addr', 'show', 'fast_vxlan')).toContain(one.overlayAddress);
    expect(released(one.overlayAddress)).toBeUndefined();
    node.endpoints[0] = withoutAddress();
    await node.wiring.comparison.runNow(true);
    expect(inside('one', 'ip', 'addr', 'show', 'fast_vxlan')).not.toContain(one.overlayAddress);
    expect(await eventually(() => released(one.overlayAddress), 5_000)).toBe('node-one');
  });

  it('lets go of released pods even where its agent starts so: theirs may be all addresses that there are', async () => {
    node.endpoints[0] = withoutAddress();
    await node.stop();
    node.records.put(record('10.244.10.7', 'gone', { state: 'Releasing' }));
    node.records.put(former);
    await node.start(true);
    expect(await eventually(() => released('10.244.10.7'))).toBe('gone');
    expect(await eventually(() => released(one.overlayAddress))).toBe('node-one');
  });
});
