// SPDX-License-Identifier: Apache-2.0
// Pods that ask for one address by the annotation fast.io/ip.
import { beforeEach, describe, expect, it } from 'vitest';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addNode('node-b', '10.0.0.6');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  cluster.addPool('small', ['10.0.0.0/29'], { excludeIPs: ['10.0.0.5'] });
  cluster.addPool('other', ['10.1.0.0/29']);
  await cluster.settle();
});

const records = (): string[] => cluster.held().filter((line) => !line.startsWith('10.9.'));
const ask = async (name: string, ip: string, pools = 'small'): Promise<void> => {
  const annotations = { 'fast.io/ip': ip, 'fast.io/ips': pools };
  cluster.addPod(name, 'node-a', undefined, { metadata: { name, namespace: 'default', annotations } });
  await cluster.settle();
};
const event = (): string =>
  `${cluster.events.at(-1)?.object.metadata.name} ${cluster.events.at(-1)?.reason}: ${cluster.events.at(-1)?.note}`;

describe('a pod that asks for one address', () => {
  it('gets it, though lower ones are free', async () => {
    await ask('a', '10.0.0.3');
    expect(records()).toEqual(['10.0.0.3 Bound a']);
  });

  it('gets it from the pool of its list that holds it', async () => {
    await ask('a', '10.1.0.3', 'small, other');
    expect(cluster.records.live.get('10.1.0.3')?.spec.ips).toBe('other');
  });

  it.each([
    [
      '10.2.0.1',
      'a AddressOutOfPool: 10.2.0.1 is not in pool small; correct the annotation fast.io/ip, or name a pool that holds it by fast.io/ips',
    ],
    [
      '10.0.0.5',
      'a AddressOutOfPool: 10.0.0.5 is not in pool small; correct the annotation fast.io/ip, or name a pool that holds it by fast.io/ips',
    ],
    [
      '10.0.0.6',
      "a AddressOutOfPool: 10.0.0.6 is a gateway or a node's own address, which no pod gets; correct the annotation fast.io/ip",
    ],
    [
      '10.0.0.300',
      'a AddressInvalid: annotation fast.io/ip: "10.0.0.300" is no IPv4 address; write one, such as 10.244.10.7',
    ],
    [
      '10.0.0.01',
      'a AddressInvalid: annotation fast.io/ip: "10.0.0.01" is no IPv4 address; write one, such as 10.244.10.7',
    ],
  ])('by %s waits, and its event says why', async (ip, said) => {
    await ask('a', ip);
    expect(records()).toEqual([]);
    expect(event()).toBe(said);
    expect(cluster.endpoints.live.get('node-a')?.spec.waiting).toMatchObject([{ name: 'a' }]);
  });

  it('that is taken waits, says who has it, and gets it when it is free', async () => {
    cluster.addPod('first', 'node-a', 'small');
    await cluster.settle();
    await ask('a', '10.0.0.0');
    expect(event()).toBe(
      'a AddressTaken: 10.0.0.0 is taken: pod default/first on node node-a has it; the pod gets it when it is free',
    );
    cluster.removePod('first');
    await cluster.settle();
    await cluster.pass(30_000);
    expect(event()).toContain('node node-a has not let go of it for pod default/first');
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(records()).toEqual(['10.0.0.0 Bound a']);
  });

  it('that is wanted twice says so on the pod that waits', async () => {
    await ask('a', '10.0.0.3');
    await ask('b', '10.0.0.3');
    expect(records()).toEqual(['10.0.0.3 Bound a']);
    expect(event()).toBe(
      'b AddressWantedTwice: 10.0.0.3 is wanted by this pod and by default/a, and pod default/a on node node-a has it; only one pod can have it, give the others their own by fast.io/ip',
    );
    cluster.removePod('a');
    await cluster.settle();
    cluster.sayReleased('10.0.0.3');
    await cluster.settle();
    expect(records()).toEqual(['10.0.0.3 Bound b']);
  });

  describe('that a pod has which did not ask for it', () => {
    const taken =
      'b AddressTaken: 10.0.0.0 is taken: pod default/first on node node-a has it; the pod gets it when it is free';

    beforeEach(async () => {
      cluster.addPod('first', 'node-a', 'small');
      await cluster.settle();
      expect(records()).toEqual(['10.0.0.0 Bound first']);
    });

    it('is not told of one that wants it from a pool that does not hold it', async () => {
      await ask('a', '10.0.0.0', 'other');
      await ask('b', '10.0.0.0');
      expect(event()).toBe(taken);
    });

    it('is not told of one that a selector keeps out of the pool', async () => {
      cluster.addPool('choosy', ['10.0.0.0/30'], { podSelector: { matchLabels: { tier: 'front' } } });
      await ask('a', '10.0.0.0', 'choosy');
      await ask('b', '10.0.0.0');
      expect(event()).toBe(taken);
    });

    it('is not told of one whose annotation came when it had another address', async () => {
      const other = cluster.addPod('a', 'node-a', 'small');
      await cluster.settle();
      const annotations = { ...other.metadata.annotations, 'fast.io/ip': '10.0.0.0' };
      cluster.pods.put({ ...other, metadata: { ...other.metadata, annotations } });
      await ask('b', '10.0.0.0');
      expect(event()).toBe(taken);
    });

    it('is told once of two others that wait for it, whatever their kubelets report', async () => {
      await ask('a', '10.0.0.0');
      await ask('c', '10.0.0.0');
      await ask('b', '10.0.0.0');
      const said =
        'b AddressWantedTwice: 10.0.0.0 is wanted by this pod and by default/a, default/c, and pod default/first on node node-a has it; only one pod can have it, give the others their own by fast.io/ip';
      expect(event()).toBe(said);
      const shown = cluster.pods.live.get('default/a');
      if (shown !== undefined) cluster.pods.put({ ...shown, status: { phase: 'Pending' } });
      await cluster.pass(30_000);
      expect(cluster.events.filter(({ object }) => object.metadata.name === 'b')).toHaveLength(1);
    });
  });

  it('that its predecessor has, which is being deleted, is told that it is taken and by whom', async () => {
    await ask('a', '10.0.0.3');
    const live = cluster.pods.live.get('default/a');
    if (live === undefined) throw new Error('no pod a');
    cluster.pods.put({ ...live, metadata: { ...live.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    await ask('b', '10.0.0.3');
    expect(event()).toBe(
      'b AddressTaken: 10.0.0.3 is taken: pod default/a on node node-a has it; the pod gets it when it is free',
    );
  });

  describe('that has just been another’s', () => {
    beforeEach(async () => {
      cluster.editPool('small', { coolDownSeconds: 30 });
      await ask('a', '10.0.0.3');
      cluster.removePod('a');
      await cluster.settle();
      cluster.sayReleased('10.0.0.3');
      await cluster.settle();
      expect(records()).toEqual(['10.0.0.3 Cooling a']);
    });

    it('waits until it has rested, as nobody gets it while others are free, and says until when', async () => {
      await ask('b', '10.0.0.3');
      expect(records()).toEqual(['10.0.0.3 Cooling a']);
      expect(event()).toBe(
        'b AddressTaken: 10.0.0.3 is taken: it rests after pod default/a, at least until 2026-01-01T00:00:30Z; the pod gets it when it is free',
      );
      await cluster.pass(29_000);
      expect(records()).toEqual(['10.0.0.3 Cooling a']);
      await cluster.pass(1_000);
      expect(records()).toEqual(['10.0.0.3 Bound b']);
      expect(cluster.events.filter(({ reason }) => reason === 'RestCutShort')).toEqual([]);
    });

    it('gets it where the pool has nothing else left, as any pod would', async () => {
      cluster.editPool('small', { ips: ['10.0.0.2-10.0.0.3'] });
      cluster.addPod('c', 'node-a', 'small');
      await cluster.settle();
      await cluster.pass(10_000);
      await ask('b', '10.0.0.3');
      expect(records().sort()).toEqual(['10.0.0.2 Bound c', '10.0.0.3 Bound b']);
      expect(event()).toBe('b RestCutShort: 10.0.0.3 has rested 10 s of 30 s: pool small had nothing else to give');
    });
  });

  it('that was its own ordinal’s before gets it at once, and no event says that the pool is too small', async () => {
    cluster.editPool('small', { coolDownSeconds: 30 });
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid: 'set', controller: true }];
    const annotations = { 'fast.io/ip': '10.0.0.3', 'fast.io/ips': 'small' };
    const add = async (): Promise<void> => {
      const metadata = { name: 'web-0', namespace: 'default', annotations, ownerReferences };
      cluster.addPod('web-0', 'node-a', undefined, { metadata });
      await cluster.settle();
    };
    await add();
    cluster.removePod('web-0');
    await cluster.settle();
    cluster.sayReleased('10.0.0.3');
    await cluster.settle();
    expect(records()).toEqual(['10.0.0.3 Cooling web-0']);
    await add();
    expect(records()).toEqual(['10.0.0.3 Bound web-0']);
    expect(cluster.events.filter(({ reason }) => reason === 'RestCutShort')).toEqual([]);
  });

  it('waits for a pool that an edit widens', async () => {
    await ask('a', '10.2.0.1');
    cluster.editPool('small', { ips: ['10.0.0.0/29', '10.2.0.0/29'] });
    await cluster.settle();
    expect(records()).toEqual(['10.2.0.1 Bound a']);
  });
});
