// SPDX-License-Identifier: Apache-2.0
// Pods that ask not to be scheduled before there is an address for them.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Pod } from '../../src/api/workloads.ts';
import { liftedPatch } from '../../src/reconcilers/scheduling-gate.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  cluster.addPool('pair', ['10.0.0.0/31']);
  await cluster.settle();
});

const gates = [{ name: 'fast.io/address' }, { name: 'example.org/other' }];
const addGated = async (name: string, more: Partial<Pod['spec']> = {}, pool = 'pair'): Promise<void> => {
  cluster.addPod(name, '', pool, { spec: { schedulingGates: gates, ...more } });
  await cluster.settle();
};
const gatesOf = (name: string): string =>
  (cluster.pods.live.get(`default/${name}`)?.spec.schedulingGates ?? []).map((gate) => gate.name).join();
const bind = async (name: string): Promise<void> => {
  const pod = cluster.pods.live.get(`default/${name}`);
  if (pod === undefined) throw new Error(`no pod ${name}`);
  cluster.pods.put({ ...pod, spec: { nodeName: 'node-a' } });
  await cluster.settle();
};
const note = (): string => `${cluster.events.at(-1)?.object.metadata.name} ${cluster.events.at(-1)?.note}`;

describe('a pod with the gate fast.io/address', () => {
  it('is let through when its pool has an address, and keeps the gates of others', async () => {
    await addGated('a');
    expect(gatesOf('a')).toBe('example.org/other');
    expect(cluster.held().filter((line) => line.startsWith('10.0.'))).toEqual([]);
  });

  it('waits for one that is not another’s who was let through before, and is let through by itself', async () => {
    for (const name of ['a', 'b', 'c']) await addGated(name);
    expect(gatesOf('c')).toContain('fast.io/address');
    expect(note()).toBe(
      'c pool pair has 2 addresses left, for 2 pods let through before this one; add ranges to its spec.ips',
    );
    for (const name of ['a', 'b']) await bind(name);
    expect(gatesOf('c')).toContain('fast.io/address');
    cluster.removePod('a');
    await cluster.settle();
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(gatesOf('c')).toBe('example.org/other');
    await bind('c');
    expect(cluster.records.live.get('10.0.0.0')?.spec.owner.name).toBe('c');
  });

  it('is not let through for an address at rest that its pool has lost by an edit', async () => {
    cluster.addPool('edited', ['10.2.0.0/31'], { coolDownSeconds: 600 });
    cluster.addPod('old', 'node-a', 'edited');
    await cluster.settle();
    cluster.removePod('old');
    await cluster.settle();
    cluster.sayReleased('10.2.0.0');
    cluster.editPool('edited', { ips: ['10.2.0.1'] });
    await cluster.settle();
    for (const name of ['a', 'b']) await addGated(name, {}, 'edited');
    expect([gatesOf('a'), gatesOf('b')]).toEqual(['example.org/other', 'fast.io/address,example.org/other']);
    expect(note()).toContain('b pool edited has 1 address left, for 1 pod let through before this one; add ranges');
  });

  it('is let through for an address at rest where its pool has no other left, and the next one is not', async () => {
    cluster.addPool('resting', ['10.2.0.0/31'], { coolDownSeconds: 600 });
    cluster.addPod('old', 'node-a', 'resting');
    await cluster.settle();
    cluster.removePod('old');
    await cluster.settle();
    cluster.sayReleased('10.2.0.0');
    await cluster.settle();
    for (const name of ['a', 'b', 'c']) await addGated(name, {}, 'resting');
    const gated = 'fast.io/address,example.org/other';
    expect(['a', 'b', 'c'].map(gatesOf)).toEqual(['example.org/other', 'example.org/other', gated]);
  });

  it('is let through by a patch that a change of the pod meanwhile refuses', () => {
    const metadata = { name: 'a', namespace: 'default', resourceVersion: '7' };
    const pod = { metadata, spec: { schedulingGates: [{ name: 'fast.io/address' }, { name: 'example.org/other' }] } };
    expect(liftedPatch(pod, 'pair')).toEqual({
      metadata: { resourceVersion: '7', annotations: { 'fast.io/expects': 'pair' } },
      spec: { schedulingGates: [{ name: 'example.org/other' }] },
    });
  });

  it('keeps its place when somebody else’s patch let it through a moment before', async () => {
    cluster.addPool('single', ['10.1.0.0']);
    cluster.duringPatch = () => {
      cluster.duringPatch = () => undefined;
      const pod = cluster.pods.live.get('default/a') as Pod;
      const metadata = { ...pod.metadata, annotations: { ...pod.metadata.annotations, 'fast.io/expects': 'single' } };
      cluster.pods.put({ ...pod, metadata, spec: { schedulingGates: [] } });
    };
    await addGated('a', {}, 'single');
    await addGated('b', {}, 'single');
    expect([gatesOf('a'), gatesOf('b')]).toEqual(['', 'fast.io/address,example.org/other']);
  });

  it('keeps its place though the record of a former pod of its name comes late, as in a StatefulSet', async () => {
    cluster.addPool('single', ['10.1.0.0']);
    await addGated('a', {}, 'single');
    expect(cluster.core.book.expected.serve({ kind: 'Pod', namespace: 'default', name: 'a', uid: 'former' })).toBe(
      undefined,
    );
    await addGated('b', {}, 'single');
    expect(gatesOf('b')).toContain('fast.io/address');
  });

  it('takes the place of one that was let through and is gone', async () => {
    for (const name of ['a', 'b', 'c']) await addGated(name);
    cluster.removePod('a');
    await cluster.settle();
    expect(gatesOf('c')).toBe('example.org/other');
  });

  it('is not let through twice over by a new leader, which reads from the pods who was', async () => {
    for (const name of ['a', 'b', 'c']) await addGated(name);
    cluster.changeLeader();
    await cluster.settle();
    expect(gatesOf('c')).toContain('fast.io/address');
  });

  it('does not wait, for a new leader, behind pods that have had their addresses for long', async () => {
    await addGated('a');
    await bind('a');
    expect(cluster.held()).toContain('10.0.0.0 Bound a');
    cluster.changeLeader();
    await cluster.settle();
    await addGated('b');
    expect(gatesOf('b')).toBe('example.org/other');
  });

  it('is not let through twice over while the watch does not show who was', async () => {
    cluster.isDeaf = true;
    for (const name of ['a', 'b', 'c']) await addGated(name);
    cluster.isDeaf = false;
    cluster.pods.hold();
    cluster.core.router.wakeAll();
    await cluster.settle();
    cluster.pods.resume();
    await cluster.settle();
    expect([gatesOf('a'), gatesOf('b')]).toEqual(['example.org/other', 'example.org/other']);
    expect(gatesOf('c')).toContain('fast.io/address');
  });

  it('does not stay gated for ever, as behind itself, because the patch that was to let it through failed', async () => {
    cluster.addPool('single', ['10.1.0.0']);
    cluster.nextPatchLoss = new Error('timeout');
    await addGated('a', {}, 'single');
    await addGated('b', {}, 'single');
    expect(note()).toContain('b pool single has 1 address left, for 1 pod let through before this one');
    await cluster.pass(5);
    expect([gatesOf('a'), gatesOf('b')]).toEqual(['example.org/other', 'fast.io/address,example.org/other']);
  });

  it('whose patch failed and that its pool does not serve any more keeps no address from others', async () => {
    cluster.addPool('single', ['10.1.0.0']);
    cluster.nextPatchLoss = new Error('timeout');
    await addGated('a', {}, 'single');
    await addGated('b', {}, 'single');
    cluster.editPool('single', { podSelector: { matchLabels: { tier: 'front' } } });
    const b = cluster.pods.live.get('default/b') as Pod;
    cluster.pods.put({ ...b, metadata: { ...b.metadata, labels: { tier: 'front' } } });
    await cluster.settle();
    await cluster.pass(5);
    expect([gatesOf('a'), gatesOf('b')]).toEqual(['fast.io/address,example.org/other', 'example.org/other']);
  });

  it('says that its pool is not there, and is let through once it is', async () => {
    await addGated('a', {}, 'none');
    expect(note()).toContain('a pool none does not exist; create the Ips none');
    cluster.addPool('none', ['10.1.0.0']);
    await cluster.settle();
    expect(gatesOf('a')).toBe('example.org/other');
  });

  it('of a pool for some nodes is let through, for the scheduler has not chosen one', async () => {
    cluster.addPool('zoned', ['10.1.0.0'], { nodeSelector: { matchLabels: { zone: 'z' } } });
    await addGated('a', {}, 'zoned');
    expect(gatesOf('a')).toBe('example.org/other');
  });

  it('on the host network is let through at once', async () => {
    await addGated('a', { hostNetwork: true }, 'none');
    expect(gatesOf('a')).toBe('example.org/other');
  });
});
