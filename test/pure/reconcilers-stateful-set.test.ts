// SPDX-License-Identifier: Apache-2.0
// The addresses of a StatefulSet's pods are kept for their ordinals.
import { beforeEach, describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { reservedForOf } from '../../src/reconcilers/stateful-set.ts';
import { tellStory } from './address-story.ts';

const story = tellStory();
const { records, waiting, pod, release } = story;

describe('a StatefulSet', () => {
  const set = 'set-uid';
  const more = (ordinal: number, uid = set): Partial<Pod> => ({
    metadata: {
      name: `web-${ordinal}`,
      namespace: 'default',
      annotations: { 'fast.io/ips': 'kept' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid, controller: true }],
    },
  });
  const start = async (ordinal: number, node = 'node-a', uid = set): Promise<void> => {
    story.cluster.addPod(`web-${ordinal}`, node, undefined, more(ordinal, uid));
    await story.cluster.settle();
  };

  beforeEach(async () => {
    story.cluster.statefulSets.set('default/web', { metadata: { name: 'web', uid: set } });
    story.cluster.addPool('kept', ['10.0.0.0/29'], { coolDownSeconds: 30, reservedSeconds: 3_600 });
    for (const ordinal of [0, 1, 2]) await start(ordinal);
  });

  it('keeps its addresses over a rescheduling, in one update each', async () => {
    const uid = story.cluster.records.live.get('10.0.0.1')?.metadata.uid;
    await release('web-1', '10.0.0.1');
    expect(records()[1]).toBe('10.0.0.1 Reserved web-1');
    await start(1, 'node-b');
    expect(story.cluster.records.live.get('10.0.0.1')).toMatchObject({
      metadata: { uid },
      spec: { state: 'Bound', nodeName: 'node-b', reservedFor: { statefulSetUID: set, ordinal: 1 } },
    });
  });

  it('keeps them when the old pod’s DEL comes late: the new pod waits for its own and says so', async () => {
    story.cluster.removePod('web-1');
    await start(1, 'node-b');
    expect(records()[1]).toBe('10.0.0.1 Releasing web-1');
    expect(waiting('node-b')).toEqual([
      "web-1: the pod's address 10.0.0.1 is still held by node node-a for its predecessor; it takes another if that lasts until 2026-01-01T01:00:00Z",
    ]);
    story.cluster.sayReleased('10.0.0.1');
    await story.cluster.settle();
    expect(records()[1]).toBe('10.0.0.1 Bound web-1');
    expect(waiting('node-b')).toEqual([]);
  });

  it('waits for a node that never speaks no longer than the address would be kept', async () => {
    story.cluster.removePod('web-1');
    await start(1, 'node-b');
    await story.cluster.pass(3_600_000);
    expect(records()).toContain('10.0.0.3 Bound web-1');
    story.cluster.sayReleased('10.0.0.1');
    await story.cluster.settle();
    expect(records()).toContain('10.0.0.1 Cooling web-1');
  });

  it('waits for the address that it took in the place of one that it had waited for in vain', async () => {
    story.cluster.removePod('web-1');
    await start(1, 'node-b');
    await story.cluster.pass(3_600_000);
    expect(records()).toContain('10.0.0.3 Bound web-1');
    story.cluster.removePod('web-1');
    await start(1, 'node-a');
    expect(records()).toContain('10.0.0.3 Releasing web-1');
    story.cluster.sayReleased('10.0.0.3');
    await story.cluster.settle();
    expect(records()).toContain('10.0.0.3 Bound web-1');
  });

  it('waits for the address that its predecessor was given, while the watch does not show it', async () => {
    await release('web-1', '10.0.0.1');
    story.cluster.records.hold();
    await start(1, 'node-b');
    expect(records()).toContain('10.0.0.1 Bound web-1');
    story.cluster.removePod('web-1');
    await start(1, 'node-a');
    expect(records()).toEqual(['10.0.0.0 Bound web-0', '10.0.0.1 Bound web-1', '10.0.0.2 Bound web-2']);
    expect(waiting()).toEqual(["web-1: the pod's address 10.0.0.1 is just changing hands"]);
    story.cluster.records.resume();
    await story.cluster.settle();
    story.cluster.sayReleased('10.0.0.1');
    await story.cluster.settle();
    expect(records()).toEqual(['10.0.0.0 Bound web-0', '10.0.0.1 Bound web-1', '10.0.0.2 Bound web-2']);
    expect(waiting()).toEqual([]);
  });

  it('waits for its address though another leader has given it to its predecessor meanwhile', async () => {
    await release('web-1', '10.0.0.1');
    story.cluster.records.hold();
    const record = story.cluster.records.live.get('10.0.0.1') as IpAllocation;
    const owner = { ...record.spec.owner, uid: 'before' };
    story.cluster.records.put({ ...record, spec: { ...record.spec, state: 'Bound', owner } });
    await start(1, 'node-b');
    await story.cluster.pass(10);
    expect(records()).toEqual(['10.0.0.0 Bound web-0', '10.0.0.1 Bound web-1', '10.0.0.2 Bound web-2']);
    story.cluster.records.resume();
    await story.cluster.settle();
    story.cluster.sayReleased('10.0.0.1');
    await story.cluster.settle();
    expect(records()).toContain('10.0.0.1 Bound web-1');
  });

  it('of two pools gets its address back from the one that keeps it, whatever rests in the other', async () => {
    story.cluster.addPool('plain', ['10.1.0.0/29'], { coolDownSeconds: 3_600 });
    const again = async (node: string): Promise<void> => {
      const { metadata } = more(3);
      const annotations = { 'fast.io/ips': 'plain, kept' };
      story.cluster.addPod('web-3', node, undefined, { metadata: { ...metadata, name: 'web-3', annotations } });
      await story.cluster.settle();
    };
    await again('node-a');
    await release('web-3', '10.1.0.0');
    story.cluster.editPool('plain', { excludeIPs: ['10.1.0.1-10.1.0.7'] });
    await again('node-a');
    expect(records()).toContain('10.0.0.3 Bound web-3');
    story.cluster.editPool('plain', { excludeIPs: [] });
    await release('web-3', '10.0.0.3');
    expect(records()).toContain('10.1.0.0 Cooling web-3');
    await again('node-b');
    expect(records()).toContain('10.0.0.3 Bound web-3');
  });

  it('waits for its newer address, though an older one that it waited for in vain is of a pool which comes first', async () => {
    story.cluster.addPool('first', ['10.1.0.0'], { reservedSeconds: 60 });
    const again = async (node: string): Promise<void> => {
      const { metadata } = more(3);
      const annotations = { 'fast.io/ips': 'first, kept' };
      if (story.cluster.pods.live.has('default/web-3')) story.cluster.removePod('web-3');
      story.cluster.addPod('web-3', node, undefined, { metadata: { ...metadata, name: 'web-3', annotations } });
      await story.cluster.settle();
    };
    await again('node-a');
    await again('node-b');
    expect(records()).toContain('10.1.0.0 Releasing web-3');
    await story.cluster.pass(60_000);
    expect(records()).toContain('10.0.0.3 Bound web-3');
    story.cluster.editPool('first', { ips: ['10.1.0.0/31'] });
    await again('node-a');
    expect(records()).toContain('10.0.0.3 Releasing web-3');
    expect(records()).not.toContain('10.1.0.1 Bound web-3');
    story.cluster.sayReleased('10.0.0.3');
    await story.cluster.settle();
    expect(records()).toContain('10.0.0.3 Bound web-3');
  });

  it('gets them back over a scale down and up, each ordinal its own', async () => {
    await release('web-2', '10.0.0.2');
    await release('web-1', '10.0.0.1');
    await story.cluster.pass(3_000_000);
    await start(1, 'node-b');
    await start(2, 'node-b');
    expect(records()).toEqual(['10.0.0.0 Bound web-0', '10.0.0.1 Bound web-1', '10.0.0.2 Bound web-2']);
  });

  it('gives them to nobody else, though the pool has nothing else left', async () => {
    await release('web-2', '10.0.0.2');
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await pod(name, 'node-a', 'kept');
    expect(records()).toContain('10.0.0.2 Reserved web-2');
    expect(waiting()).toEqual([
      'f: pool kept is exhausted: 8 of 8 in use, 1 of them kept for StatefulSets; add ranges to its spec.ips',
    ]);
    await story.cluster.pass(3_600_000);
    expect(records()).toContain('10.0.0.2 Bound f');
  });

  it('that is deleted gives them back, when its pods go and within minutes when they had gone before', async () => {
    await release('web-2', '10.0.0.2');
    story.cluster.statefulSets.clear();
    await release('web-1', '10.0.0.1');
    expect(records()).toEqual(['10.0.0.0 Bound web-0', '10.0.0.1 Cooling web-1', '10.0.0.2 Reserved web-2']);
    await story.cluster.pass(300_000);
    expect(records()).toEqual(['10.0.0.0 Bound web-0']);
  });

  it('made anew under its name is another', async () => {
    await release('web-2', '10.0.0.2');
    story.cluster.statefulSets.set('default/web', { metadata: { name: 'web', uid: 'another' } });
    await start(2, 'node-a', 'another');
    expect(records()).toContain('10.0.0.3 Bound web-2');
  });

  it('that names another pool now gets addresses of that one, and the kept one is let go', async () => {
    await release('web-2', '10.0.0.2');
    story.cluster.addPool('moved', ['10.1.0.0/29']);
    const { metadata } = more(2);
    story.cluster.addPod('web-2', 'node-a', undefined, {
      metadata: { ...metadata, name: 'web-2', annotations: { 'fast.io/ips': 'moved' } },
    });
    await story.cluster.settle();
    expect(records()).toContain('10.1.0.0 Bound web-2');
    expect(records()).toContain('10.0.0.2 Cooling web-2');
  });

  it('gets the address that it still can have, not another of the pool that has lost the one which it kept', async () => {
    story.cluster.addPool('first', ['10.1.0.0/29'], { reservedSeconds: 3_600 });
    await release('web-0', '10.0.0.0');
    const kept = story.cluster.records.live.get('10.0.0.0') as IpAllocation;
    const spec = { ...kept.spec, address: '10.1.0.7', ips: 'first' };
    story.cluster.records.put({ ...kept, metadata: { name: '10.1.0.7' }, spec });
    story.cluster.editPool('first', { ips: ['10.1.0.0/30'] });
    await story.cluster.settle();
    const { metadata } = more(0);
    const annotations = { 'fast.io/ips': 'first,kept' };
    story.cluster.addPod('web-0', 'node-a', undefined, { metadata: { ...metadata, name: 'web-0', annotations } });
    await story.cluster.settle();
    expect(records()).toContain('10.0.0.0 Bound web-0');
  });

  it('has its kept addresses let go at once, where an edit of the pool keeps none any more', async () => {
    await release('web-2', '10.0.0.2');
    story.cluster.editPool('kept', { reservedSeconds: 0, coolDownSeconds: 0 });
    await story.cluster.settle();
    expect(records()).toEqual(['10.0.0.0 Bound web-0', '10.0.0.1 Bound web-1']);
  });

  it('gets the address that its pod names now at once, and does not wait for the one that its predecessor had', async () => {
    story.cluster.removePod('web-1');
    const { metadata } = more(1);
    const annotations = { 'fast.io/ips': 'kept', 'fast.io/ip': '10.0.0.5' };
    story.cluster.addPod('web-1', 'node-b', undefined, { metadata: { ...metadata, name: 'web-1', annotations } });
    await story.cluster.settle();
    expect(records()).toContain('10.0.0.5 Bound web-1');
  });

  it('has no address rest a second time that was kept as long as it would rest', async () => {
    story.cluster.editPool('kept', { reservedSeconds: 30 });
    await release('web-2', '10.0.0.2');
    expect(records()).toContain('10.0.0.2 Reserved web-2');
    await story.cluster.pass(30_000);
    expect(records()).toEqual(['10.0.0.0 Bound web-0', '10.0.0.1 Bound web-1']);
  });

  it('is that which controls the pod, and the pod one of its ordinals', () => {
    const of = (name: string, controller = true) => {
      const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid: set, controller };
      return reservedForOf({ metadata: { name, namespace: 'default', ownerReferences: [owner] }, spec: {} });
    };
    expect(of('web-2147483647')).toEqual({ statefulSetUID: set, ordinal: 2_147_483_647 });
    expect([of('web-2147483648'), of('web-a'), of('webber-1'), of('web-1', false)]).toEqual(Array(4).fill(undefined));
  });

  it('of a pool without reservedSeconds gets the lowest free address as everybody', async () => {
    story.cluster.editPool('kept', { reservedSeconds: 0 });
    await release('web-0', '10.0.0.0');
    expect(records()[0]).toBe('10.0.0.0 Cooling web-0');
    await start(0);
    expect(records()).toContain('10.0.0.3 Bound web-0');
  });
});
