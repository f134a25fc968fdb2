// SPDX-License-Identifier: Apache-2.0
// How a wire is named and what becomes of it, as stories of one node.
import { describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { garbageOf, planAdd, wiresOf } from '../../src/wiring/add-plan.ts';
import { decideRecord, type RecordWorld } from '../../src/wiring/record-report.ts';
import { formatAlias, hostVethName, isHostVethName, parseAlias, podMacOf, type Wire } from '../../src/wiring/wire.ts';
import { wireProblems } from '../../src/wiring/wire-check.ts';
import { decideWires, type WireWorld } from '../../src/wiring/wire-fate.ts';

function record(address: string, uid: string, change: Partial<IpAllocation['spec']> = {}): IpAllocation {
  const owner = { kind: 'Pod' as const, namespace: 'default', name: `pod-${uid}`, uid };
  const spec: IpAllocation['spec'] = {
    address,
    ips: 'sample-ips',
    gateway: '10.244.0.1',
    prefixLength: 32,
    nodeName: 'one',
    nodeUID: 'node-1',
    owner,
    state: 'Bound',
    stateSince: '2026-01-01T00:00:00Z',
    ...change,
  };
  return { metadata: { name: address, uid: `record-${address}`, resourceVersion: '1' }, spec };
}

function wire(address: string, identity: string, containerId = 'c1', ifindex = 7, podInterface = 'eth0'): Wire {
  return { identity, containerId, podInterface, address, interface: `fast${containerId}`, ifindex };
}

describe('the label of a wire', () => {
  it('is read back from the alias as it was written', () => {
    const label = { identity: 'b0c1-uid', containerId: 'f00d', podInterface: 'net1@é', address: '10.244.10.0' };
    expect(formatAlias(label)).toBe('fast:b0c1-uid:f00d:10.244.10.0:net1@é');
    expect(parseAlias(formatAlias(label))).toEqual(label);
  });

  it('is for eth0 as agents of former releases wrote and read it, so that neither cuts the wires of the other', () => {
    const label = { identity: 'b0c1-uid', containerId: 'f00d', podInterface: 'eth0', address: '10.244.10.0' };
    expect(formatAlias(label)).toBe('fast:b0c1-uid:f00d:10.244.10.0');
    expect(parseAlias('fast:b0c1-uid:f00d:10.244.10.0')).toEqual(label);
  });

  it.each([
    '',
    'somebody else',
    'fast:a:b',
    'fast:a:b:10.0.0.1:net1:more',
    'fast:a:b:10.0.0.1:',
    'fast:a:b:10.0.0.1:a/b',
    'fast:a:b:10.0.0.01',
    'fast::b:10.0.0.1',
  ])('is not seen in the alias %j', (alias) => {
    expect(parseAlias(alias)).toBeUndefined();
  });

  it('refuses what an alias cannot hold, with the part and its value', () => {
    const label = { identity: 'a', containerId: 'c', podInterface: 'eth0', address: '10.0.0.1' };
    expect(() => formatAlias({ ...label, identity: 'a:b' })).toThrow(/identity "a:b"/);
    const longest = 255 - 'fast:a::10.0.0.1'.length;
    expect(formatAlias({ ...label, containerId: 'c'.repeat(longest) })).toHaveLength(255);
    expect(() => formatAlias({ ...label, containerId: 'c'.repeat(longest + 1) })).toThrow(/takes 255/);
  });

  it('fits the kernel for the longest names that fast-cni lets pass', () => {
    const label = { identity: 'i'.repeat(64), containerId: 'c'.repeat(128), podInterface: 'n'.repeat(15) };
    expect(parseAlias(formatAlias({ ...label, address: '255.255.255.255' }))).toMatchObject(label);
  });

  it('gives a veth name that the kernel takes and that is known again', () => {
    const name = hostVethName('uid', 'container', (text) => Buffer.from(text).toString('hex'));
    expect(name).toBe('fast7569642f63');
    expect(isHostVethName(name)).toBe(true);
    expect(isHostVethName('fast_vxlan')).toBe(false);
  });

  it('gives each address a MAC of local administration', () => {
    expect(podMacOf('10.244.10.0')).toBe('0a:fa:0a:f4:0a:00');
    expect(podMacOf('192.168.0.1')).toBe('0a:fa:c0:a8:00:01');
  });
});

describe('an ADD', () => {
  const request = { identity: 'a', containerId: 'c1' };

  it('waits while the pod has no record', () => {
    expect(planAdd(request, [record('10.0.0.1', 'b')], []).plan).toBe('wait');
  });

  it('attaches the pod to the address of its record', () => {
    const own = record('10.0.0.1', 'a');
    expect(planAdd(request, [own], [])).toEqual({ plan: 'attach', record: own, replaced: [] });
  });

  it('is an error of whoever asks twice, whatever name the interface is to have', () => {
    const own = record('10.0.0.1', 'a');
    const there = wire('10.0.0.1', 'a');
    expect(planAdd(request, [own], [there])).toEqual({ plan: 'exists', wire: there });
    const named = wire('10.0.0.1', 'a', 'c1', 7, 'net1');
    expect(planAdd(request, [own], [named])).toEqual({ plan: 'exists', wire: named });
  });

  it('replaces the wire of the former sandbox, and one that somebody left on the address', () => {
    const own = record('10.0.0.1', 'a');
    const old = wire('10.0.0.1', 'a', 'c0', 5);
    const stray = wire('10.0.0.1', 'z', 'c9', 4);
    const other = wire('10.0.0.2', 'b', 'c2', 6);
    expect(planAdd(request, [own], [old, stray, other])).toEqual({
      plan: 'attach',
      record: own,
      replaced: [old, stray],
    });
  });

  it.each(['Releasing', 'Cooling'] as const)('is refused while the record is %s', (state) => {
    const plan = planAdd(request, [record('10.0.0.1', 'a', { state })], []);
    expect(plan).toMatchObject({
      plan: 'refuse',
      because: expect.stringContaining(`10.0.0.1 of this pod is ${state}`),
    });
  });

  it('is refused once the address was released, though the record reads Bound', () => {
    const own = { ...record('10.0.0.1', 'a'), status: { released: { owner: { uid: 'a' } } } };
    expect(planAdd(request, [own], []).plan).toBe('refuse');
  });

  it('takes of two records the one that is wired, else the lowest', () => {
    const [low, high] = [record('10.0.0.9', 'a'), record('10.0.0.10', 'a')];
    expect(planAdd(request, [high, low], [])).toMatchObject({ plan: 'attach', record: low });
    expect(planAdd(request, [high, low], [wire('10.0.0.10', 'a', 'c0')])).toMatchObject({ record: high });
  });

  it('gives the next sandbox of a pod with two records the address that the former one had', () => {
    const [low, high] = [record('10.0.0.9', 'a'), record('10.0.0.10', 'a')];
    const attached = { owner: { uid: 'a' }, containerID: 'c0', interface: 'fastc0' };
    expect(planAdd(request, [{ ...high, status: { attached } }, low], [])).toMatchObject({
      record: { spec: high.spec },
    });
  });

  it('of a pod with two records keeps to the one that is wired now, whatever its status tells of the other', () => {
    const [low, high] = [record('10.0.0.9', 'a'), record('10.0.0.10', 'a')];
    const attached = { owner: { uid: 'a' }, containerID: 'c0', interface: 'fastc0' };
    const former = { ...low, status: { attached } };
    expect(planAdd(request, [former, high], [wire('10.0.0.10', 'a', 'c0')])).toMatchObject({ record: high });
  });

  it('does not take the wire of another pod for its own where a runtime gives two sandboxes one id', () => {
    const own = record('10.0.0.1', 'a');
    const stray = wire('10.0.0.1', 'z', 'c1');
    expect(planAdd(request, [own], [stray])).toEqual({ plan: 'attach', record: own, replaced: [stray] });
  });

  it('is undone by the DEL of its attachment alone: a sandbox and an interface', () => {
    const mine = wire('10.0.0.1', 'a', 'c1');
    const wires = [mine, wire('10.0.0.1', 'a', 'c2', 8), wire('10.0.0.2', 'b', 'c1', 9, 'net1')];
    expect(wiresOf({ containerId: 'c1', podInterface: 'eth0' }, wires)).toEqual([mine]);
    expect(wiresOf({ containerId: 'c3', podInterface: 'eth0' }, wires)).toEqual([]);
  });

  it('is garbage once the runtime does not hold its attachment any more', () => {
    const [held, stale, other] = [
      wire('10.0.0.1', 'a', 'c1', 7),
      wire('10.0.0.2', 'b', 'c2', 8),
      wire('10.0.0.3', 'c', 'c1', 9, 'net1'),
    ];
    const valid = [
      { containerId: 'c1', podInterface: 'eth0' },
      { containerId: 'c9', podInterface: 'eth0' },
    ];
    expect(garbageOf(valid, [held, stale, other])).toEqual([stale, other]);
    expect(garbageOf([], [held])).toEqual([held]);
  });
});

function fates(wires: Wire[], records: IpAllocation[], more: Partial<WireWorld> = {}) {
  return decideWires({
    wires,
    recordOf: (address) => records.find((one) => one.spec.address === address),
    otherHolder: () => undefined,
    mappedIfindex: () => undefined,
    ...more,
  });
}

describe('a wire that the kernel shows', () => {
  it('is kept while its pod holds the address, also when that is being released', () => {
    const there = wire('10.0.0.1', 'a');
    for (const state of ['Bound', 'Releasing'] as const) {
      expect(fates([there], [record('10.0.0.1', 'a', { state })])).toEqual({ kept: [there], orphans: [], cut: [] });
    }
  });

  it('is an orphan without a record, reported and not cut', () => {
    const there = wire('10.0.0.1', 'a');
    expect(fates([there], [])).toEqual({ kept: [there], orphans: [there], cut: [] });
  });

  it('is cut when the address belongs to another pod', () => {
    const { kept, cut } = fates([wire('10.0.0.1', 'a')], [record('10.0.0.1', 'b')]);
    expect(kept).toEqual([]);
    expect(cut[0]?.because).toBe('10.0.0.1 belongs to Pod default/pod-b (b) now');
  });

  it('is cut without a record when another node holds the address', () => {
    const { cut } = fates([wire('10.0.0.1', 'a')], [], { otherHolder: () => 'two' });
    expect(cut[0]?.because).toBe('node two holds 10.0.0.1 now');
  });

  it('gives way to the one in the map, else to the youngest', () => {
    const [old, young] = [wire('10.0.0.1', 'a', 'c1', 7), wire('10.0.0.1', 'a', 'c2', 9)];
    const own = [record('10.0.0.1', 'a')];
    expect(fates([old, young], own).kept).toEqual([young]);
    expect(fates([old, young], own, { mappedIfindex: () => 7 }).kept).toEqual([old]);
  });
});

function decision(own: IpAllocation, world: Partial<RecordWorld> = {}) {
  return decideRecord({
    record: own,
    wires: [],
    leaving: [],
    releasingForMs: 0,
    detachedForMs: 0,
    isOverlayAddress: false,
    ...world,
  });
}

describe('the status of a record', () => {
  const releasing = record('10.0.0.1', 'a', { state: 'Releasing' });
  const there = wire('10.0.0.1', 'a');

  it('names the wire that is attached, once', () => {
    const own = record('10.0.0.1', 'a');
    const attached = { owner: { uid: 'a' }, containerID: 'c1', interface: 'fastc1' };
    expect(decision(own, { wires: [there] })).toEqual({ decision: 'write', status: { attached } });
    expect(decision({ ...own, status: { attached } }, { wires: [there] })).toEqual({ decision: 'nothing' });
  });

  it('names the younger of two wires of the pod, which is the one that its next sandbox made', () => {
    const old = wire('10.0.0.1', 'a', 'c0', 5);
    const attached = { owner: { uid: 'a' }, containerID: 'c1', interface: 'fastc1' };
    for (const wires of [
      [old, there],
      [there, old],
    ]) {
      expect(decision(record('10.0.0.1', 'a'), { wires })).toEqual({ decision: 'write', status: { attached } });
    }
  });

  it('says that a wire is gone only when its record stays Bound: a pod that goes has one write less', () => {
    const attached = { owner: { uid: 'a' }, containerID: 'c1', interface: 'fastc1' };
    const own = { ...record('10.0.0.1', 'a'), status: { attached } };
    expect(decision(own, { detachedForMs: 4_000 })).toEqual({ decision: 'wait', ms: 6_000 });
    expect(decision(own, { detachedForMs: 10_000 })).toEqual({ decision: 'write', status: {} });
    const gone = { ...own, spec: { ...own.spec, state: 'Releasing' as const } };
    expect(decision(gone)).toEqual({ decision: 'write', status: { released: { owner: { uid: 'a' } } } });
  });

  it('waits 30 s for the DEL of a released pod, then cuts the wire', () => {
    expect(decision(releasing, { wires: [there], releasingForMs: 10_000 })).toEqual({ decision: 'wait', ms: 20_000 });
    expect(decision(releasing, { wires: [there], releasingForMs: 30_000 })).toEqual({
      decision: 'cut',
      wires: [there],
    });
  });

  it('says released only when nothing of the wire is left', () => {
    expect(decision(releasing, { leaving: [there] })).toMatchObject({ decision: 'wait' });
    const said = { ...releasing, status: { attached: { owner: { uid: 'a' }, containerID: 'c1', interface: 'x' } } };
    const status = { released: { owner: { uid: 'a' } } };
    expect(decision(said)).toEqual({ decision: 'write', status });
    expect(decision({ ...releasing, status })).toEqual({ decision: 'nothing' });
  });

  it('says released anew for a new owner', () => {
    const stale = { ...releasing, status: { released: { owner: { uid: 'before' } } } };
    expect(decision(stale)).toEqual({ decision: 'write', status: { released: { owner: { uid: 'a' } } } });
  });

  it("keeps the node's overlay address until the device has another", () => {
    const owner = { kind: 'Node' as const, name: 'one', uid: 'n' };
    const own = record('10.0.0.1', 'n', { owner, state: 'Releasing' });
    expect(decision(own, { isOverlayAddress: true })).toEqual({ decision: 'wait', ms: 2_000 });
    expect(decision(own)).toMatchObject({ decision: 'write', status: { released: { owner: { uid: 'n' } } } });
  });

  it.each(['Cooling', 'Reserved'] as const)('is not touched while the address is %s', (state) => {
    expect(decision(record('10.0.0.1', 'a', { state }))).toEqual({ decision: 'nothing' });
  });
});

it('a CHECK finds that the address which the runtime kept is another interface’s', () => {
  const there = wire('10.0.0.1', 'a');
  const where = { sandbox: '/run/netns/a', mtu: 1450, nodeAddress: '192.0.2.1', hostMac: '0a:00:00:00:00:01' };
  const told = (index: number): string[] => {
    const interfaces = [{ name: 'fastc1' }, { name: 'eth0', sandbox: '/run/netns/a' }];
    const result = { interfaces, ips: [{ address: '10.0.0.1/32', interface: index }] };
    const found = wireProblems({ wire: there, record: undefined, ...where }, { mappedIfindex: 7 }, result);
    return found.filter((each) => each.startsWith('prevResult'));
  };
  expect(told(1)).toEqual([]);
  expect(told(0)).toEqual(['prevResult has not the address 10.0.0.1 for eth0 but none']);
});
