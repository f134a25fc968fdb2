// SPDX-License-Identifier: Apache-2.0
// What no event told, and what the collector does about it. Nobody is woken in most of these stories: what the model
// mends here, the collector has mended.
import { beforeEach, describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { staticPodAnnotation } from '../../src/api/names.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  cluster.addPool('small', ['10.0.0.0/30']);
  cluster.addPod('a', 'node-a', 'small');
  await cluster.settle();
  expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
});

const record = (address: string): IpAllocation => {
  const found = cluster.records.live.get(address);
  if (found === undefined) throw new Error(`no record ${address}`);
  return found;
};
const twin = (of: string, address: string): void => {
  const { spec } = record(of);
  cluster.records.put({ ...record(of), status: {}, metadata: { name: address }, spec: { ...spec, address } });
};
/** Everything that happens meanwhile is shown and wakes nobody. */
const unheard = (happens: () => void): void => {
  cluster.isDeaf = true;
  happens();
  cluster.isDeaf = false;
};
const told = (reason: string): string[] =>
  cluster.events.filter((each) => each.reason === reason).map((each) => `${each.object.metadata.name}: ${each.note}`);

describe('a cluster in which everything fits together', () => {
  it('is left alone, round after round', async () => {
    const versions = JSON.stringify([...cluster.records.live.values()]);
    await cluster.collect();
    await cluster.collect();
    expect(cluster.repairs).toEqual([]);
    expect(JSON.stringify([...cluster.records.live.values()])).toBe(versions);
  });
});

describe('a record whose pod is gone', () => {
  it('is released, with an event at the record and one count', async () => {
    unheard(() => cluster.removePod('a'));
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    expect(cluster.repairs).toEqual(['recordReleased']);
    expect(told('Collected')).toEqual([
      expect.stringMatching(/^10\.0\.0\.0: pod default\/a \(Pod-1\) is gone, and no event had told of it$/),
    ]);
    await cluster.collect();
    expect(cluster.repairs).toHaveLength(1);
  });

  it('is released when the pod has finished for good', async () => {
    const pod = cluster.pods.live.get('default/a');
    if (pod === undefined) throw new Error('no pod');
    unheard(() => cluster.pods.put({ ...pod, status: { phase: 'Succeeded' } }));
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
  });

  it('is found by a fresh list, though the watch has told nothing at all', async () => {
    await cluster.collect();
    cluster.pods.lose();
    cluster.removePod('a');
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
  });

  it('that somebody released meanwhile, as a live read shows, is no repair', async () => {
    unheard(() => cluster.removePod('a'));
    cluster.areListsEmpty = true;
    cluster.records.hold();
    const { spec } = record('10.0.0.0');
    cluster.records.put({ ...record('10.0.0.0'), spec: { ...spec, state: 'Releasing' } });
    await cluster.collect();
    expect(cluster.repairs).toEqual([]);
  });

  it('that is on its way out is no repair', async () => {
    unheard(() => cluster.removePod('a'));
    await cluster.collect(() => cluster.core.router.wakeAll());
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    expect(cluster.repairs).toEqual([]);
  });
});

describe('a record whose pod a list does not show', () => {
  it('stays, when a live read shows the pod', async () => {
    cluster.areListsEmpty = true;
    cluster.pods.hold();
    const pod = cluster.addPod('late', 'node-a', 'small');
    unheard(() => {
      const { spec } = record('10.0.0.0');
      const owner = { ...spec.owner, name: 'late', uid: pod.metadata.uid ?? '' };
      const fields = { ...spec, address: '10.0.0.1', owner };
      cluster.records.put({ ...record('10.0.0.0'), metadata: { name: '10.0.0.1' }, spec: fields });
    });
    await cluster.collect();
    expect(cluster.podRecords()).toContain('10.0.0.1 Bound late');
    expect(cluster.repairs).toEqual([]);
  });

  it('stays, when it is of a static pod, whose mirror may be made again', async () => {
    const annotations = { [staticPodAnnotation]: '3b5d5c3712955042212316173ccf37be', 'fast.io/ips': 'small' };
    cluster.addPod('web', 'node-a', undefined, { metadata: { name: 'web', namespace: 'default', annotations } });
    await cluster.settle();
    unheard(() => cluster.removePod('web'));
    await cluster.collect();
    expect(cluster.podRecords()).toContain('10.0.0.1 Bound web');
    expect(cluster.repairs).toEqual([]);
  });

  it('stays, when the record was made anew between the looks', async () => {
    unheard(() => cluster.removePod('a'));
    await cluster.collect(() =>
      unheard(() => {
        const before = record('10.0.0.0');
        cluster.records.remove('10.0.0.0');
        cluster.records.put({ ...before, metadata: { name: '10.0.0.0' } });
      }),
    );
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
  });
});

describe('the overlay address of a node that is gone', () => {
  it('is released', async () => {
    unheard(() => cluster.nodes.remove('node-a'));
    await cluster.collect();
    expect(cluster.held()).toContain('10.9.0.0 Releasing node-a');
    expect(cluster.repairs).toEqual(['recordReleased']);
  });
});

