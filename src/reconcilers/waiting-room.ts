// SPDX-License-Identifier: Apache-2.0
// Pods and nodes that have no address yet, known by the pools that they wait for, so that a freed address or an edit
// wakes them at once and nobody is starved by a back-off.
import { type Address, formatAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import type { Queues } from './ports.ts';

export interface Waiter {
  /** The work queue's key: a pod's namespace/name, or a node's name. */
  readonly key: string;
  readonly kind: 'Pod' | 'Node';
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly nodeName: string;
  /** Any of them may serve it. */
  readonly pools: readonly string[];
  readonly reason: string;
  readonly message: string;
}

interface Seat {
  readonly waiter: Waiter;
  /** The order of arrival: first come, first woken. */
  readonly arrival: number;
}

export class WaitingRoom {
  readonly #seats = new Map<string, Seat>();
  /** What a waiter can be woken by (a pool, its node, its namespace) → the ids of those who wait for it. */
  readonly #wakers = new Map<string, Set<string>>();
  #arrivals = 0;

  /** Takes a waiter in, or notes that it waits for another reason now. */
  enter(waiter: Waiter): 'new' | 'changed' | 'same' {
    const id = idOf(waiter);
    const before = this.#seats.get(id);
    this.#unlink(id, before?.waiter);
    const isNew = before === undefined || before.waiter.uid !== waiter.uid;
    this.#arrivals += 1;
    this.#seats.set(id, { waiter, arrival: isNew ? this.#arrivals : before.arrival });
    for (const waker of wakersOf(waiter)) {
      const ids = this.#wakers.get(waker) ?? new Set();
      ids.add(id);
      this.#wakers.set(waker, ids);
    }
    if (isNew) return 'new';
    return before.waiter.reason === waiter.reason && before.waiter.message === waiter.message ? 'same' : 'changed';
  }

  leave(kind: Waiter['kind'], key: string): Waiter | undefined {
    const id = idOf({ kind, key });
    const waiter = this.#seats.get(id)?.waiter;
    this.#unlink(id, waiter);
    this.#seats.delete(id);
    return waiter;
  }

  all(): Waiter[] {
    return inOrder([...this.#seats.values()]);
  }

  forPool(pool: string): Waiter[] {
    return this.#wokenBy(`pool ${pool}`);
  }

  onNode(nodeName: string): Waiter[] {
    return this.#wokenBy(`node ${nodeName}`);
  }

  inNamespace(namespace: string): Waiter[] {
    return this.#wokenBy(`namespace ${namespace}`);
  }

  #wokenBy(waker: string): Waiter[] {
    return inOrder([...(this.#wakers.get(waker) ?? [])].flatMap((id) => this.#seats.get(id) ?? []));
  }

  #unlink(id: string, waiter: Waiter | undefined): void {
    for (const waker of waiter === undefined ? [] : wakersOf(waiter)) {
      const ids = this.#wakers.get(waker);
      ids?.delete(id);
      if (ids?.size === 0) this.#wakers.delete(waker);
    }
  }
}

function inOrder(seats: Seat[]): Waiter[] {
  return seats.sort((a, b) => a.arrival - b.arrival).map((seat) => seat.waiter);
}

/** The waiters look again, in the order given. */
export function wake(waiters: readonly Waiter[], queues: Queues): void {
  for (const waiter of waiters) {
    if (waiter.kind === 'Pod') queues.pod(waiter.key);
    else queues.node(waiter.key);
  }
}

/** Counts are for people; they may lag by this much. Every agent watches the pools, so that each count is told to all. */
export const POOL_COALESCE_MS = 1_000;

export interface Waking {
  readonly book: AddressBook;
  readonly waiting: WaitingRoom;
  readonly queues: Queues;
}

/** The pools have a free address more: those who wait for one look again, and the counts follow. */
export function wakePools(pools: readonly string[], { waiting, queues }: Omit<Waking, 'book'>): void {
  for (const pool of pools) {
    wake(waiting.forPool(pool), queues);
    queues.pool(pool, POOL_COALESCE_MS);
  }
}

/** No endpoint lists the addresses any more: their records may go on, and an address without a record is free. */
export function wakeUnlisted(addresses: readonly Address[], { book, waiting, queues }: Waking): void {
  for (const address of addresses) queues.record(formatAddress(address));
  wakePools(book.recheck(addresses), { waiting, queues });
}

function idOf(waiter: { kind: string; key: string }): string {
  return `${waiter.kind} ${waiter.key}`;
}

function wakersOf(waiter: Waiter): string[] {
  const pools = waiter.pools.map((pool) => `pool ${pool}`);
  // A node that waits for its overlay address is no pod of that node.
  return waiter.kind === 'Node' ? pools : [...pools, `node ${waiter.nodeName}`, `namespace ${waiter.namespace}`];
}
