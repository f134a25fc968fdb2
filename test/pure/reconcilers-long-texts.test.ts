// SPDX-License-Identifier: Apache-2.0
// Annotations and webhooks write texts of any length. One that is longer than the schema allows must not stop the
// endpoint of a whole node.
import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeEndpointSpec } from '../../src/api/generated/node-endpoint.ts';
import { staticPodAnnotation } from '../../src/api/names.ts';
import { decideEndpoint } from '../../src/reconcilers/node-endpoint.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  cluster.addPool('small', ['10.0.0.0/31']);
  await cluster.settle();
});

const spec = (): NodeEndpointSpec | undefined => cluster.endpoints.live.get('node-a')?.spec;
const addPod = async (name: string, annotations: Record<string, string>): Promise<void> => {
  cluster.addPod(name, 'node-a', undefined, { metadata: { name, namespace: 'default', annotations } });
  await cluster.settle();
};

describe('a pod with a text that is too long', () => {
  it.each([
    ['fast.io/ip', { 'fast.io/ip': 'x'.repeat(2_000) }],
    ['fast.io/ip, in characters of two units', { 'fast.io/ip': `x${'😀'.repeat(1_000)}` }],
    ['fast.io/ips', { 'fast.io/ips': 'x'.repeat(2_000) }],
    ['its mirror', { [staticPodAnnotation]: 'x'.repeat(200), 'fast.io/ips': 'none' }],
  ])('as %s keeps no other pod of its node from being published', async (_, annotations) => {
    await addPod('wordy', annotations);
    await addPod('web', { 'fast.io/ips': 'small' });
    await cluster.pass(1_000);
    expect(spec()?.podAddresses).toEqual(['10.0.0.0']);
    expect(spec()?.waiting).toMatchObject([{ name: 'wordy' }]);
  });

  it('is told what it wrote, as far as a person can read it', async () => {
    await addPod('wordy', { 'fast.io/ip': '10.0.0.300'.repeat(100) });
    expect(cluster.events.at(-1)?.note).toBe(
      `annotation fast.io/ip: "${'10.0.0.300'.repeat(7).slice(0, 64)}…" is no IPv4 address; write one, such as 10.244.10.7`,
    );
    await addPod('long', { 'fast.io/ips': 'x'.repeat(254) });
    expect(cluster.events.at(-1)?.note).toContain(`pool "${'x'.repeat(64)}…" cannot exist: a name is`);
  });
});

describe('an endpoint', () => {
  const facts = {
    name: 'node-a',
    node: {
      metadata: { name: 'node-a', uid: 'u' },
      status: { addresses: [{ type: 'InternalIP', address: '10.29.15.49' }] },
    },
    records: [],
    existing: undefined,
  };
  const waiter = {
    key: 'default/a',
    kind: 'Pod' as const,
    uid: 'u',
    namespace: 'default',
    name: 'a',
    nodeName: 'node-a',
  };

  // Go decodes half a character as U+FFFD, and what comes back then differs from what was written, for ever.
  it('has no half of a character where a text is cut', () => {
    const message = `${'x'.repeat(1_023)}😀 the cut goes through a character`;
    const action = decideEndpoint({ ...facts, waiting: [{ ...waiter, pools: [], reason: 'RecordRefused', message }] });
    if (action.action !== 'create') throw new Error(action.action);
    const [seat] = action.endpoint.spec.waiting ?? [];
    expect(seat?.message).toHaveLength(1_024);
    expect(seat?.message.isWellFormed()).toBe(true);
  });
});