describe('two records of one pod', () => {
  it('become the one that is wired', async () => {
    unheard(() => {
      twin('10.0.0.0', '10.0.0.1');
      cluster.sayAttached('10.0.0.1');
    });
    await cluster.collect();
    expect(cluster.podRecords().sort()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound a']);
    expect(cluster.repairs).toEqual(['spareReleased']);
    expect(told('Collected')).toEqual(['10.0.0.0: a has two addresses and uses 10.0.0.1']);
  });

  it('stay two while neither is wired, since the next ADD chooses', async () => {
    unheard(() => twin('10.0.0.0', '10.0.0.1'));
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound a']);
    expect(cluster.repairs).toEqual([]);
  });

  it('of a node become the one that its endpoint shows', async () => {
    unheard(() => twin('10.9.0.0', '10.9.0.1'));
    await cluster.collect();
    expect(cluster.held()).toContain('10.9.0.0 Bound node-a');
    expect(cluster.held()).toContain('10.9.0.1 Releasing node-a');
  });
});

describe('a pod without a record', () => {
  it('is looked at again when nobody was at work for it', async () => {
    unheard(() => cluster.addPod('b', 'node-a', 'small'));
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound b']);
    expect(cluster.repairs).toEqual(['podWoken']);
    expect(told('Collected')).toEqual([expect.stringContaining('b: the pod had no address')]);
  });

  it('that waits for its pool is left to wait', async () => {
    cluster.addPod('b', 'node-a', 'nowhere');
    await cluster.settle();
    await cluster.collect();
    expect(cluster.repairs).toEqual([]);
  });

  it('that has finished meanwhile, as a live read shows, is left alone', async () => {
    const pod = cluster.addPod('b', 'node-a', 'nowhere');
    await cluster.settle();
    cluster.core.waiting.leave('Pod', 'default/b');
    cluster.areListsEmpty = true;
    cluster.pods.hold();
    cluster.pods.put({ ...pod, status: { phase: 'Failed' } });
    await cluster.collect();
    expect(cluster.repairs).toEqual([]);
  });

  it('that has gone between the looks is forgotten', async () => {
    unheard(() => cluster.addPod('b', 'node-a', 'small'));
    await cluster.collect(() => unheard(() => cluster.removePod('b')));
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
    expect(cluster.repairs).toEqual([]);
  });
});

describe('a pod that runs with an address which is another’s by now', () => {
  const rob = (): Pod => cluster.addPod('b', 'node-a', 'nowhere', { status: { phase: 'Running', podIP: '10.0.0.0' } });

  it('is told once, with whose it is and what to do', async () => {
    rob();
    await cluster.settle();
    await cluster.collect();
    await cluster.collect();
    expect(told('AddressLost')).toEqual([
      'b: the pod runs with 10.0.0.0, which belongs to pod default/a now; delete the pod so that it starts with an address of its own',
    ]);
    expect(cluster.repairs).toEqual(['personTold']);
  });

  it('is told again when it was mended and came back', async () => {
    const robbed = rob();
    await cluster.settle();
    await cluster.collect();
    cluster.pods.put({ ...robbed, status: { phase: 'Running' } });
    await cluster.settle();
    await cluster.collect();
    cluster.pods.put(robbed);
    await cluster.settle();
    await cluster.collect();
    expect(told('AddressLost')).toHaveLength(2);
  });

  it('is told nothing when it runs with another by now, as a live read shows', async () => {
    const robbed = rob();
    await cluster.settle();
    cluster.areListsEmpty = true;
    cluster.pods.hold();
    cluster.pods.put({ ...robbed, status: { phase: 'Running', podIP: '10.0.0.3' } });
    await cluster.collect();
    expect(told('AddressLost')).toEqual([]);
  });

  it('is told nothing when it is wired with one of its own, which its kubelet has not written down yet', async () => {
    cluster.addPod('b', 'node-a', 'small', { status: { phase: 'Running', podIP: '10.0.0.0' } });
    await cluster.settle();
    cluster.sayAttached('10.0.0.1');
    await cluster.settle();
    await cluster.collect();
    expect(told('AddressLost')).toEqual([]);
  });

  it('is told nothing while the other is on its way out', async () => {
    rob();
    cluster.removePod('a');
    await cluster.settle();
    await cluster.collect();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    expect(told('AddressLost')).toEqual([]);
  });
});

describe('a round', () => {
  it('in which a repair fails says so and repairs the rest; the next round repairs that one', async () => {
    for (const name of ['b', 'c']) cluster.addPod(name, 'node-a', 'small');
    await cluster.settle();
    unheard(() => {
      for (const name of ['a', 'b', 'c']) cluster.removePod(name);
    });
    cluster.failReads = 1;
    await cluster.collect();
    expect(cluster.failedRepairs).toHaveLength(1);
    expect(cluster.repairs).toHaveLength(2);
    await cluster.collect();
    expect(cluster.podRecords().every((line) => line.includes('Releasing'))).toBe(true);
    expect(cluster.repairs).toEqual(['recordReleased', 'recordReleased', 'recordReleased']);
  });

  it('repairs all that it has found, and not only as many as it confirms at once', async () => {
    cluster.addPool('wide', ['10.1.0.0/26']);
    const names = Array.from({ length: 40 }, (_, index) => `many-${index}`);
    for (const name of names) cluster.addPod(name, 'node-a', 'wide');
    await cluster.settle();
    unheard(() => {
      for (const name of names) cluster.removePod(name);
    });
    await cluster.collect();
    expect(cluster.repairs).toHaveLength(40);
  });

  it('lists everything no oftener because one repair fails for ever', async () => {
    unheard(() => cluster.removePod('a'));
    cluster.failReads = Number.POSITIVE_INFINITY;
    await cluster.collect();
    const { lists } = cluster;
    for (let round = 0; round < 3; round += 1) await cluster.collect();
    expect(cluster.lists - lists).toBe(6);
    expect(cluster.failedRepairs).toHaveLength(4);
  });
});
