// SPDX-License-Identifier: Apache-2.0
// Single decisions whose moment is too short for a story.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { formatAddress, parseAddress } from '../../src/ip/address.ts';
import { AddressBook } from '../../src/reconcilers/address-book.ts';
import { boundRecord } from '../../src/reconcilers/allocation.ts';
import { decideEndpoint } from '../../src/reconcilers/node-endpoint.ts';
import { type Pool, parsePool } from '../../src/reconcilers/pool.ts';
import { waitReasons } from '../../src/reconcilers/pool-choice.ts';
import { matchesLabels } from '../../src/reconcilers/selector.ts';
import { ModelCluster } from './model-cluster.ts';

function poolOf(name: string, ips: string[], subnet = '10.244.0.1/32'): Pool {
  const parsed = parsePool({ metadata: { name }, spec: { subnet, ips } });
  if (parsed.kind === 'problem') throw new Error(parsed.problem.message);
  return parsed.pool;
}

function recordOf(pool: Pool, address: string, uid: string): IpAllocation {
  const owner = { kind: 'Pod' as const, namespace: 'default', name: uid, uid };
  const record = boundRecord({ owner, nodeName: 'node-a', nodeUID: 'node-uid' }, pool, parseAddress(address), 0);
  return { ...record, metadata: { name: address, uid: `record of ${uid}`, resourceVersion: '1' } };
}

function promised(book: AddressBook, pool: string, uid: string): string {
  return formatAddress(book.promise(pool, { owner: { kind: 'Pod', name: uid, uid } })?.address ?? 0);
}

