// SPDX-License-Identifier: Apache-2.0
// Stories of pods and pools in the order of time, on pools small enough to fit on a screen.
import { beforeEach, describe, expect, it } from 'vitest';
import { staticPodAnnotation } from '../../src/api/names.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  await cluster.settle();
});

const waiting = (node = 'node-a'): string[] =>
  (cluster.endpoints.live.get(node)?.spec.waiting ?? []).map((each) => `${each.name}: ${each.message}`);

describe('a pod that is bound to a node', () => {
  it('gets the lowest free address of the pool that it names', async () => {
    cluster.addPool('small', ['10.0.0.0/30']);
    for (const name of ['a', 'b', 'c']) cluster.addPod(name, 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound b', '10.0.0.2 Bound c']);
    expect(cluster.records.live.get('10.0.0.1')?.spec).toEqual({
      address: '10.0.0.1',
      ips: 'small',
      gateway: '10.244.0.1',
      prefixLength: 32,
      nodeName: 'node-a',
      nodeUID: cluster.nodes.live.get('node-a')?.metadata.uid,
      owner: { kind: 'Pod', namespace: 'default', name: 'b', uid: cluster.pods.live.get('default/b')?.metadata.uid },
      state: 'Bound',
      stateSince: '2026-01-01T00:00:00Z',
    });
    expect(cluster.endpoints.live.get('node-a')?.spec).toMatchObject({
      tunnelAddress: '10.29.15.49',
      overlayAddress: '10.9.0.0',
      podAddresses: ['10.0.0.0', '10.0.0.1', '10.0.0.2'],
    });
  });

  it('gets one from default-ips when it names none, and from its namespace’s pool when that names one', async () => {
    cluster.addPool('default-ips', ['10.0.0.0/30']);
    cluster.addPool('team', ['10.1.0.0/30']);
    cluster.addPod('plain', 'node-a');
    await cluster.settle();
    cluster.namespaces.put({ metadata: { name: 'default', annotations: { 'fast.io/ips': 'team' } } });
    cluster.addPod('teamed', 'node-a');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound plain', '10.1.0.0 Bound teamed']);
  });

  it('is told when the pool never had an address to give, which no deletion of pods mends', async () => {
    cluster.addPool('hollow', ['10.0.0.1'], { excludeIPs: ['10.0.0.1'] });
    cluster.addPod('a', 'node-a', 'hollow');
    await cluster.settle();
    expect(waiting()[0]).toContain('pool hollow has no address to give: its gateway, excludeIPs');
    expect(waiting()[0]).toContain('add ranges to its spec.ips');
  });

  it('takes the second pool of its list when the first is full', async () => {
    cluster.addPool('first', ['10.0.0.1']);
    cluster.addPool('second', ['10.1.0.1']);
    cluster.addPod('a', 'node-a', 'first, second');
    cluster.addPod('b', 'node-a', 'first, second');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound a', '10.1.0.1 Bound b']);
  });

  it('is told once of a full pool that its annotation names twice', async () => {
    cluster.addPool('first', ['10.0.0.1']);
    cluster.addPod('a', 'node-a', 'first');
    cluster.addPod('b', 'node-a', 'first, first');
    await cluster.settle();
    expect(waiting()).toEqual(['b: pool first is exhausted: 1 of 1 in use; add ranges to its spec.ips']);
  });

  it('gets its address from default-ips, though the pool of the nodes has a selector which lets its node in', async () => {
    cluster.addPool('default-ips', ['10.0.0.0/30']);
    cluster.editPool('fast-nodes', { nodeSelector: {} });
    cluster.addPod('a', 'node-a');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
  });

  it('leaves a node its overlay address, though the pool of the nodes has a selector of pods', async () => {
    cluster.editPool('fast-nodes', { podSelector: { matchLabels: { app: 'web' } } });
    cluster.addNode('node-b', '10.29.15.50');
    await cluster.settle();
    expect(cluster.held()).toContain('10.9.0.1 Bound node-b');
  });

  it('never gets the gateway, a node’s address, an excluded address, or the ends of a subnet', async () => {
    cluster.addNode('node-b', '10.0.0.3');
    cluster.addPool('small', ['10.0.0.0/29'], { subnet: '10.0.0.1/29', excludeIPs: ['10.0.0.4-10.0.0.5'] });
    for (const name of ['a', 'b', 'c']) cluster.addPod(name, 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.2 Bound a', '10.0.0.6 Bound b']);
    expect(waiting()).toEqual(['c: pool small is exhausted: 2 of 2 in use; add ranges to its spec.ips']);
    expect(cluster.pools.live.get('small')?.status).toMatchObject({ total: 2, bound: 2, free: 0 });
  });

  it('gets the one address that a /30 has beside its ends and its gateway, and that of a /31, which has no ends', async () => {
    cluster.addPool('thirty', ['10.0.0.0/30'], { subnet: '10.0.0.1/30' });
    cluster.addPool('thirty-one', ['10.0.1.0/31'], { subnet: '10.0.1.1/31' });
    for (const name of ['a', 'b']) cluster.addPod(name, 'node-a', 'thirty');
    for (const name of ['c', 'd']) cluster.addPod(name, 'node-a', 'thirty-one');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.2 Bound a', '10.0.1.0 Bound c']);
  });

  it('gets the first and last address of a /32 pool, whose link has no broadcast', async () => {
    cluster.addPool('quick', ['10.244.10.0-10.244.10.1']);
    cluster.addPod('a', 'node-a', 'quick');
    cluster.addPod('b', 'node-a', 'quick');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.244.10.0 Bound a', '10.244.10.1 Bound b']);
  });

  it('gets none on the host network, unscheduled, finished, or while it is being deleted', async () => {
    cluster.addPool('small', ['10.0.0.0/29']);
    cluster.addPod('host', 'node-a', 'small', { spec: { nodeName: 'node-a', hostNetwork: true } });
    cluster.addPod('unbound', '', 'small');
    cluster.addPod('finished', 'node-a', 'small', { status: { phase: 'Succeeded' } });
    cluster.addPod('leaving', 'node-a', 'small', {
      metadata: { name: 'leaving', namespace: 'default', deletionTimestamp: 'x' },
    });
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
  });

  it('waits for its node to exist, and takes no address before', async () => {
    cluster.addPool('small', ['10.0.0.0/29']);
    cluster.addPod('a', 'node-z', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
    cluster.addNode('node-z', '10.29.15.77');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
  });

  it('is known by its mirror annotation when it is static', async () => {
    cluster.addPool('small', ['10.0.0.0/29']);
    const annotations = { [staticPodAnnotation]: 'static-uid', 'fast.io/ips': 'small' };
    cluster.addPod('a', 'node-a', undefined, { metadata: { name: 'a', namespace: 'default', annotations } });
    await cluster.settle();
    expect(cluster.records.live.get('10.0.0.0')?.spec.owner.uid).toBe('static-uid');
  });
});

describe('a pod that cannot be served', () => {
  it.each([
    [
      'no-such-pool',
      'PoolNotFound',
      'pool no-such-pool does not exist; create the Ips no-such-pool, or correct the annotation fast.io/ips',
    ],
    [
      'x'.repeat(253),
      'PoolNotFound',
      `pool ${'x'.repeat(253)} does not exist; create the Ips ${'x'.repeat(253)}, or correct the annotation fast.io/ips`,
    ],
    ...['Nosuch Pool', 'a..b', '-a', 'a-.b'].map((name): [string, string, string] => [
      name,
      'PoolNotFound',
      `pool "${name}" cannot exist: a name is lower-case letters, digits, "-" and ".", begins and ends with a letter or digit, and has 253 characters at most (RFC 1123); correct the annotation fast.io/ips`,
    ]),
    ['fast-nodes', 'PoolUsage', 'pool fast-nodes is for nodes, not for pods; name a pool whose usage is Pod'],
    [
      'gated',
      'PoolGated',
      'pool gated does not serve this pod: its podSelector "app=x" does not match the pod\'s labels; change either, or name another pool by fast.io/ips',
    ],
    [
      'choosy',
      'PoolGated',
      'pool choosy does not serve this pod: its namespaceSelector "team=red,tier in (a,b),!old,new" does not match the namespace\'s labels; change either, or name another pool by fast.io/ips',
    ],
    [
      'zoned',
      'PoolGated',
      `pool zoned does not serve this pod: its nodeSelector "${'z'.repeat(64)}…" does not match the node's labels; change either, or name another pool by fast.io/ips`,
    ],
    [
      'broken',
      'PoolInvalid',
      'pool broken is invalid: spec.ips[1]: "10.0.0.9-10.0.0.1" is reversed; write the lower address first',
    ],
    [
      'outside',
      'PoolInvalid',
      'pool outside is invalid: spec.ips[0]: "10.7.0.1" is not inside the subnet 10.0.0.1/24; list addresses inside it, or use a /32 subnet, whose pool may hold any',
    ],
  ])('by %s waits with %s and an event that says what to do', async (pool, reason, message) => {
    cluster.addPool('gated', ['10.1.0.0/29'], { podSelector: { matchLabels: { app: 'x' } } });
    const matchExpressions = [
      { key: 'tier', operator: 'In' as const, values: ['a', 'b'] },
      { key: 'old', operator: 'DoesNotExist' as const },
      { key: 'new', operator: 'Exists' as const },
    ];
    const namespaceSelector = { matchLabels: { team: 'red' }, matchExpressions };
    cluster.addPool('choosy', ['10.2.0.0/29'], { namespaceSelector });
    cluster.addPool('zoned', ['10.3.0.0/29'], { nodeSelector: { matchLabels: { ['z'.repeat(70)]: 'a' } } });
    cluster.addPool('broken', ['10.0.0.0', '10.0.0.9-10.0.0.1']);
    cluster.addPool('outside', ['10.7.0.1'], { subnet: '10.0.0.1/24' });
    cluster.addPod('a', 'node-a', pool);
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
    expect(cluster.endpoints.live.get('node-a')?.spec.waiting).toMatchObject([{ name: 'a', reason, message }]);
    expect(cluster.events.at(-1)).toMatchObject({ kind: 'Pod', type: 'Warning', reason, note: message });
  });

  it('is served as soon as its pool is made, mended, opened or widened', async () => {
    const broken = cluster.addPool('broken', ['10.1.0.9-10.1.0.1']);
    const full = cluster.addPool('full', ['10.2.0.1'], { excludeIPs: ['10.2.0.1'] });
    const gated = cluster.addPool('gated', ['10.3.0.1'], { nodeSelector: { matchLabels: { zone: 'z' } } });
    for (const pool of ['missing', 'broken', 'full', 'gated']) cluster.addPod(pool, 'node-a', pool);
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
    cluster.addPool('missing', ['10.0.0.1']);
    const edits = [
      { ...broken, spec: { ...broken.spec, ips: ['10.1.0.1'] } },
      { ...full, spec: { ...full.spec, excludeIPs: [] } },
      { ...gated, spec: { subnet: gated.spec.subnet, ips: gated.spec.ips } },
    ];
    for (const edit of edits) {
      const live = cluster.pools.live.get(edit.metadata.name);
      cluster.pools.put({ ...edit, metadata: { ...live?.metadata, name: edit.metadata.name, generation: 2 } });
    }
    await cluster.settle();
    expect(cluster.podRecords().sort()).toEqual([
      '10.0.0.1 Bound missing',
      '10.1.0.1 Bound broken',
      '10.2.0.1 Bound full',
      '10.3.0.1 Bound gated',
    ]);
    expect(waiting()).toEqual([]);
  });

  it('names at most 64 waiting pods of a node', async () => {
    for (let index = 0; index < 70; index += 1) cluster.addPod(`pod-${index}`, 'node-a', 'none');
    await cluster.settle();
    expect(waiting()).toHaveLength(64);
  });
});

describe('while the watch lags', () => {
  it('a pod gets no second address though the event comes again', async () => {
    cluster.addPool('small', ['10.0.0.0/29']);
    await cluster.settle();
    cluster.records.hold();
    const pod = cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.pods.put({ ...pod, metadata: { ...pod.metadata, labels: { again: 'yes' } } });
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
    cluster.records.resume();
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a']);
  });

  it('an address that another leader has given out is passed over', async () => {
    cluster.addPool('small', ['10.0.0.0/29']);
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    const foreign = cluster.records.live.get('10.0.0.0');
    if (foreign === undefined) throw new Error('no record to copy');
    cluster.records.hold();
    const spec = {
      ...foreign.spec,
      address: '10.0.0.1',
      owner: { ...foreign.spec.owner, name: 'other', uid: 'other' },
    };
    cluster.records.put({ ...foreign, metadata: { name: '10.0.0.1' }, spec }, 'foreign');
    cluster.addPod('b', 'node-a', 'small');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound other', '10.0.0.2 Bound b']);
  });

  it('a create whose answer was lost is found again, not repeated with another address', async () => {
    cluster.addPool('small', ['10.0.0.0/29']);
    await cluster.settle();
    cluster.records.hold();
    cluster.nextCreateError = new Error('the connection broke');
    cluster.addPod('a', 'node-a', 'small');
    await cluster.settle();
    cluster.addPod('b', 'node-a', 'small');
    await cluster.settle();
    await cluster.pass(10);
    expect(cluster.podRecords()).toEqual(['10.0.0.0 Bound a', '10.0.0.1 Bound b']);
    expect(cluster.core.book.byOwner(cluster.pods.live.get('default/a')?.metadata.uid ?? '')).toHaveLength(1);
  });

  it('a record that was deleted before the watch could show it does not keep its address for ever', async () => {
    cluster.addPool('single', ['10.0.0.1']);
    await cluster.settle();
    cluster.records.hold();
    cluster.addPod('a', 'node-a', 'single');
    await cluster.settle();
    cluster.removePod('a');
    cluster.records.live.delete('10.0.0.1');
    cluster.addPod('b', 'node-a', 'single');
    await cluster.settle();
    expect(cluster.podRecords()).toEqual([]);
    await cluster.pass(10_000);
    await cluster.core.sweep();
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.0.0.1 Bound b']);
  });
});
