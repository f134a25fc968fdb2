// SPDX-License-Identifier: Apache-2.0
// An address leaves one node's endpoint before it can appear in another's: the story of one address and two nodes, with
// what can go wrong on the way. The model looks at all endpoints after each write.
import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { decideEndpoint } from '../../src/reconcilers/node-endpoint.ts';
import { Published } from '../../src/reconcilers/published.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a', '10.29.15.49');
  cluster.addNode('node-b', '10.29.15.50');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node', coolDownSeconds: 0 });
  cluster.addPool('single', ['10.0.0.0'], { coolDownSeconds: 0 });
  cluster.addPod('a', 'node-a', 'single');
  await cluster.settle();
  cluster.addPod('b', 'node-b', 'single');
  cluster.removePod('a');
  await cluster.settle();
  expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
});

const listed = (node: string): string[] | undefined => cluster.endpoints.live.get(node)?.spec.podAddresses;

describe('an address that its node has let go of', () => {
  it('leaves the endpoint of its node first, and then goes to a pod of another', async () => {
    const seen: string[] = [];
    const put = cluster.endpoints.put.bind(cluster.endpoints);
    cluster.endpoints.put = (endpoint, uid) => {
      seen.push(`${endpoint.metadata.name}: ${endpoint.spec.podAddresses?.join()}`);
      return put(endpoint, uid);
    };
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(seen.filter((line, at) => line !== seen[at - 1])).toEqual(['node-a: ', 'node-b: 10.0.0.0']);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound b']);
  });

  it('is kept while the endpoint cannot be written, and given on as soon as it is', async () => {
    cluster.endpointWrites.fates.push('lost', 'lost', 'lost');
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    expect(listed('node-a')).toEqual(['10.0.0.0']);
    for (let retry = 0; retry < 3; retry += 1) await cluster.pass(5);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound b']);
    expect(listed('node-b')).toEqual(['10.0.0.0']);
  });

  it('is kept until the watch shows its removal, though the answer to the write was lost', async () => {
    cluster.endpoints.hold();
    cluster.endpointWrites.fates.push('done');
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(listed('node-a')).toEqual([]);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing a']);
    cluster.endpoints.resume();
    await cluster.settle();
    await cluster.pass(300);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound b']);
  });

  it('of a node that is gone leaves with the endpoint', async () => {
    cluster.nodes.remove('node-a');
    await cluster.settle();
    await cluster.pass(60_000);
    expect(cluster.endpoints.live.has('node-a')).toBe(false);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound b']);
  });

  it('leaves the endpoint of a node that has lost its InternalIP as well', async () => {
    const node = cluster.nodes.live.get('node-a');
    if (node === undefined) throw new Error('no node');
    cluster.nodes.put({ ...node, status: {} });
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(listed('node-a')).toEqual([]);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound b']);
    expect(cluster.events.at(-1)?.note).toContain('node-a has no InternalIP');
  });
});

describe('an address whose record was deleted by hand', () => {
  it('goes to nobody while the endpoint still lists it', async () => {
    cluster.endpoints.hold();
    cluster.records.remove('10.0.0.0');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
    cluster.endpoints.resume();
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound b']);
  });
});

describe('an address of two pools whose record was deleted by hand', () => {
  it('is counted as free by both, as soon as the endpoint lists it no more', async () => {
    const free = (pool: string): number | undefined => cluster.pools.live.get(pool)?.status?.free;
    cluster.addPool('twin', ['10.0.0.0'], { coolDownSeconds: 0 });
    cluster.removePod('b');
    await cluster.settle();
    cluster.endpoints.hold();
    cluster.records.remove('10.0.0.0');
    await cluster.pass(1_000);
    expect([free('single'), free('twin')]).toEqual([0, 0]);
    cluster.endpoints.resume();
    await cluster.pass(1_000);
    expect([free('single'), free('twin')]).toEqual([1, 1]);
  });
});