describe('the address book', () => {
  const pool = poolOf('small', ['10.0.0.0/30']);

  it('promises the same address again while the first answer is unknown, even when a lower one was freed', () => {
    const book = new AddressBook();
    book.setPool(pool);
    const first = recordOf(pool, '10.0.0.0', 'x');
    book.observe(first);
    expect(promised(book, 'small', 'a')).toBe('10.0.0.1');
    expect(book.forget(first)).toEqual(['small']);
    expect(promised(book, 'small', 'a')).toBe('10.0.0.1');
    expect(promised(book, 'small', 'b')).toBe('10.0.0.0');
  });

  it('does not take the late event of a former record for news of the present one', () => {
    const book = new AddressBook();
    book.setPool(pool);
    const former = recordOf(pool, '10.0.0.0', 'former');
    const present = recordOf(pool, '10.0.0.0', 'present');
    book.observe(former);
    book.observeAhead(present, 0);
    book.observe(former);
    expect(book.byOwner('present')).toHaveLength(1);
    expect(book.forget(former)).toEqual([]);
    expect(book.byOwner('present')).toHaveLength(1);
    book.observe(present);
    expect(book.overdue(1_000_000, 0)).toEqual([]);
    expect(book.forget(former)).toEqual([]);
    expect(book.byOwner('present')).toHaveLength(1);
    expect(book.forget(present)).toEqual(['small']);
  });

  it('offers no address that rests while an endpoint lists it, or another pod or wire has it', () => {
    const book = new AddressBook();
    const single = poolOf('single', ['10.0.0.1']);
    book.setPool(single);
    const record = recordOf(single, '10.0.0.1', 'former');
    book.observe({ ...record, spec: { ...record.spec, state: 'Cooling' } });
    const offered = (): unknown => book.offer('single', { owner: { kind: 'Pod', name: 'a', uid: 'a' } })?.manner;
    expect(offered()).toBe('resting');
    const spec = { nodeUID: 'u', tunnelAddress: '10.1.1.1', podAddresses: ['10.0.0.1'] };
    book.published.show('node-b', { metadata: { name: 'node-b', resourceVersion: '1' }, spec });
    expect(offered()).toBe(undefined);
    book.published.show('node-b', undefined);
    book.wear('other', parseAddress('10.0.0.1'));
    expect(offered()).toBe(undefined);
    book.wear('other', undefined);
    book.setOrphans('node-b', [{ ownerUid: 'other', address: parseAddress('10.0.0.1') }]);
    expect(offered()).toBe(undefined);
    book.setOrphans('node-b', []);
    expect(offered()).toBe('resting');
  });

  it('takes an address that two pools share from both, and gives it back to both', () => {
    const book = new AddressBook();
    book.setPool(pool);
    book.setPool(poolOf('other', ['10.0.0.0/31']));
    const record = recordOf(pool, '10.0.0.0', 'a');
    book.observe(record);
    expect([book.counts('small').free, book.counts('other').free]).toEqual([3, 1]);
    expect(book.forget(record).sort()).toEqual(['other', 'small']);
  });

  it('notes 2,000 nodes in a moment, though its pools are full: a leader that takes minutes loses its lease', () => {
    const book = new AddressBook();
    for (const name of ['first', 'second', 'third']) book.setPool(poolOf(name, ['10.1.0.0/16']));
    for (let index = 0; index < 10_000; index += 1) {
      book.observe(recordOf(pool, formatAddress(parseAddress('10.1.0.0') + index), `pod-${index}`));
    }
    const startMs = performance.now();
    for (let index = 0; index < 2_000; index += 1) {
      book.setNodeAddresses(`node-${index}`, [parseAddress('172.16.0.0') + index]);
    }
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  it('gives a node’s address out once no node has it any more', () => {
    const book = new AddressBook();
    book.setPool(pool);
    const address = parseAddress('10.0.0.0');
    expect(book.setNodeAddresses('a', [address])).toEqual(['small']);
    expect(book.setNodeAddresses('b', [address])).toEqual([]);
    expect(book.setNodeAddresses('a', [])).toEqual([]);
    expect(book.counts('small')).toMatchObject({ free: 3, total: 3 });
    expect(book.setNodeAddresses('b', [])).toEqual(['small']);
    expect(book.counts('small')).toMatchObject({ free: 4, total: 4 });
  });

  it('never gives out another pool’s gateway', () => {
    const book = new AddressBook();
    book.setPool(poolOf('wide', ['10.0.0.0/29']));
    book.setPool(poolOf('near', ['10.0.0.2-10.0.0.6'], '10.0.0.1/29'));
    const given: string[] = [];
    for (const uid of ['a', 'b', 'c']) given.push(promised(book, 'wide', uid));
    expect(given).toEqual(['10.0.0.0', '10.0.0.2', '10.0.0.3']);
  });
});

describe('the counts of a pool', () => {
  it('are a recount’s, whatever happened before', () => {
    const book = new AddressBook();
    const pool = poolOf('small', ['10.0.0.0/28']);
    book.setPool(pool);
    const states = ['Bound', 'Releasing', 'Cooling', 'Reserved'] as const;
    for (let step = 0; step < 400; step += 1) {
      const record = recordOf(pool, `10.0.0.${(step * 7) % 20}`, `pod-${step % 20}`);
      const isGone = step % 5 === 4;
      if (isGone) book.forget(book.record(record.metadata.name) ?? record);
      else book.observe({ ...record, spec: { ...record.spec, state: states[step % 4] ?? 'Bound' } });
      if (step === 200) book.setPool(poolOf('small', ['10.0.0.4-10.0.0.17']));
      const all = book.byPool('small');
      const inState = (...wanted: string[]): number => all.filter(({ spec }) => wanted.includes(spec.state)).length;
      expect(book.counts('small')).toMatchObject({
        bound: inState('Bound', 'Releasing'),
        cooling: inState('Cooling'),
        reserved: inState('Reserved'),
        outOfRange: all.filter(({ spec }) => !book.isUsable('small', parseAddress(spec.address))).length,
      });
    }
  });

  it('of 65,000 addresses are told in a moment: the pool is looked at each second', () => {
    const book = new AddressBook();
    const pool = poolOf('wide', ['10.0.0.0/16']);
    book.setPool(pool);
    for (let index = 0; index < 65_000; index += 1) {
      book.observe(recordOf(pool, formatAddress(parseAddress('10.0.0.0') + index), `pod-${index}`));
    }
    const startMs = performance.now();
    for (let look = 0; look < 1_000; look += 1) book.counts('wide');
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(book.counts('wide')).toMatchObject({ total: 65_536, bound: 65_000, free: 536 });
  });
});

describe('a new pool', () => {
  it('gives out nothing before its finalizer is on, or a deletion could overtake the first address', async () => {
    const cluster = new ModelCluster();
    cluster.addNode('node-a');
    cluster.addPool('small', ['10.0.0.0/30']);
    cluster.addPod('a', 'node-a', 'small');
    await cluster.core.pods.reconcile('default/a');
    expect(cluster.held()).toEqual([]);
    await cluster.settle();
    expect(cluster.held()).toEqual(['10.0.0.0 Bound a']);
    expect(cluster.events.filter((event) => event.kind === 'Pod')).toEqual([]);
  });
});

describe('the pool of the nodes, which a fresh install makes after it has seen them,', () => {
  const warnings = (cluster: ModelCluster): string[] =>
    cluster.events.map(({ object, reason, note }) => `${object.metadata.name} ${reason}: ${note}`);

  it('is waited for without a warning, and gives its addresses at once', async () => {
    const cluster = new ModelCluster();
    cluster.addNode('node-a');
    await cluster.settle();
    await cluster.pass(9_000);
    cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
    await cluster.settle();
    expect(cluster.held()).toEqual(['10.9.0.0 Bound node-a']);
    await cluster.pass(60_000);
    expect(warnings(cluster)).toEqual([]);
  });

  it('is missed in a warning on each node after 10 s, and on a node that comes later at once', async () => {
    const cluster = new ModelCluster();
    cluster.addNode('node-a');
    await cluster.settle();
    await cluster.pass(10_000);
    const missing = 'PoolNotFound: pool fast-nodes does not exist; create the Ips fast-nodes';
    expect(warnings(cluster)).toEqual([`node-a ${missing}`]);
    cluster.addNode('node-b', '10.29.15.50');
    await cluster.settle();
    expect(warnings(cluster)).toEqual([`node-a ${missing}`, `node-b ${missing}`]);
  });

  it('is waited for from when the first node needs it', async () => {
    const cluster = new ModelCluster();
    cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
    await cluster.settle();
    cluster.pools.remove('fast-nodes');
    await cluster.settle();
    await cluster.pass(60_000);
    cluster.addNode('node-a');
    await cluster.settle();
    expect(warnings(cluster)).toEqual([]);
    await cluster.pass(10_000);
    expect(warnings(cluster)).toHaveLength(1);
  });
});

describe('an endpoint', () => {
  it('shows the addresses that the node still has wires for, ascending as numbers', () => {
    const pool = poolOf('small', ['10.0.0.0/24']);
    const released = { ...recordOf(pool, '10.0.0.3', 'gone'), status: { released: { owner: { uid: 'gone' } } } };
    const leaving = recordOf(pool, '10.0.0.10', 'leaving');
    const records = [
      { ...leaving, spec: { ...leaving.spec, state: 'Releasing' as const } },
      released,
      recordOf(pool, '10.0.0.9', 'stays'),
    ];
    const node = {
      metadata: { name: 'node-a', uid: 'u' },
      status: { addresses: [{ type: 'InternalIP', address: '10.1.1.1' }] },
    };
    const action = decideEndpoint({ name: 'node-a', node, existing: undefined, records, waiting: [] });
    expect(action).toMatchObject({ action: 'create', endpoint: { spec: { podAddresses: ['10.0.0.9', '10.0.0.10'] } } });
  });

  it('is not written again when nothing differs but the order of fields', () => {
    const node = {
      metadata: { name: 'node-a', uid: 'u' },
      status: { addresses: [{ type: 'InternalIP', address: '10.1.1.1' }] },
    };
    const existing = { metadata: { name: 'node-a' }, spec: { tunnelAddress: '10.1.1.1', nodeUID: 'u' } };
    expect(decideEndpoint({ name: 'node-a', node, existing, records: [], waiting: [] })).toEqual({ action: 'none' });
  });

  it('shows the overlay address that it showed, of two that two leaders made, and none of a former machine', () => {
    const pool = poolOf('nodes', ['10.9.0.0/29']);
    const ofNode = (address: string, uid: string): IpAllocation => {
      const record = recordOf(pool, address, uid);
      return { ...record, spec: { ...record.spec, owner: { kind: 'Node', name: 'node-a', uid } } };
    };
    const records = [ofNode('10.9.0.1', 'former'), ofNode('10.9.0.2', 'u'), ofNode('10.9.0.3', 'u')];
    const node = {
      metadata: { name: 'node-a', uid: 'u' },
      status: { addresses: [{ type: 'InternalIP', address: '10.1.1.1' }] },
    };
    const shown = (overlayAddress?: string): string | undefined => {
      const spec = { tunnelAddress: '10.1.1.1', nodeUID: 'u', ...(overlayAddress && { overlayAddress }) };
      const existing = { metadata: { name: 'node-a' }, spec };
      const action = decideEndpoint({ name: 'node-a', node, existing, records, waiting: [] });
      return 'endpoint' in action ? action.endpoint.spec.overlayAddress : overlayAddress;
    };
    expect(shown()).toBe('10.9.0.2');
    expect(shown('10.9.0.3')).toBe('10.9.0.3');
    expect(shown('10.9.0.1')).toBe('10.9.0.2');
  });

  it('takes the IPv4 InternalIP, not the first address that comes', () => {
    const addresses = [
      { type: 'ExternalIP', address: '192.0.2.1' },
      { type: 'InternalIP', address: 'fd00::1' },
      { type: 'InternalIP', address: '10.1.1.2' },
    ];
    const node = { metadata: { name: 'node-a', uid: 'u' }, status: { addresses } };
    expect(decideEndpoint({ name: 'node-a', node, existing: undefined, records: [], waiting: [] })).toMatchObject({
      endpoint: { spec: { tunnelAddress: '10.1.1.2' } },
    });
  });
});

describe('the reasons to wait', () => {
  it('are those that docs/pools.md explains', () => {
    const page = readFileSync(new URL('../../docs/pools.md', import.meta.url), 'utf8');
    expect([...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, reason]) => reason)).toEqual([...waitReasons]);
  });
});

describe('a selector', () => {
  it.each([
    [{}, {}, true],
    [{ matchLabels: { a: '1' } }, { a: '1', b: '2' }, true],
    [{ matchLabels: { a: '1' } }, { a: '2' }, false],
    [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['1', '2'] }] }, { a: '2' }, true],
    [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, {}, true],
    [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, { a: '1' }, false],
    [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }, {}, false],
    [{ matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, {}, true],
    [{ matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] }, { a: '2' }, false],
  ])('%j on labels %j says %s', (selector, labels, expected) => {
    expect(matchesLabels(selector, labels)).toBe(expected);
  });
});
