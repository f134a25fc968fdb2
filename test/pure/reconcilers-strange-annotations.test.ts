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
