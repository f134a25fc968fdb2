// SPDX-License-Identifier: Apache-2.0
// What a change wakes, and in which order.
import { expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import { poolFinalizer } from '../../src/api/names.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { AddressBook } from '../../src/reconcilers/address-book.ts';
import { parsePool } from '../../src/reconcilers/pool.ts';
import type { Queues, Views } from '../../src/reconcilers/ports.ts';
import { Router } from '../../src/reconcilers/router.ts';
import { WaitingRoom } from '../../src/reconcilers/waiting-room.ts';
import { pool, record } from '../simulator/contract.ts';

const nothing = { get: () => undefined, list: () => [] };
const views: Views = { pods: nothing, namespaces: nothing, nodes: nothing, pools: nothing, endpoints: nothing };

function setUp() {
  const pools: string[] = [];
  const queues: Queues = { pod() {}, record() {}, node() {}, pool: (name) => pools.push(name) };
  const book = new AddressBook();
  return { book, pools, router: new Router({ views, book, waiting: new WaitingRoom(), queues }) };
}

function poolOf(name: string, ips: string[], generation = 1): Ips {
  const made = pool(name, { ips });
  return { ...made, metadata: { name, uid: `uid-of-${name}`, generation, finalizers: [poolFinalizer] } };
}

it('gives out no address that a restored and then edited pool has lost, though its generation is the one it was', () => {
  const { book, router } = setUp();
  const before = poolOf('small', ['10.9.0.1', '10.9.0.2'], 2);
  router.onPool({ type: 'added', object: before });
  router.onPool({ type: 'updated', old: before, object: poolOf('small', ['10.9.0.2'], 2) });
  expect(book.counts('small')).toMatchObject({ total: 1, free: 1 });
});

it('leaves no stale count on a pool that shares the address which another pool gave out', () => {
  const { pools, router } = setUp();
  router.onPool({ type: 'added', object: poolOf('one', ['10.9.0.0/30']) });
  router.onPool({ type: 'added', object: poolOf('two', ['10.9.0.0/29']) });
  pools.length = 0;
  const held: IpAllocation = record('10.9.0.1', { ips: 'one' });
  router.onRecord({ type: 'added', object: held });
  expect(new Set(pools)).toEqual(new Set(['one', 'two']));
});

it('wakes first who came first, whatever new reason the first was told meanwhile', () => {
  const waiting = new WaitingRoom();
  const enter = (name: string, message: string) => {
    const seat = { key: `default/${name}`, kind: 'Pod' as const, uid: name, namespace: 'default', name, nodeName: 'n' };
    return waiting.enter({ ...seat, pools: ['small'], reason: 'PoolExhausted', message });
  };
  expect([enter('a', '1 of 1 in use'), enter('b', '2 of 2 in use'), enter('a', '2 of 2 in use')]).toEqual([
    'new',
    'new',
    'changed',
  ]);
  expect(waiting.forPool('small').map(({ name }) => name)).toEqual(['a', 'b']);
});

it('gives an address to nobody that one node still has a wire with, when another that had one too has none any more', () => {
  const { book } = setUp();
  const wire = { ownerUid: 'a', address: parseAddress('10.9.0.1') };
  const parsed = parsePool(poolOf('small', ['10.9.0.1']));
  if (parsed.kind === 'problem') throw new Error(parsed.problem.message);
  book.setPool(parsed.pool);
  for (const node of ['one', 'two']) book.setOrphans(node, [wire]);
  expect(book.setOrphans('one', [])).toEqual([]);
  expect(book.counts('small').free).toBe(0);
  expect(book.setOrphans('two', [])).toEqual(['small']);
});
