// SPDX-License-Identifier: Apache-2.0
// The second half of an address's life, and what pools and nodes say meanwhile.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Ips } from '../../src/api/generated/ips.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  cluster.addPool('small', ['10.0.0.0/31']);
  cluster.addPod('a', 'node-a', 'small');
  cluster.addPod('b', 'node-a', 'small');
  await cluster.settle();
  expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound b']);
});

const podAddresses = (): string[] => cluster.endpoints.live.get('node-a')?.spec.podAddresses ?? [];
const condition = (pool: string, type: string): string => {
  const found = cluster.pools.live.get(pool)?.status?.conditions?.find((each) => each.type === type);
  return `${found?.status} ${found?.reason}: ${found?.message}`;
};

describe('an address whose pod is gone', () => {
  it('goes to the pod that waits, as soon as its node has let go of it, and not before', async () => {
    cluster.addPod('c', 'node-a', 'small');
    await cluster.settle();
    expect(condition('small', 'Exhausted')).toMatch('True NoFreeAddress: pool small is exhausted: 2 of 2 in use');
    expect(condition('small', 'Ready')).toBe('True Valid: 2 usable addresses, 0 free');
    cluster.removePod('a');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound b']);
    expect(podAddresses()).toEqual(['10.0.0.0', '10.0.0.1']);
    await cluster.pass(600_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound b']);
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound b', '10.0.0.0 Bound c']);
  });

  it('is released when the pod has finished for good, though its object stays', async () => {
    const pod = cluster.pods.live.get('default/a');
    if (pod === undefined) throw new Error('no pod');
    cluster.pods.put({ ...pod, status: { phase: 'Failed' } });
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound b']);
  });

  it('is not taken by the word of a lagging view: a live read decides', async () => {
    cluster.pods.hold();
    cluster.addPod('late', 'node-a', 'small');
    const record = cluster.records.live.get('10.0.0.1');
    const uid = cluster.pods.live.get('default/late')?.metadata.uid ?? '';
    if (record === undefined) throw new Error('no record');
    const spec = { ...record.spec, owner: { ...record.spec.owner, name: 'late', uid } };
    cluster.records.put({ ...record, spec });
    await cluster.settle();
    expect(cluster.podRecords()).toContain('10.0.0.1 Bound late');
  });

  it('is not confused with that of a new pod of the same name', async () => {
    cluster.removePod('a');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound b']);
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(cluster.records.live.get('10.0.0.0')?.spec.owner.uid).toBe(cluster.pods.live.get('default/a')?.metadata.uid);
  });

  it('survives a released that speaks of a former owner', async () => {
    cluster.removePod('a');
    await cluster.settle();
    const record = cluster.records.live.get('10.0.0.0');
    if (record === undefined) throw new Error('no record');
    cluster.records.put({ ...record, status: { released: { owner: { uid: 'somebody-before' } } } });
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound b']);
  });

  it('is not released by a decision on a record that changed meanwhile', async () => {
    cluster.records.hold();
    const record = cluster.records.live.get('10.0.0.0');
    if (record === undefined) throw new Error('no record');
    cluster.records.put({ ...record, status: { attached: { owner: { uid: 'x' }, containerID: 'c', interface: 'i' } } });
    cluster.removePod('a');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound b']);
    cluster.records.resume();
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound b']);
    expect(cluster.records.live.get('10.0.0.0')?.status?.attached?.interface).toBe('i');
  });

  it('of a record deleted by hand goes back to the pod that lives on', async () => {
    cluster.records.remove('10.0.0.0');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound b', '10.0.0.0 Bound a']);
  });
});

describe('the addresses of a node that is gone', () => {
  it('are kept for the fence of a minute, then freed in its name, and its endpoint goes last', async () => {
    cluster.nodes.remove('node-a');
    cluster.removePod('a');
    cluster.removePod('b');
    await cluster.settle();
    expect(cluster.held().sort()).toEqual([
      '10.0.0.0 Releasing a',
      '10.0.0.1 Releasing b',
      '10.9.0.0 Releasing node-a',
    ]);
    await cluster.pass(59_000);
    expect(cluster.held()).toHaveLength(3);
    expect(cluster.endpoints.live.has('node-a')).toBe(true);
    await cluster.pass(1_000);
    expect(cluster.held()).toEqual([]);
    expect(cluster.endpoints.live.has('node-a')).toBe(false);
  });

  it('stay with pods that still live in the API', async () => {
    cluster.nodes.remove('node-a');
    await cluster.settle();
    await cluster.pass(120_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound b']);
  });

  it('are freed in its name when a person has put it out of service', async () => {
    const node = cluster.nodes.live.get('node-a');
    if (node === undefined) throw new Error('no node');
    cluster.removePod('a');
    cluster.nodes.put({
      ...node,
      spec: { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] },
    });
    await cluster.settle();
    await cluster.pass(59_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a', '10.0.0.1 Bound b']);
    await cluster.pass(1_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound b']);
  });

  it('a machine that registers anew gets another overlay address, for the old one may still be in its kernel', async () => {
    cluster.nodes.remove('node-a');
    cluster.addNode('node-a');
    await cluster.settle();
    expect(cluster.endpoints.live.get('node-a')?.spec).toMatchObject({
      overlayAddress: '10.9.0.1',
      nodeUID: cluster.nodes.live.get('node-a')?.metadata.uid,
    });
    await cluster.pass(60_000);
    expect(cluster.held()).toContain('10.9.0.0 Releasing node-a');
    cluster.sayReleased('10.9.0.0');
    await cluster.settle();
    expect(cluster.held()).not.toContain('10.9.0.0 Releasing node-a');
  });
});

describe('a node without an agent, such as one that is off or of another architecture', () => {
  beforeEach(async () => {
    for (const pod of ['a', 'b']) cluster.removePod(pod);
    await cluster.settle();
    for (const address of ['10.0.0.0', '10.0.0.1']) cluster.sayReleased(address);
    await cluster.settle();
    cluster.endpointWrites.agentless.add('silent');
    cluster.addNode('silent', '10.29.15.51');
    cluster.addPod('c', 'silent', 'small');
    await cluster.settle();
    await cluster.pass(600_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound c']);
  });
  const speak = (): void => {
    const endpoint = cluster.endpoints.live.get('silent');
    const first = cluster.endpoints.live.get('node-a');
    if (endpoint === undefined || first?.status === undefined) throw new Error('no endpoint');
    cluster.endpoints.put({ ...endpoint, status: first.status });
  };

  it('does not drain a pool: its addresses are freed in its name after the fence of a minute', async () => {
    cluster.removePod('c');
    await cluster.settle();
    await cluster.pass(59_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing c']);
    await cluster.pass(1_000);
    expect(cluster.podRecords()).toEqual([]);
    expect(cluster.endpoints.live.get('silent')?.spec.podAddresses).toEqual([]);
  });

  it('lets go by itself as soon as its agent has said a word', async () => {
    cluster.removePod('c');
    await cluster.settle();
    await cluster.pass(59_000);
    speak();
    await cluster.settle();
    await cluster.pass(600_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing c']);
  });

  it('lets go by itself of what a wire was said to have', async () => {
    cluster.sayAttached('10.0.0.0');
    cluster.removePod('c');
    await cluster.settle();
    await cluster.pass(600_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing c']);
  });

  it('is waited for anew by each of its addresses, for an agent may just have come', async () => {
    cluster.addPod('d', 'silent', 'small');
    cluster.removePod('c');
    await cluster.settle();
    await cluster.pass(50_000);
    cluster.removePod('d');
    await cluster.settle();
    await cluster.pass(10_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Releasing d']);
    await cluster.pass(50_000);
    expect(cluster.podRecords()).toEqual([]);
  });

  it('has the whole fence again when its Node object was away for a while', async () => {
    cluster.nodes.remove('silent');
    cluster.removePod('c');
    await cluster.settle();
    await cluster.pass(50_000);
    cluster.addNode('silent', '10.29.15.51');
    await cluster.settle();
    await cluster.pass(59_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing c']);
  });
});

describe('a pool', () => {
  const remove = (name: string): void => {
    const live = cluster.pools.live.get(name) as Ips;
    cluster.pools.put({ ...live, metadata: { ...live.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
  };

  it('counts what a recount counts', async () => {
    cluster.removePod('a');
    await cluster.settle();
    expect(cluster.pools.live.get('small')?.status).toMatchObject({ total: 2, bound: 2, free: 0, outOfRange: 0 });
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(cluster.pools.live.get('small')?.status).toMatchObject({ total: 2, bound: 1, free: 1 });
    expect(condition('small', 'Exhausted')).toMatch('False AddressesFree');
  });

  it('drains what an edit takes out of it: in use, counted, not given out again', async () => {
    const live = cluster.pools.live.get('small') as Ips;
    const spec = { ...live.spec, ips: ['10.0.0.1-10.0.0.2'] };
    cluster.pools.put({ ...live, spec, metadata: { ...live.metadata, generation: 2 } });
    await cluster.settle();
    expect(cluster.pools.live.get('small')?.status).toMatchObject({ total: 2, bound: 2, free: 1, outOfRange: 1 });
    cluster.removePod('a');
    await cluster.settle();
    cluster.sayReleased('10.0.0.0');
    cluster.addPod('c', 'node-a', 'small');
    cluster.addPod('d', 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound b', '10.0.0.2 Bound c']);
  });

  it('of the nodes does not ask for the deletion of pods when it is to go', async () => {
    remove('fast-nodes');
    await cluster.settle();
    expect(condition('fast-nodes', 'Ready')).toMatch(
      /of node node-a.*; a node gives its own back when its Node object/,
    );
  });

  it('in use is kept from deletion, says for whom, gives out nothing more, and goes when it is empty', async () => {
    cluster.removePod('b');
    await cluster.settle();
    cluster.sayReleased('10.0.0.1');
    await cluster.settle();
    remove('small');
    cluster.addPod('c', 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
    expect(condition('small', 'Ready')).toBe(
      'False Terminating: deletion waits for 1 address in use: 10.0.0.0 of pod default/a; delete its pod',
    );
    cluster.removePod('a');
    await cluster.settle();
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(cluster.pools.live.has('small')).toBe(false);
  });

  it('that overlaps another says so on both, and stays safe', async () => {
    cluster.addPool('other', ['10.0.0.1-10.0.0.2']);
    cluster.addPod('c', 'node-a', 'other');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound b', '10.0.0.2 Bound c']);
    expect(condition('small', 'Overlapping')).toMatch('True SharesAddresses: shares 10.0.0.1 with pool other');
    expect(condition('other', 'Overlapping')).toMatch('True SharesAddresses: shares 10.0.0.1 with pool small');
  });

  it('that has nothing to give is not ready and says why, is ready when it gets something, and is written once', async () => {
    cluster.addPool('hollow', ['10.5.0.0/31'], { excludeIPs: ['10.5.0.0'] });
    cluster.addNode('node-c', '10.5.0.1');
    await cluster.settle();
    expect(condition('hollow', 'Ready')).toBe(
      "False NothingUsable: pool hollow has no address to give: its gateway, excludeIPs, the nodes' addresses and the Services' leave none of spec.ips; add ranges to its spec.ips",
    );
    const version = cluster.pools.live.get('hollow')?.metadata.resourceVersion;
    cluster.core.router.wakeAll();
    await cluster.settle();
    expect(cluster.pools.live.get('hollow')?.metadata.resourceVersion).toBe(version);
    cluster.nodes.remove('node-c');
    await cluster.settle();
    expect(condition('hollow', 'Ready')).toBe('True Valid: 1 usable address, 1 free');
  });

  it('that is invalid says which field and value, and keeps what it gave out', async () => {
    const live = cluster.pools.live.get('small') as Ips;
    const spec = { ...live.spec, ips: ['10.0.0.0/31', '10.0.0.300'] };
    cluster.pools.put({ ...live, spec, metadata: { ...live.metadata, generation: 2 } });
    await cluster.settle();
    expect(condition('small', 'Ready')).toMatch('False Invalid: spec.ips[1]: "10.0.0.300" is no IPv4 address');
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound b']);
    expect(cluster.pools.live.get('small')?.status).toMatchObject({ total: 0, bound: 2, free: 0, outOfRange: 2 });
  });

  it('gives out the address that was the gateway of another pool, as soon as that pool is gone', async () => {
    cluster.addPool('near', ['10.1.0.1'], { subnet: '10.2.0.1/32' });
    cluster.addPool('holds', ['10.2.0.1']);
    cluster.addPod('c', 'node-a', 'holds');
    await cluster.settle();
    expect(cluster.podRecords()).not.toContain('10.2.0.1 Bound c');
    cluster.pools.remove('near');
    await cluster.settle();
    await cluster.pass(30_000);
    expect(cluster.podRecords()).toContain('10.2.0.1 Bound c');
  });
});
