// SPDX-License-Identifier: Apache-2.0
// Wires that no record explains: whose they are, who may not get their address, and what becomes of them.
import { beforeEach, describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { poolAnnotation, staticPodAnnotation } from '../../src/api/names.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  cluster.addPool('small', ['10.0.0.0/31']);
  await cluster.settle();
});

describe('the address of a wire without a record', () => {
  it('is given to nobody else while its node lists it, and to whoever waits as soon as it is listed no more', async () => {
    cluster.sayOrphans('node-a', [{ address: '10.0.0.0', ownerUID: 'somebody' }]);
    for (const name of ['a', 'b']) cluster.addPod(name, 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound a']);
    cluster.sayOrphans('node-a', []);
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound a', '10.0.0.0 Bound b']);
  });

  it('goes to its own pod, whatever that pod’s status says', async () => {
    cluster.pods.hold();
    const pod = cluster.addPod('a', 'node-a', 'small', { status: { phase: 'Running', podIP: '10.0.0.0' } });
    cluster.sayOrphans('node-a', [{ address: '10.0.0.1', ownerUID: pod.metadata.uid ?? '' }]);
    cluster.pods.resume();
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound a']);
  });

  it('goes to neither of two pods whose wires have it', async () => {
    const uids = ['a', 'b'].map((name) => cluster.addPod(name, 'node-a', 'late').metadata.uid ?? '');
    cluster.sayOrphans(
      'node-a',
      uids.map((ownerUID) => ({ address: '10.0.5.0', ownerUID })),
    );
    cluster.addPool('late', ['10.0.5.0']);
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
  });

  it('is kept though the pool is edited', async () => {
    cluster.sayOrphans('node-a', [{ address: '10.0.0.0', ownerUID: 'somebody' }]);
    cluster.editPool('small', { ips: ['10.0.0.0'] });
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
  });
});

describe('the wire of a pod that lives', () => {
  const running = { status: { phase: 'Running' as const } };
  const told = (reason: string): string[] =>
    cluster.events.filter((each) => each.reason === reason).map((each) => `${each.kind} ${each.object.metadata.name}`);

  /** A pod whose record is lost with its name: a backup came back, and the kubelet has written no address yet. */
  const lose = async (address: string): Promise<void> => {
    cluster.isDeaf = true;
    cluster.records.remove(address);
    cluster.isDeaf = false;
    await cluster.settle();
  };

  it('gets a record of that very address, though others were free', async () => {
    const pod = cluster.addPod('a', 'node-a', 'nowhere', running);
    await cluster.settle();
    cluster.sayOrphans('node-a', [{ address: '10.0.0.1', ownerUID: pod.metadata.uid ?? '' }]);
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound a']);
    expect(cluster.records.live.get('10.0.0.1')?.spec).toMatchObject({
      ips: 'small',
      nodeName: 'node-a',
      nodeUID: cluster.nodes.live.get('node-a')?.metadata.uid,
      owner: { kind: 'Pod', namespace: 'default', name: 'a', uid: pod.metadata.uid },
    });
    expect(cluster.repairs).toEqual(['wireAdopted']);
    expect(told('AddressAdopted')).toEqual(['Pod a']);
    await cluster.collect();
    expect(cluster.repairs).toHaveLength(1);
  });

  it('gets its record from the pool that the pod would choose, where several hold the address', async () => {
    cluster.addPool('also', ['10.0.0.0/31']);
    cluster.addPool('zoo', ['10.0.0.0/31']);
    const pod = cluster.addPod('a', 'node-a', 'nowhere, zoo', running);
    await cluster.settle();
    await lose('10.0.0.0');
    cluster.sayOrphans('node-a', [{ address: '10.0.0.0', ownerUID: pod.metadata.uid ?? '' }]);
    await cluster.collect();
    expect(cluster.records.live.get('10.0.0.0')?.spec.ips).toBe('zoo');
  });

  it('takes the place of a record that the pod was given meanwhile and does not use', async () => {
    const pod = cluster.addPod('a', 'node-a', 'small', running);
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
    cluster.sayOrphans('node-a', [{ address: '10.0.0.1', ownerUID: pod.metadata.uid ?? '' }]);
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound a']);
    cluster.sayAttached('10.0.0.1');
    await cluster.settle();
    expect(cluster.podRecords().sort()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound a']);
  });

  it('is taken away when the pod uses another wire, which has its record', async () => {
    const pod = cluster.addPod('a', 'node-a', 'small', running);
    await cluster.settle();
    cluster.sayAttached('10.0.0.0');
    cluster.sayOrphans('node-a', [{ address: '10.0.0.1', ownerUID: pod.metadata.uid ?? '' }]);
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', `10.0.0.1 Releasing ${pod.metadata.uid}`]);
    expect(cluster.repairs).toEqual(['wireReleased']);
  });

  it('is left to a person when no pool holds its address, who is told once what to do', async () => {
    const pod = cluster.addPod('a', 'node-a', 'nowhere', running);
    await cluster.settle();
    cluster.sayOrphans('node-a', [{ address: '10.7.7.7', ownerUID: pod.metadata.uid ?? '' }]);
    await cluster.collect();
    await cluster.collect();
    expect(cluster.podRecords()).toEqual([]);
    expect(cluster.repairs).toEqual(['personTold']);
    expect(cluster.events.at(-1)).toMatchObject({
      type: 'Warning',
      reason: 'AddressUnknown',
      note: 'the pod runs with 10.7.7.7, which no pool holds; make an Ips whose spec.ips holds 10.7.7.7, or delete the pod so that it gets another address',
    });
    cluster.addPool('found', ['10.7.7.7']);
    await cluster.settle();
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.7.7.7 Bound a']);
  });

  it('stays with a pod that is being deleted, until its containers have ended', async () => {
    const metadata = { name: 'a', namespace: 'default', deletionTimestamp: '2026-01-01T00:00:00Z' };
    const pod = cluster.addPod('a', 'node-a', 'small', { ...running, metadata });
    cluster.sayOrphans('node-a', [{ address: '10.0.0.1', ownerUID: pod.metadata.uid ?? '' }]);
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound a']);
    cluster.removePod('a');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Releasing a']);
  });

  it('is no wire of a node’s own address, whatever pool of nodes holds that', async () => {
    const pod = cluster.addPod('a', 'node-a', 'nowhere', running);
    await cluster.settle();
    cluster.sayOrphans('node-a', [{ address: '10.9.0.5', ownerUID: pod.metadata.uid ?? '' }]);
    await cluster.collect();
    expect(cluster.repairs).toEqual(['personTold']);
  });

  it('keeps the pod from a second record while the watch has not shown the first', async () => {
    const pod = cluster.addPod('a', 'node-a', 'small', { spec: { nodeName: 'node-z' }, ...running });
    await cluster.settle();
    cluster.records.hold();
    cluster.areListsEmpty = true;
    cluster.sayOrphans('node-a', [{ address: '10.0.0.1', ownerUID: pod.metadata.uid ?? '' }]);
    cluster.isDeaf = true;
    cluster.pods.put({ ...pod, spec: { nodeName: 'node-a' } });
    await cluster.collect();
    cluster.isDeaf = false;
    cluster.sayOrphans('node-a', []);
    cluster.core.router.wakeAll();
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound a']);
  });

  it('is adopted once by two leaders, and the second finds it done', async () => {
    const pod = cluster.addPod('a', 'node-a', 'nowhere', running);
    await cluster.settle();
    cluster.sayOrphans('node-a', [{ address: '10.0.0.1', ownerUID: pod.metadata.uid ?? '' }]);
    cluster.records.hold();
    await cluster.collect(() => {
      const spec = { ...cluster.records.live.get('10.9.0.0')?.spec, address: '10.0.0.1', ips: 'small' };
      const owner = { kind: 'Pod', namespace: 'default', name: 'a', uid: pod.metadata.uid ?? '' };
      cluster.areListsEmpty = true;
      cluster.records.put({ metadata: { name: '10.0.0.1' }, spec: { ...spec, owner } } as IpAllocation);
    });
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound a']);
    expect(cluster.repairs).toEqual([]);
  });
});

describe('the wire of a pod that is gone', () => {
  const leave = (ownerUID: string): void => cluster.sayOrphans('node-a', [{ address: '10.0.0.1', ownerUID }]);

  beforeEach(async () => {
    cluster.addPod('other', 'node-a', 'small');
    await cluster.settle();
  });

  it('is taken away by its node, and its address is free when the node has said so', async () => {
    leave('gone');
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound other', '10.0.0.1 Releasing gone']);
    expect(cluster.repairs).toEqual(['wireReleased']);
    expect(cluster.events.at(-1)).toMatchObject({
      kind: 'Node',
      reason: 'WireReleased',
      note: 'the wire fast0 has 10.0.0.1 of a pod that is gone (gone); the node takes it away',
    });
    cluster.sayReleased('10.0.0.1');
    cluster.sayOrphans('node-a', []);
    await cluster.settle();
    await cluster.collect();
    cluster.addPod('next', 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound other', '10.0.0.1 Bound next']);
  });

  it('is never held by anybody on its way out', async () => {
    leave('gone');
    cluster.isDeaf = true;
    await cluster.collect();
    expect(cluster.podRecords()).toContain('10.0.0.1 Releasing gone');
  });

  it('is taken away too when no pool holds its address any more', async () => {
    cluster.sayOrphans('node-a', [{ address: '10.7.7.7', ownerUID: 'gone' }]);
    await cluster.collect();
    expect(cluster.podRecords()).toContain('10.7.7.7 Releasing gone');
  });

  it('is taken away when the pod is there, but finished or on another node', async () => {
    cluster.addNode('node-b', '10.29.15.50');
    const moved = cluster.addPod('moved', 'node-b', 'nowhere');
    const ended = cluster.addPod('ended', 'node-a', 'nowhere', { status: { phase: 'Failed' } });
    await cluster.settle();
    cluster.sayOrphans('node-a', [
      { address: '10.0.0.1', ownerUID: moved.metadata.uid ?? '' },
      { address: '10.7.7.7', ownerUID: ended.metadata.uid ?? '' },
    ]);
    await cluster.collect();
    expect(cluster.repairs).toEqual(['wireReleased', 'wireReleased']);
  });

  it('is left alone when the list shows no pod at all', async () => {
    cluster.removePod('other');
    await cluster.settle();
    leave('gone');
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing other']);
  });

  it('is left alone when a fresh list shows the pod after all', async () => {
    cluster.pods.hold();
    const late = cluster.addPod('late', 'node-a', 'nowhere');
    leave(late.metadata.uid ?? '');
    await cluster.collect();
    expect(cluster.podRecords()).toContain('10.0.0.1 Bound late');
  });

  it('is left alone when there is a record: then its node decides by that', async () => {
    leave('gone');
    cluster.addPod('a', 'node-a', 'small', { status: { phase: 'Running', podIP: '10.0.0.1' } });
    cluster.sayOrphans('node-a', []);
    await cluster.settle();
    leave('gone');
    cluster.nextCreateLoss = new Error('nothing was to be created');
    await cluster.collect();
    expect(cluster.nextCreateLoss).toBeDefined();
  });

  it('is left alone when it is gone by the second look', async () => {
    leave('gone');
    await cluster.collect(() => cluster.sayOrphans('node-a', []));
    expect(cluster.repairs).toEqual([]);
  });

  describe('of a static pod whose mirror is away', () => {
    const identity = '3b5d5c3712955042212316173ccf37be';

    it('is left to the pod, which runs by its file, and adopted when the mirror is back', async () => {
      leave(identity);
      for (let round = 0; round < 4; round += 1) {
        await cluster.collect();
        await cluster.pass(300_000);
      }
      expect(cluster.repairs).toEqual([]);
      const annotations = { [staticPodAnnotation]: identity, [poolAnnotation]: 'small' };
      cluster.addPod('web-node-a', 'node-a', undefined, { metadata: { name: 'web-node-a', annotations } });
      await cluster.settle();
      expect(cluster.podRecords()).toContain('10.0.0.1 Bound web-node-a');
    });

    it('has the whole fence before it again when its Node object was back meanwhile', async () => {
      leave(identity);
      for (let turn = 0; turn < 2; turn += 1) {
        cluster.nodes.remove('node-a');
        await cluster.settle();
        await cluster.collect();
        await cluster.pass(40_000);
        cluster.addNode('node-a');
        await cluster.settle();
        await cluster.collect();
      }
      cluster.nodes.remove('node-a');
      await cluster.settle();
      await cluster.collect();
      expect(cluster.repairs).toEqual([]);
    });

    it('is taken away when its Node object has been gone for the time of a fence', async () => {
      leave(identity);
      cluster.nodes.remove('node-a');
      await cluster.settle();
      await cluster.collect();
      expect(cluster.repairs).toEqual([]);
      await cluster.pass(300_000);
      await cluster.collect();
      expect(cluster.repairs).toEqual(['wireReleased']);
    });
  });
});