describe('a write of an endpoint that got no answer before its pod is gone', () => {
  beforeEach(async () => {
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    cluster.removePod('b');
    await cluster.settle();
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    // The endpoint of node-a is to list the address of pod c, and from here on no answer comes.
    cluster.endpointWrites.fates.push('late');
    cluster.endpointWrites.fate = 'lost';
    cluster.addPod('c', 'node-a', 'single');
    await cluster.settle();
    cluster.removePod('c');
    await cluster.settle();
    cluster.addPod('d', 'node-b', 'single');
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(listed('node-a')).toEqual([]);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing c']);
  });

  it('keeps the address while it may still arrive', async () => {
    await cluster.pass(60_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Releasing c']);
    cluster.endpointWrites.fate = undefined;
    cluster.endpointWrites.arrive();
    for (let retry = 0; retry < 3; retry += 1) await cluster.pass(300);
    expect(cluster.endpointWrites.doubled).toEqual([]);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound d']);
  });

  it('keeps the address no longer than until the API server answers again', async () => {
    cluster.endpointWrites.fate = undefined;
    await cluster.pass(60_000);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound d']);
    cluster.endpointWrites.arrive();
    await cluster.settle();
    expect(listed('node-a')).toEqual([]);
    expect(listed('node-b')).toEqual(['10.0.0.0']);
  });
});

describe('an endpoint that the API server refuses', () => {
  beforeEach(async () => {
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    cluster.removePod('b');
    await cluster.settle();
    cluster.sayReleased('10.0.0.0');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
  });

  it('keeps no address from the pods of other nodes', async () => {
    cluster.endpointWrites.isBarred = true;
    cluster.addPod('c', 'node-a', 'single');
    await cluster.settle();
    cluster.records.remove('10.0.0.0');
    cluster.removePod('c');
    cluster.addPod('d', 'node-b', 'single');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound d']);
  });

  it('is written as soon as it is taken', async () => {
    cluster.endpointWrites.isBarred = true;
    cluster.addPod('c', 'node-a', 'single');
    await cluster.settle();
    expect(listed('node-a')).toEqual([]);
    cluster.endpointWrites.isBarred = false;
    await cluster.pass(5);
    expect(listed('node-a')).toEqual(['10.0.0.0']);
  });
});

describe('what is published', () => {
  const address = parseAddress('10.0.0.0');
  const endpoint = (version: string, ...podAddresses: string[]): NodeEndpoint => ({
    metadata: { name: 'node-a', resourceVersion: version },
    spec: { nodeUID: 'u', tunnelAddress: '10.29.15.49', podAddresses },
  });

  it('counts a write from before it is sent until the watch shows what came of it', () => {
    const published = new Published();
    published.show('node-a', endpoint('1'));
    const publication = published.begin(endpoint('1', '10.0.0.0'), '1');
    expect(published.isListed(address)).toBe(true);
    publication.isAnswered = true;
    expect(published.show('node-a', endpoint('1'))).toEqual([]);
    expect(published.isListed(address)).toBe(true);
    expect(published.show('node-a', endpoint('2', '10.0.0.0'))).toEqual([]);
    expect(published.show('node-a', endpoint('3'))).toEqual([address]);
    expect(published.isListed(address)).toBe(false);
  });

  it('forgets a write that was refused, and one that a newer version has overtaken', () => {
    const published = new Published();
    published.show('node-a', endpoint('1'));
    expect(published.fail(published.begin(endpoint('1', '10.0.0.0'), '1'))).toEqual([address]);
    published.begin(endpoint('1', '10.0.0.0'), '1');
    expect(published.unanswered('node-a')?.base).toBe('1');
    expect(published.show('node-a', endpoint('2'))).toEqual([address]);
    expect(published.unanswered('node-a')).toBeUndefined();
  });

  it('is sent again as it was tried last, not as it was tried first', () => {
    const published = new Published();
    published.show('node-a', endpoint('1'));
    published.begin(endpoint('1', '10.0.0.0'), '1');
    const second = published.begin(endpoint('1', '10.0.0.1'), '1');
    expect(published.unanswered('node-a')).toBe(second);
  });

  it('holds no more of a write that is tried for hours than of one that is tried twice', () => {
    const published = new Published();
    published.show('node-a', endpoint('1'));
    for (let tries = 0; tries < 100; tries += 1) published.begin(endpoint('1', '10.0.0.0'), '1');
    const left = (): boolean => {
      const last = published.unanswered('node-a');
      if (last !== undefined) published.fail(last);
      return last !== undefined;
    };
    expect([left(), published.isListed(address), left(), left()]).toEqual([true, true, true, false]);
    expect(published.isListed(address)).toBe(false);
  });

  it('knows of two nodes that list one address, as after a backup was brought back', () => {
    const published = new Published();
    published.show('node-a', endpoint('1', '10.0.0.0'));
    const other = endpoint('2', '10.0.0.0');
    published.show('node-b', { ...other, metadata: { ...other.metadata, name: 'node-b' } });
    expect(published.isListedElsewhere(address, 'node-a')).toBe(true);
    expect(published.show('node-a', undefined)).toEqual([]);
    expect(published.isListedElsewhere(address, 'node-b')).toBe(false);
    expect(published.show('node-b', undefined)).toEqual([address]);
    expect([...published.addresses()]).toEqual([]);
  });
});

describe('an endpoint whose node has no InternalIP', () => {
  const existing: NodeEndpoint = {
    metadata: { name: 'node-a' },
    spec: { nodeUID: 'u', tunnelAddress: '10.1.1.1', podAddresses: ['10.0.0.0'] },
  };
  const facts = { name: 'node-a', node: { metadata: { name: 'node-a', uid: 'u' } }, records: [], waiting: [] };

  it('keeps the former end of the tunnel while its list becomes shorter, and then says what is missing', () => {
    const action = decideEndpoint({ ...facts, existing });
    expect(action).toMatchObject({ action: 'replace', endpoint: { spec: { tunnelAddress: '10.1.1.1' } } });
    const shorter = { ...existing, spec: { ...existing.spec, podAddresses: [] } };
    expect(decideEndpoint({ ...facts, existing: shorter }).action).toBe('blocked');
    expect(decideEndpoint({ ...facts, existing: undefined }).action).toBe('blocked');
  });
});
