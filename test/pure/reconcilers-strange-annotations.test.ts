// SPDX-License-Identifier: Apache-2.0
// A pod whose annotation is misspelt asks for the default pool without knowing it.
import { expect, it } from 'vitest';
import type { Pod } from '../../src/api/workloads.ts';
import { stripPod } from '../../src/operator/kinds.ts';
import { amiss, ofNodes, pool } from './cluster-view.ts';
import { ModelCluster } from './model-cluster.ts';

const podWith = (annotations: Record<string, string>): Pod => ({
  metadata: { name: 'web', namespace: 'default', uid: 'u', annotations },
  spec: {},
});

/** What the pod's event says, by what the controller keeps of the pod. */
async function toldTo(annotations: Record<string, string>): Promise<string | undefined> {
  const cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  await cluster.settle();
  cluster.addPod('web', 'node-a', undefined, { metadata: stripPod(podWith(annotations)).metadata });
  await cluster.settle();
  return cluster.events.at(-1)?.note;
}

const asItIs =
  'pool default-ips does not exist; create the Ips default-ips, or name another by the annotation fast.io/ips';

it.each([
  ['fast.io/pool', 'did you mean fast.io/ips?'],
  ['fast.io/IPs', 'did you mean fast.io/ips?'],
  ['fast.io/Ip', 'did you mean fast.io/ip?'],
  ['sample.fast.io/default-pool-of-pods', 'it knows fast.io/ips and fast.io/ip'],
])('a pod with the annotation %s is told that nobody knows it, while it waits', async (name, cure) => {
  expect(await toldTo({ [name]: 'sample-ips' })).toBe(
    `${asItIs}; it has the annotation ${name}, which Fast does not know; ${cure}`,
  );
});

it("others' annotations, and the one that the controller writes, are none of it", async () => {
  expect(await toldTo({ 'fast.io/expects': 'x', 'breakfast.io/pool': 'x', 'fast.io': 'x', 'a/fast.io': 'x' })).toBe(
    asItIs,
  );
});

/** Reason and note of all events on a pod that default-ips serves. */
async function toldToServed(annotations: Record<string, string>, ofNamespace = {}): Promise<string[]> {
  const cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  cluster.addPool('default-ips', ['10.0.0.0/29']);
  cluster.namespaces.put({ metadata: { name: 'default', annotations: ofNamespace } });
  await cluster.settle();
  cluster.addPod('web', 'node-a', undefined, { metadata: stripPod(podWith(annotations)).metadata });
  await cluster.settle();
  // Whatever changes on the pod, it is looked at again.
  cluster.addPod('web', 'node-a', undefined, { metadata: stripPod(podWith(annotations)).metadata });
  await cluster.settle();
  expect(cluster.held()).toContain('10.0.0.0 Bound web');
  return cluster.events.map(({ reason, note }) => `${reason}: ${note}`);
}

it('a pod that default-ips serves is told of its misspelt annotation, once', async () => {
  expect(await toldToServed({ 'fast.io/pool': 'sample-ips' })).toEqual([
    'AnnotationUnknown: its address is from pool default-ips; it has the annotation fast.io/pool, which Fast does not know; did you mean fast.io/ips?',
  ]);
});

it('a pod without such an annotation is told nothing, whatever its namespace has', async () => {
  expect(await toldToServed({ 'other.io/pool': 'x' })).toEqual([]);
  expect(await toldToServed({}, { 'fast.io/pool': 'x' })).toEqual([]);
});

it('a misspelt annotation of a namespace is named by fast-ctl status, and not as one that waits', () => {
  const annotated = (name: string, annotation: string) => ({ metadata: { name, annotations: { [annotation]: 'p' } } });
  const namespaces = [
    annotated('right', 'fast.io/ips'),
    annotated('shop', 'fast.io/pool'),
    annotated('lab', 'fast.io/ip'),
    annotated('others', 'other.io/pool'),
  ];
  expect(amiss({ namespaces })).toEqual([
    'doubtful pods: none waits for an address; 2 namespaces with an annotation that is not read' +
      ' | shop: its namespace has the annotation fast.io/pool, which Fast does not read there; did you mean fast.io/ips? -> kubectl edit namespace shop' +
      ' | lab: its namespace has the annotation fast.io/ip, which Fast does not read there; did you mean fast.io/ips? -> kubectl edit namespace lab',
  ]);
});

it('fast-ctl status says so of a pod that the scheduling gate holds', () => {
  const gates = { schedulingGates: [{ name: 'fast.io/address' }] };
  const unscheduled = [{ ...podWith({ 'fast.io/pool': 'p' }), spec: gates }];
  expect(amiss({ unscheduled, pools: [ofNodes(10), pool('p', 5)] }).join()).toContain(
    'which Fast does not know; did you mean fast.io/ips?',
  );
});

it('what the controller keeps of such an annotation is its name', () => {
  const kept = stripPod(podWith({ 'fast.io/pool': 'x'.repeat(1_000), 'other.io/a': 'x', 'fast.io/ips': 'p' }));
  expect(kept.metadata.annotations).toEqual({ 'fast.io/pool': '', 'fast.io/ips': 'p' });
});
