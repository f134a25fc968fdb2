// SPDX-License-Identifier: Apache-2.0
// What goes wrong between two writes, and must not last: lost creates, late views, nodes that come back, two records of
// one pod. Each story is named after what a person would have seen.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Ips } from '../../src/api/generated/ips.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  cluster.addPool('small', ['10.0.0.0/31']);
  await cluster.settle();
});

describe('a create that is refused', () => {
  it('is said with its reason, and keeps no address from other pods when its pod has gone', async () => {
    cluster.addPool('single', ['10.0.1.0']);
    cluster.refuseCreates = 'the webhook says no';
    cluster.addPod('a', 'node-a', 'single');
    await cluster.settle();
    const waiting = cluster.endpoints.live.get('node-a')?.spec.waiting ?? [];
    expect(waiting).toMatchObject([{ name: 'a', reason: 'RecordRefused', message: 'the webhook says no' }]);
    cluster.removePod('a');
    cluster.refuseCreates = '';
    cluster.addPod('b', 'node-a', 'single');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.1.0 Bound b']);
  });
});

describe('a create that got no answer', () => {
  it('does not make a pod wait for the last address, which is kept for that very pod', async () => {
    cluster.addPool('single', ['10.0.1.0']);
    await cluster.settle();
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addPod('a', 'node-a', 'single');
    await cluster.settle();
    await cluster.pass(5);
    expect(cluster.podRecords()).toEqual(['10.0.1.0 Bound a']);
  });

  it('does not make a node wait for the last overlay address, which is kept for that very node', async () => {
    const nodes = cluster.pools.live.get('fast-nodes') as Ips;
    const spec = { ...nodes.spec, ips: ['10.9.0.0-10.9.0.1'] };
    cluster.pools.put({ ...nodes, spec, metadata: { ...nodes.metadata, generation: 2 } });
    await cluster.settle();
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addNode('node-b', '10.29.15.50');
    await cluster.settle();
    await cluster.pass(5);
    expect(cluster.held()).toContain('10.9.0.1 Bound node-b');
  });

  it('gives the pod no address that its pool has lost meanwhile', async () => {
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    const small = cluster.pools.live.get('small') as Ips;
    const spec = { ...small.spec, ips: ['10.0.0.1'] };
    cluster.pools.put({ ...small, spec, metadata: { ...small.metadata, generation: 2 } });
    await cluster.settle();
    await cluster.pass(5_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound a']);
  });

  it('gives the pod an address of the pool that it names now, not the one promised by the pool that it named before', async () => {
    cluster.addPool('other', ['10.1.0.0/31']);
    cluster.nextCreateLoss = new Error('timeout');
    const pod = cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.pods.put({ ...pod, metadata: { ...pod.metadata, annotations: { 'fast.io/ips': 'other' } } });
    await cluster.settle();
    await cluster.pass(5);
    expect(cluster.podRecords()).toEqual(['10.1.0.0 Bound a']);
    expect(cluster.record('10.1.0.0').spec.ips).toBe('other');
  });

  it('gives the node no overlay address that the pool of nodes has lost meanwhile', async () => {
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addNode('node-b', '10.29.15.50');
    await cluster.settle();
    cluster.editPool('fast-nodes', { excludeIPs: ['10.9.0.1'] });
    await cluster.settle();
    await cluster.pass(5_000);
    expect(cluster.held()).toEqual(['10.9.0.0 Bound node-a', '10.9.0.2 Bound node-b']);
  });

  it('does not keep a pool from going, which then serves nobody, while the pod waits for that pool', async () => {
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    const small = cluster.pools.live.get('small') as Ips;
    cluster.pools.put({ ...small, metadata: { ...small.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    await cluster.settle();
    await cluster.pass(60_000);
    expect(cluster.pools.live.has('small')).toBe(false);
  });

  it('does not keep a pool from going that an edit has taken the address out of', async () => {
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.editPool('small', { ips: ['10.0.0.1'] });
    const small = cluster.pools.live.get('small') as Ips;
    cluster.pools.put({ ...small, metadata: { ...small.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    await cluster.settle();
    await cluster.pass(5);
    expect(cluster.pools.live.has('small')).toBe(false);
  });

  it('keeps the pool from going while nobody knows whether the pod has got its address', async () => {
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.isDeaf = true;
    const small = cluster.pools.live.get('small') as Ips;
    cluster.pools.put({ ...small, metadata: { ...small.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    await cluster.core.pools.reconcile('small');
    expect(cluster.pools.live.has('small')).toBe(true);
  });

  it('does not keep an address for ever when the pod is made again under its name', async () => {
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.removePod('a');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.addPod('b', 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toHaveLength(2);
  });

  it('does not keep an address for ever when the node is gone', async () => {
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addNode('node-b', '10.29.15.50');
    await cluster.settle();
    cluster.nodes.remove('node-b');
    await cluster.pass(5);
    cluster.addNode('node-c', '10.29.15.51');
    await cluster.settle();
    expect(cluster.held()).toContain('10.9.0.1 Bound node-c');
  });
});

describe('a read that the watch has overtaken', () => {
  it('does not put an old version in the place of the newer one, whose writes would conflict for ever', async () => {
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    const old = cluster.record('10.0.0.0');
    cluster.records.put({ ...old, status: { attached: { owner: { uid: 'x' }, containerID: 'c', interface: 'i' } } });
    cluster.core.book.observeAhead(old, 0);
    cluster.removePod('a');
    await cluster.settle();
    await cluster.pass(1_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
  });

  it('finds the record that took the place of one which the watch never showed', async () => {
    cluster.addPod('b', 'node-a', 'small');
    await cluster.settle();
    const shown = cluster.record('10.0.0.0');
    const never = { ...shown, metadata: { ...shown.metadata, uid: 'never shown' } };
    cluster.core.book.observeAhead(never, 0);
    cluster.nowMs += 60_000;
    await cluster.core.sweep();
    expect(cluster.core.book.record('10.0.0.0')?.metadata.uid).toBe(shown.metadata.uid);
  });
});

describe('a record that was gone before the watch could show it', () => {
  it('is counted no more by its pool, though an edit has taken the address out of that since', async () => {
    cluster.records.lose();
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.editPool('small', { ips: ['10.0.0.1'] });
    await cluster.settle();
    expect(cluster.pools.live.get('small')?.status).toMatchObject({ bound: 1, outOfRange: 1 });
    cluster.records.live.delete('10.0.0.0');
    cluster.pods.live.delete('default/a');
    cluster.nowMs += 10_000;
    await cluster.core.sweep();
    await cluster.settle();
    expect(cluster.pools.live.get('small')?.status).toMatchObject({ bound: 0, outOfRange: 0 });
  });
});

describe('a node that the view does not show yet', () => {
  it('keeps its overlay address: a live read decides', async () => {
    cluster.nodes.hold();
    const node = cluster.addNode('node-b', '10.29.15.50');
    const own = cluster.record('10.9.0.0');
    const spec = { ...own.spec, address: '10.9.0.1', nodeName: 'node-b', nodeUID: node.metadata.uid ?? '' };
    const owner = { kind: 'Node' as const, name: 'node-b', uid: node.metadata.uid ?? '' };
    cluster.records.put({ ...own, metadata: { name: '10.9.0.1' }, spec: { ...spec, owner } });
    await cluster.settle();
    expect(cluster.held()).toContain('10.9.0.1 Bound node-b');
  });
});

describe('two records of one owner, of two leaders', () => {
  const second = (of: string, address: string): void => {
    const record = cluster.record(of);
    cluster.records.put({
      ...record,
      metadata: { name: address },
      spec: { ...record.spec, address },
    });
  };

  it('become one when the agent has said which of them is wired', async () => {
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    second('10.0.0.0', '10.0.0.1');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound a']);
    const { uid } = cluster.record('10.0.0.1').spec.owner;
    const attached = { owner: { uid }, containerID: 'c', interface: 'i' };
    cluster.records.put({ ...cluster.record('10.0.0.1'), status: { attached } });
    await cluster.settle();
    expect(cluster.podRecords().sort()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound a']);
  });

  it('become one for a node too, and its overlay address stays', async () => {
    second('10.9.0.0', '10.9.0.1');
    cluster.records.put(cluster.record('10.9.0.0'));
    await cluster.settle();
    expect(cluster.endpoints.live.get('node-a')?.spec.overlayAddress).toBe('10.9.0.0');
    expect(cluster.held().sort()).toEqual(['10.9.0.0 Bound node-a', '10.9.0.1 Releasing node-a']);
  });
});

describe('a pool', () => {
  it('is not built anew for its own counts: at 150,000 records that would cost every status write 100 ms', async () => {
    const before = cluster.core.book.pool('small');
    const small = cluster.pools.live.get('small') as Ips;
    cluster.pools.put({ ...small, status: { ...small.status, free: 1 } });
    expect(cluster.core.book.pool('small')).toBe(before);
  });

  it('whose selector names a waiting pod serves it at once', async () => {
    cluster.addPod('a', 'node-a');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
    cluster.addPool('chosen', ['10.0.2.0'], { podSelector: {} });
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.2.0 Bound a']);
  });
});

describe('a pod that runs on after its record is lost with the whole of Fast', () => {
  it('gets a record of the address that it runs with, and no other pod gets that address', async () => {
    cluster.addPod('new', 'node-a', 'small');
    cluster.addPod('old', 'node-a', 'small', { status: { phase: 'Running', podIP: '10.0.0.0' } });
    await cluster.settle();
    expect(cluster.podRecords().sort()).toEqual(['10.0.0.0 Bound old', '10.0.0.1 Bound new']);
  });

  it('gets it even while the pool is not there yet, and others wait when nothing else is left', async () => {
    cluster.addPod('new', 'node-a', 'late');
    cluster.addPod('old', 'node-a', 'late', { status: { phase: 'Running', podIP: '10.0.3.0' } });
    await cluster.settle();
    cluster.addPool('late', ['10.0.3.0']);
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.3.0 Bound old']);
    expect(cluster.endpoints.live.get('node-a')?.spec.waiting?.map((each) => each.name)).toEqual(['new']);
  });

  it('frees the address for others when it is gone or finished', async () => {
    cluster.addPool('late', ['10.0.3.0']);
    const old = cluster.addPod('old', 'node-a', 'nowhere', { status: { phase: 'Running', podIP: '10.0.3.0' } });
    cluster.addPod('new', 'node-a', 'late');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
    cluster.pods.put({ ...old, status: { phase: 'Succeeded', podIP: '10.0.3.0' } });
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.3.0 Bound new']);
  });
});

describe('a new node to which two leaders gave an overlay address each', () => {
  it('keeps the one that its endpoint shows, as soon as the watch shows the endpoint', async () => {
    cluster.endpoints.hold();
    const node = cluster.addNode('node-b', '10.29.15.50');
    await cluster.settle();
    const own = cluster.record('10.9.0.1');
    expect(own.spec.owner.uid).toBe(node.metadata.uid);
    const spec = { ...own.spec, address: '10.9.0.2' };
    cluster.records.put({ metadata: { name: '10.9.0.2' }, spec });
    await cluster.settle();
    cluster.endpoints.resume();
    await cluster.settle();
    expect(cluster.held()).toEqual(['10.9.0.0 Bound node-a', '10.9.0.1 Bound node-b', '10.9.0.2 Releasing node-b']);
  });
});

describe('a node that has lost its own address', () => {
  it('keeps no address of a pod for ever that an unanswered write of its endpoint may have listed', async () => {
    const node = cluster.nodes.live.get('node-a');
    cluster.endpointWrites.fate = 'lost';
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.nodes.put({ metadata: node?.metadata ?? { name: '' }, status: { addresses: [] } });
    cluster.removePod('a');
    await cluster.settle();
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    cluster.endpointWrites.fate = undefined;
    await cluster.pass(60_000);
    expect(cluster.podRecords()).toEqual([]);
  });
});
