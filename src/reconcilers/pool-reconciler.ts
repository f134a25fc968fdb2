// SPDX-License-Identifier: Apache-2.0
// Keeps an Ips' finalizer and status.
import type { AddressBook } from './address-book.ts';
import { parsePool } from './pool.ts';
import { decidePool } from './pool-status.ts';
import type { Clock, Outcome, PoolPort, Views } from './ports.ts';
import { done, retryAfter } from './ports.ts';

export interface PoolWorldPorts {
  readonly views: Views;
  readonly book: AddressBook;
  readonly poolWrites: PoolPort;
  readonly clock: Clock;
}

const STALE_RETRY_MS = 250;

export class PoolReconciler {
  readonly #world: PoolWorldPorts;

  constructor(world: PoolWorldPorts) {
    this.#world = world;
  }

  async reconcile(name: string): Promise<Outcome> {
    const { views, book, poolWrites, clock } = this.#world;
    const ips = views.pools.get(name);
    if (ips === undefined) return done;
    const action = decidePool({
      ips,
      parsed: parsePool(ips),
      counts: book.counts(name),
      inUse: book.isInUse(name),
      holders: ips.metadata.deletionTimestamp === undefined ? [] : book.byPool(name),
      others: book.pools().filter((pool) => pool.name !== name),
      nowMs: clock.now(),
    });
    if (action.action === 'none') return done;
    const written =
      action.action === 'replace' ? await poolWrites.replace(action.ips) : await poolWrites.replaceStatus(action.ips);
    return written === 'stale' ? retryAfter(STALE_RETRY_MS, 'the Ips changed under the decision') : done;
  }
}
