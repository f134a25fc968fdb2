// SPDX-License-Identifier: Apache-2.0
// A pod whose list of pools has a misspelt name gets its address from another pool than its owner means.
import { beforeEach, expect, it } from 'vitest';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  await cluster.settle();
});

it.each([
  [
    'nope, small',
    'annotation fast.io/ips names nope, which does not exist and was passed over; the address is from pool small; correct the annotation, or create the Ips nope',
  ],
  [
    'nope, Nay!, small',
    'annotation fast.io/ips names nope, Nay!, which do not exist and were passed over; the address is from pool small; correct the annotation',
  ],
  [
    `${'x'.repeat(300)}, b, c, d, e, small`,
    `annotation fast.io/ips names ${'x'.repeat(64)}…, b, c and 2 more, which do not exist and were passed over; the address is from pool small; correct the annotation`,
  ],
])('a pod is served by the next pool of its list, and told once that there is none called %s', async (list, note) => {
  cluster.addPool('small', ['10.0.0.0/30']);
  const pod = cluster.addPod('a', 'node-a', list);
  await cluster.settle();
  // Whatever changes on the pod, it is looked at again.
  cluster.pods.put({ ...pod, metadata: { ...pod.metadata, labels: { again: 'yes' } } });
  await cluster.settle();
  expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
  expect(cluster.events).toMatchObject([{ kind: 'Pod', type: 'Warning', reason: 'PoolNotFound', note }]);
});

it('a pod is told nothing of a pool that is only full, closed or behind the one that served', async () => {
  cluster.addPool('full', ['10.1.0.1'], { excludeIPs: ['10.1.0.1'] });
  cluster.addPool('broken', ['10.1.0.9-10.1.0.1']);
  cluster.addPool('gated', ['10.2.0.1'], { podSelector: { matchLabels: { app: 'x' } } });
  cluster.addPool('small', ['10.0.0.0/30']);
  cluster.addPod('a', 'node-a', 'full, broken, gated, small, nope');
  await cluster.settle();
  expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
  expect(cluster.events).toEqual([]);
});

it('a pod asks as one without the annotation when its own is empty', async () => {
  cluster.addPool('team', ['10.1.0.0/30']);
  cluster.namespaces.put({ metadata: { name: 'default', annotations: { 'fast.io/ips': 'team' } } });
  cluster.addPod('a', 'node-a', '');
  await cluster.settle();
  expect(cluster.podRecords()).toEqual(['10.1.0.0 Bound a']);
});

it('a pod is told that it is its namespace whose list names no pool', async () => {
  cluster.addPool('small', ['10.0.0.0/30']);
  cluster.namespaces.put({ metadata: { name: 'default', annotations: { 'fast.io/ips': 'nope, small' } } });
  cluster.addPod('a', 'node-a');
  await cluster.settle();
  expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
  expect(cluster.events.map((each) => each.note)).toEqual([
    'annotation fast.io/ips of namespace default names nope, which does not exist and was passed over; the address is from pool small; correct the annotation, or create the Ips nope',
  ]);
});
