// SPDX-License-Identifier: Apache-2.0
// What goes wrong between two writes, and must not last: lost creates, late views, nodes that come back, two records of
// one pod. Each story is named after what a person would have seen.
import { beforeEach, describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
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

const podRecords = (): string[] => cluster.held().filter((line) => !line.startsWith('10.9.'));
const live = (address: string): IpAllocation => {
  const record = cluster.records.live.get(address);
  if (record === undefined) throw new Error(`no record ${address}`);
  return record;
};

describe('a create that got no answer', () => {
  it('does not make a pod wait for the last address, which is kept for that very pod', async () => {
    cluster.addPool('single', ['10.0.1.0']);
    await cluster.settle();
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addPod('a', 'node-a', 'single');
    await cluster.settle();
    await cluster.pass(5);
    expect(podRecords()).toEqual(['10.0.1.0 Bound a']);
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

  it('does not keep an address for ever when the pod is made again under its name', async () => {
    cluster.nextCreateLoss = new Error('timeout');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.removePod('a');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.addPod('b', 'node-a', 'small');
    await cluster.settle();
    expect(podRecords()).toHaveLength(2);
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
    const old = live('10.0.0.0');
    cluster.records.put({ ...old, status: { attached: { owner: { uid: 'x' }, containerID: 'c', interface: 'i' } } });
    cluster.core.book.observeAhead(old, 0);
    cluster.removePod('a');
    await cluster.settle();
    await cluster.pass(1_000);
    expect(podRecords()).toEqual(['10.0.0.0 Releasing a']);
  });

  it('finds the record that took the place of one which the watch never showed', async () => {
    cluster.addPod('b', 'node-a', 'small');
    await cluster.settle();
    const shown = live('10.0.0.0');
    const never = { ...shown, metadata: { ...shown.metadata, uid: 'never shown' } };
    cluster.core.book.observeAhead(never, 0);
    cluster.nowMs += 60_000;
    await cluster.core.sweep();
    expect(cluster.core.book.record('10.0.0.0')?.metadata.uid).toBe(shown.metadata.uid);
  });
});
