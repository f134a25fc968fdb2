// SPDX-License-Identifier: Apache-2.0
// What becomes of an address between two pods: it rests.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Pod } from '../../src/api/workloads.ts';
import { tellStory } from './address-story.ts';

const story = tellStory();
const { records, waiting, pod, release } = story;
const notes = (reason: string): string[] =>
  story.cluster.events.filter((event) => event.reason === reason).map((event) => event.note);

describe('a freed address', () => {
  beforeEach(async () => {
    story.cluster.addPool('small', ['10.0.0.0/30'], { coolDownSeconds: 30 });
    await pod('a', 'node-a', 'small');
    await release('a', '10.0.0.0');
  });

  it('goes to nobody before it has cooled down, while others are free', async () => {
    expect(records()).toEqual(['10.0.0.0 Cooling a']);
    expect(story.cluster.pools.live.get('small')?.status).toMatchObject({ bound: 0, cooling: 1, free: 3 });
    await pod('b', 'node-a', 'small');
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound b']);
    await story.cluster.pass(29_000);
    await pod('c', 'node-a', 'small');
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound b', '10.0.0.2 Bound c']);
    await story.cluster.pass(1_000);
    await pod('d', 'node-a', 'small');
    expect(records()).toEqual(['10.0.0.0 Bound d', '10.0.0.1 Bound b', '10.0.0.2 Bound c']);
  });

  it('rests once over under a new leader, whose clock may be another', async () => {
    await story.cluster.pass(25_000);
    story.cluster.changeLeader();
    await story.cluster.settle();
    await story.cluster.pass(29_000);
    expect(records()).toEqual(['10.0.0.0 Cooling a']);
    await story.cluster.pass(1_000);
    expect(records()).toEqual([]);
  });

  it('rests no hour because a former leader’s clock was an hour ahead', async () => {
    const record = story.cluster.records.live.get('10.0.0.0');
    if (record === undefined) throw new Error('no record');
    story.cluster.records.put({ ...record, spec: { ...record.spec, stateSince: '2026-01-01T01:00:00Z' } });
    await story.cluster.settle();
    await story.cluster.pass(30_000);
    expect(records()).toEqual([]);
  });

  it('is free at once when an edit takes the rest away', async () => {
    story.cluster.editPool('small', { coolDownSeconds: 0 });
    await story.cluster.settle();
    expect(records()).toEqual([]);
  });

  it('does not keep its pool from being deleted', async () => {
    const pool = story.cluster.pools.live.get('small');
    if (pool === undefined) throw new Error('no pool');
    story.cluster.pools.put({ ...pool, metadata: { ...pool.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    await story.cluster.settle();
    await story.cluster.pass(1_000);
    expect(story.cluster.pools.live.has('small')).toBe(false);
  });
});

describe('a pool that has nothing else left', () => {
  beforeEach(async () => {
    story.cluster.addPool('pair', ['10.0.0.0/31'], { coolDownSeconds: 30 });
    await pod('a', 'node-a', 'pair');
    await pod('b', 'node-a', 'pair');
    await release('b', '10.0.0.1');
    await story.cluster.pass(5_000);
    await release('a', '10.0.0.0');
  });

  it('gives out the longest-cooled address, in one update, and says so', async () => {
    const uid = story.cluster.records.live.get('10.0.0.1')?.metadata.uid;
    await pod('c', 'node-b', 'pair');
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound c']);
    expect(story.cluster.records.live.get('10.0.0.1')).toMatchObject({
      metadata: { uid },
      spec: { nodeName: 'node-b', nodeUID: story.cluster.nodes.live.get('node-b')?.metadata.uid },
    });
    expect(notes('RestCutShort')).toEqual(['10.0.0.1 has rested 5 s of 30 s: pool pair had nothing else to give']);
    expect(story.cluster.endpoints.live.get('node-b')?.spec.podAddresses).toEqual(['10.0.0.1']);
    await story.cluster.pass(1_000);
    const said = story.cluster.pools.live.get('pair')?.status?.conditions?.find((each) => each.type === 'Exhausted');
    expect(said?.message).toBe('no address is free; 1 cools down and is given out in need');
  });

  it('says that it is not exhausted', async () => {
    const said = story.cluster.pools.live.get('pair')?.status?.conditions?.find((each) => each.type === 'Exhausted');
    expect(said).toMatchObject({
      status: 'False',
      message: 'no address is free; 2 cool down and are given out in need',
    });
  });

  it('gives no pod two addresses while the watch does not show the first', async () => {
    story.cluster.records.hold();
    await pod('c', 'node-a', 'pair');
    const { updates } = story.cluster;
    story.cluster.pods.put(story.cluster.pods.live.get('default/c') as Pod);
    await story.cluster.settle();
    expect(story.cluster.updates).toBe(updates);
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound c']);
    story.cluster.records.resume();
    await story.cluster.settle();
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound c']);
  });

  it('finds an update again whose answer was lost', async () => {
    story.cluster.records.hold();
    story.cluster.nextReplaceError = new Error('the connection broke');
    await pod('c', 'node-a', 'pair');
    await story.cluster.pass(10);
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound c']);
    story.cluster.records.resume();
    await story.cluster.settle();
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound c']);
    expect(waiting()).toEqual([]);
  });

  it('passes over an address that another leader has given out', async () => {
    story.cluster.records.hold();
    const record = story.cluster.records.live.get('10.0.0.1');
    if (record === undefined) throw new Error('no record');
    const owner = { ...record.spec.owner, name: 'other', uid: 'other' };
    story.cluster.records.put({ ...record, spec: { ...record.spec, state: 'Bound', owner } });
    await pod('c', 'node-a', 'pair');
    expect(records()).toEqual(['10.0.0.0 Bound c', '10.0.0.1 Bound other']);
  });

  it('gives out an address whose record changed before the update of it was refused, and not only when it changes again', async () => {
    const read = story.cluster.record('10.0.0.1');
    story.cluster.records.put({ ...read, status: { ...read.status, conditions: [] } });
    story.cluster.core.book.spend(read);
    await pod('c', 'node-a', 'pair');
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound c']);
  });

  it('serves a pod of two pools from the other one first', async () => {
    story.cluster.addPool('second', ['10.1.0.0'], { coolDownSeconds: 30 });
    await pod('c', 'node-a', 'pair, second');
    await pod('d', 'node-a', 'pair, second');
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound d', '10.1.0.0 Bound c']);
  });

  it('takes the first of two pools in which addresses only rest, as its annotation names them', async () => {
    story.cluster.addPool('second', ['10.1.0.0'], { coolDownSeconds: 30 });
    await pod('c', 'node-a', 'second');
    await release('c', '10.1.0.0');
    await pod('d', 'node-a', 'pair, second');
    expect(records()).toContain('10.0.0.1 Bound d');
  });

  it('gives out the lower of two addresses that rest equally long', async () => {
    story.cluster.addPool('even', ['10.2.0.0/31'], { coolDownSeconds: 30 });
    for (const name of ['c', 'd']) await pod(name, 'node-a', 'even');
    await release('d', '10.2.0.1');
    await release('c', '10.2.0.0');
    await pod('e', 'node-a', 'even');
    expect(records()).toContain('10.2.0.0 Bound e');
  });

  it('wakes those who wait when an address begins to rest', async () => {
    for (const name of ['c', 'd', 'e']) await pod(name, 'node-a', 'pair');
    expect(waiting()).toEqual(['e: pool pair is exhausted: 2 of 2 in use; add ranges to its spec.ips']);
    await release('c', '10.0.0.1');
    expect(records()).toEqual(['10.0.0.0 Bound d', '10.0.0.1 Bound e']);
  });

  it('does not give a static pod that is back its own address before its rest is over: it was released for good', async () => {
    const annotations = { 'kubernetes.io/config.mirror': '0123456789abcdef0123456789abcdef', 'fast.io/ips': 'pair' };
    const mirror = { metadata: { name: 'static', namespace: 'default', annotations } };
    const start = async (): Promise<void> => {
      story.cluster.addPod('static', 'node-a', undefined, mirror);
      await story.cluster.settle();
    };
    await start();
    await pod('c', 'node-a', 'pair');
    story.cluster.removePod('static');
    await story.cluster.settle();
    await story.cluster.pass(30_000);
    story.cluster.sayReleased('10.0.0.1');
    await story.cluster.settle();
    await start();
    expect(records()).toEqual(['10.0.0.0 Bound c', '10.0.0.1 Cooling static']);
    const { uid } = story.cluster.records.live.get('10.0.0.1')?.metadata ?? {};
    await story.cluster.pass(30_000);
    expect(records()).toEqual(['10.0.0.0 Bound c', '10.0.0.1 Bound static']);
    expect(story.cluster.records.live.get('10.0.0.1')?.metadata.uid).not.toBe(uid);
  });

  it('asks for each address once though two pods come at the same moment', async () => {
    story.cluster.isDeaf = true;
    story.cluster.addPod('c', 'node-a', 'pair');
    story.cluster.addPod('d', 'node-a', 'pair');
    story.cluster.isDeaf = false;
    const { updates } = story.cluster;
    await Promise.all(['default/c', 'default/d'].map((key) => story.cluster.core.pods.reconcile(key)));
    expect(story.cluster.updates - updates).toBe(2);
    expect(records()).toEqual(['10.0.0.0 Bound d', '10.0.0.1 Bound c']);
  });

  it('gives a pod another address whose record is gone before any watch has shown it', async () => {
    story.cluster.records.lose();
    await pod('c', 'node-a', 'pair');
    expect(records()).toContain('10.0.0.1 Bound c');
    story.cluster.records.live.delete('10.0.0.1');
    story.cluster.records.refresh();
    await story.cluster.settle();
    expect(records()).toEqual(['10.0.0.0 Cooling a', '10.0.0.1 Bound c']);
  });
});
