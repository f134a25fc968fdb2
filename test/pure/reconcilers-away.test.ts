// SPDX-License-Identifier: Apache-2.0
// Nodes and the mirrors of static pods that go away and come back, and how long their addresses wait for them.
import { beforeEach, describe, expect, it } from 'vitest';
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

describe('a node that registered anew on the same machine', () => {
  it('keeps the address of a deleted pod until its agent has let go of it, as any node does', async () => {
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.nodes.remove('node-a');
    cluster.addNode('node-a');
    await cluster.settle();
    await cluster.pass(3_600_000);
    cluster.removePod('a');
    await cluster.settle();
    await cluster.pass(3_600_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
  });
});

describe('a node that is gone while its pods are still in the API', () => {
  it('keeps its endpoint for them, without an overlay address that another node may get', async () => {
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.nodes.remove('node-a');
    await cluster.settle();
    await cluster.pass(120_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
    const spec = cluster.endpoints.live.get('node-a')?.spec;
    expect(spec?.podAddresses).toEqual(['10.0.0.0']);
    expect(spec?.overlayAddress).toBeUndefined();
    cluster.removePod('a');
    await cluster.settle();
    await cluster.pass(60_000);
    expect(cluster.endpoints.live.has('node-a')).toBe(false);
  });
});

describe('a node that is gone while its machine runs on', () => {
  it('has the fence for each of its pods, whose containers end and whose wires are cut when the pod goes', async () => {
    for (const pod of ['a', 'b']) cluster.addPod(pod, 'node-a', 'small');
    await cluster.settle();
    for (const address of ['10.0.0.0', '10.0.0.1']) cluster.sayAttached(address);
    cluster.nodes.remove('node-a');
    await cluster.settle();
    await cluster.pass(300_000);
    cluster.removePod('a');
    await cluster.settle();
    await cluster.pass(55_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound b']);
    cluster.sayReleased('10.0.0.0');
    cluster.removePod('b');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Releasing b']);
    await cluster.pass(60_000);
    expect(cluster.podRecords()).toEqual([]);
  });
});

describe('a node that goes a second time', () => {
  it('has the fence before it anew, whatever was counted the first time', async () => {
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.nodes.remove('node-a');
    await cluster.settle();
    // Its overlay address is freed by then; what is left of it is a pod that nobody has deleted.
    await cluster.pass(70_000);
    cluster.addNode('node-a');
    await cluster.settle();
    await cluster.pass(3_600_000);
    cluster.nodes.remove('node-a');
    cluster.removePod('a');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    await cluster.pass(55_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    await cluster.pass(10_000);
    expect(cluster.podRecords()).toEqual([]);
  });

  it('so has one that was out of service', async () => {
    const outOfService = { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] };
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.nodes.remove('node-a');
    const anew = cluster.addNode('node-a');
    await cluster.settle();
    cluster.sayReleased('10.9.0.0');
    await cluster.settle();
    cluster.nodes.put({ ...anew, spec: outOfService });
    cluster.records.put(cluster.record('10.0.0.0'));
    await cluster.settle();
    cluster.nodes.put({ ...anew, spec: {} });
    await cluster.settle();
    await cluster.pass(3_600_000);
    cluster.nodes.put({ ...anew, spec: outOfService });
    cluster.removePod('a');
    await cluster.settle();
    await cluster.pass(55_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    await cluster.pass(10_000);
    expect(cluster.podRecords()).toEqual([]);
  });
});

describe('an address whose node goes when it has had another pod there', () => {
  it('has the fence before it anew, however long its former pod was on its way out', async () => {
    cluster.editPool('small', { ips: ['10.0.0.0'], coolDownSeconds: 3_600 });
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.removePod('a');
    await cluster.settle();
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    cluster.addPod('b', 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound b']);
    cluster.nodes.remove('node-a');
    await cluster.settle();
    await cluster.pass(300_000);
    cluster.removePod('b');
    await cluster.settle();
    await cluster.pass(55_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing b']);
  });
});

describe('a node that was away and came back without an agent', () => {
  it('has the fence before it anew when it goes again', async () => {
    cluster.endpointWrites.agentless.add('node-b');
    cluster.addNode('node-b', '10.29.15.50');
    cluster.addPod('a', 'node-b', 'small');
    await cluster.settle();
    cluster.nodes.remove('node-b');
    cluster.removePod('a');
    await cluster.settle();
    await cluster.pass(50_000);
    cluster.addNode('node-b', '10.29.15.50');
    await cluster.settle();
    cluster.nodes.remove('node-b');
    await cluster.settle();
    await cluster.pass(55_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
  });
});

describe("a static pod's mirror", () => {
  const mirror = (): void => {
    const annotations = { [staticPodAnnotation]: '3b5d5c3712955042212316173ccf37be', [poolAnnotation]: 'small' };
    cluster.addPod('web-node-a', 'node-a', undefined, {
      metadata: { name: 'web-node-a', namespace: 'default', annotations },
    });
  };

  it('that somebody deleted costs the running pod nothing, since the kubelet makes it again', async () => {
    mirror();
    await cluster.settle();
    cluster.removePod('web-node-a');
    await cluster.settle();
    await cluster.pass(5_000);
    mirror();
    await cluster.settle();
    await cluster.pass(600_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound web-node-a']);
  });

  it('that stays away frees the address of a pod that has no wire', async () => {
    mirror();
    await cluster.settle();
    cluster.removePod('web-node-a');
    await cluster.settle();
    await cluster.pass(60_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing web-node-a']);
  });

  it('that stays away for long takes no wire from the pod, which runs by its file', async () => {
    mirror();
    await cluster.settle();
    cluster.sayAttached('10.0.0.0');
    cluster.removePod('web-node-a');
    await cluster.settle();
    await cluster.pass(3_600_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound web-node-a']);
  });

  it('that had failed in a lagging view takes no wire from the pod, which has begun anew', async () => {
    mirror();
    await cluster.settle();
    cluster.sayAttached('10.0.0.0');
    const pod = cluster.pods.live.get('default/web-node-a');
    if (pod === undefined) throw new Error('no pod');
    cluster.pods.put({ ...pod, status: { phase: 'Failed' } });
    cluster.pods.hold();
    cluster.removePod('web-node-a');
    mirror();
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound web-node-a']);
  });

  it('that has failed for good frees the address', async () => {
    mirror();
    await cluster.settle();
    const pod = cluster.pods.live.get('default/web-node-a');
    if (pod === undefined) throw new Error('no pod');
    cluster.pods.put({ ...pod, status: { phase: 'Failed' } });
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing web-node-a']);
  });

  it('and its file removed: the address is on its way back soon after its node has said that the wire is gone', async () => {
    mirror();
    await cluster.settle();
    cluster.sayAttached('10.0.0.0');
    cluster.removePod('web-node-a');
    await cluster.settle();
    await cluster.pass(600_000);
    cluster.records.put({ ...cluster.record('10.0.0.0'), status: {} });
    await cluster.settle();
    await cluster.pass(29_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound web-node-a']);
    await cluster.pass(2_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing web-node-a']);
  });

  it('that goes while its Node is out of service frees the address, whatever its agent said before', async () => {
    mirror();
    await cluster.settle();
    cluster.sayAttached('10.0.0.0');
    await cluster.settle();
    const node = cluster.nodes.live.get('node-a');
    const taints = [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }];
    cluster.nodes.put({ metadata: node?.metadata ?? { name: '' }, ...node, spec: { taints } });
    cluster.removePod('web-node-a');
    await cluster.settle();
    for (const ms of [30_000, 60_000]) await cluster.pass(ms);
    expect(cluster.podRecords()).toEqual([]);
  });

  it('that goes with its Node takes no wire from the pod while the machine registers anew', async () => {
    mirror();
    await cluster.settle();
    cluster.sayAttached('10.0.0.0');
    cluster.removePod('web-node-a');
    for (const round of [1, 2]) {
      cluster.nodes.remove('node-a');
      await cluster.settle();
      await cluster.pass(50_000);
      expect(cluster.podRecords(), `round ${round}`).toEqual(['10.0.0.0 Bound web-node-a']);
      cluster.addNode('node-a');
      await cluster.settle();
    }
    mirror();
    await cluster.settle();
    await cluster.pass(600_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound web-node-a']);
  });

  it('that goes with its Node for good frees the address, and the agent has the time of a fence to cut the wire', async () => {
    mirror();
    await cluster.settle();
    cluster.sayAttached('10.0.0.0');
    cluster.removePod('web-node-a');
    cluster.nodes.remove('node-a');
    await cluster.settle();
    await cluster.pass(61_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing web-node-a']);
    await cluster.pass(55_000);
    expect(cluster.record('10.0.0.0').status?.released).toBeUndefined();
    await cluster.pass(10_000);
    expect(cluster.podRecords()).not.toContain('10.0.0.0 Releasing web-node-a');
  });

  it('that goes long after its Node leaves the agent as much time to cut the wire', async () => {
    mirror();
    await cluster.settle();
    cluster.sayAttached('10.0.0.0');
    cluster.nodes.remove('node-a');
    await cluster.settle();
    await cluster.pass(300_000);
    cluster.removePod('web-node-a');
    await cluster.settle();
    await cluster.pass(31_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing web-node-a']);
    await cluster.pass(55_000);
    expect(cluster.record('10.0.0.0').status?.released).toBeUndefined();
    await cluster.pass(10_000);
    expect(cluster.podRecords()).not.toContain('10.0.0.0 Releasing web-node-a');
  });
});
