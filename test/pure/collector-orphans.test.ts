// SPDX-License-Identifier: Apache-2.0
// Wires that no record explains: whose they are, who may not get their address, and what becomes of them.
import { beforeEach, describe, expect, it } from 'vitest';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  cluster.addPool('small', ['10.0.0.0/31']);
  await cluster.settle();
});

const podRecords = (): string[] => cluster.held().filter((line) => !line.startsWith('10.9.'));

describe('the address of a wire without a record', () => {
  it('is given to nobody else while its node lists it, and to whoever waits as soon as it is listed no more', async () => {
    cluster.sayOrphans('node-a', [{ address: '10.0.0.0', ownerUID: 'somebody' }]);
    for (const name of ['a', 'b']) cluster.addPod(name, 'node-a', 'small');
    await cluster.settle();
    expect(podRecords()).toEqual(['10.0.0.1 Bound a']);
    cluster.sayOrphans('node-a', []);
    await cluster.settle();
    expect(podRecords()).toEqual(['10.0.0.1 Bound a', '10.0.0.0 Bound b']);
  });

  it('goes to its own pod, whatever that pod’s status says', async () => {
    cluster.pods.hold();
    const pod = cluster.addPod('a', 'node-a', 'small', { status: { phase: 'Running', podIP: '10.0.0.0' } });
    cluster.sayOrphans('node-a', [{ address: '10.0.0.1', ownerUID: pod.metadata.uid ?? '' }]);
    cluster.pods.resume();
    await cluster.settle();
    expect(podRecords()).toEqual(['10.0.0.1 Bound a']);
  });

  it('goes to neither of two pods whose wires have it', async () => {
    const uids = ['a', 'b'].map((name) => cluster.addPod(name, 'node-a', 'late').metadata.uid ?? '');
    cluster.sayOrphans(
      'node-a',
      uids.map((ownerUID) => ({ address: '10.0.5.0', ownerUID })),
    );
    cluster.addPool('late', ['10.0.5.0']);
    await cluster.settle();
    expect(podRecords()).toEqual([]);
  });

  it('is kept though the pool is edited', async () => {
    cluster.sayOrphans('node-a', [{ address: '10.0.0.0', ownerUID: 'somebody' }]);
    cluster.editPool('small', { ips: ['10.0.0.0'] });
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    expect(podRecords()).toEqual([]);
  });
});
