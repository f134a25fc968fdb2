// SPDX-License-Identifier: Apache-2.0
// Keeps an Ips' finalizer and status.
import type { Ips } from '../api/generated/ips.ts';
import type { AddressBook } from './address-book.ts';
import { parsePool } from './pool.ts';
import { decidePool, nodesCondition, servicesCondition } from './pool-status.ts';
import type { Clock, EventPort, Outcome, PoolPort, Views } from './ports.ts';
import { done, retryAfter } from './ports.ts';

export interface PoolWorldPorts {
  readonly views: Views;
  readonly book: AddressBook;
  readonly poolWrites: PoolPort;
  readonly events: EventPort;
  readonly clock: Clock;
}

const STALE_RETRY_MS = 250;

/** The conditions that are worth an Event: whom it hurts does not look at the pool. */
const told = [servicesCondition, nodesCondition];

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
      services: book.kept.services,
      nodeAddresses: book.kept.ofNodes,
      others: book.pools().filter((pool) => pool.name !== name),
      nowMs: clock.now(),
    });
    if (action.action === 'none') return done;
    const written =
      action.action === 'replace' ? await poolWrites.replace(action.ips) : await poolWrites.replaceStatus(action.ips);
    if (written === 'written') for (const type of told) this.#tell(type, ips, action.ips);
    return written === 'stale' ? retryAfter(STALE_RETRY_MS, 'the Ips changed under the decision') : done;
  }

  /** Once, when it becomes so. */
  #tell(type: string, before: Ips, now: Ips): void {
    const [was, is] = [before, now].map(({ status }) => status?.conditions?.find((each) => each.type === type));
    if (is?.status !== 'True' || was?.status === 'True') return;
    const note = `the pool ${is.message ?? ''}`;
    this.#world.events.record({ kind: 'Ips', object: now, type: 'Warning', reason: is.reason, note });
  }
}
