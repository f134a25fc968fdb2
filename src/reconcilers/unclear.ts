// SPDX-License-Identifier: Apache-2.0
// Creates that ended without a clear answer. The book keeps the address promised to their owner until a next try finds
// out; here stands which owner that is, so that a promise never outlives the object that it was made to.
import { formatAddress } from '../ip/address.ts';
import { isStaticIdentity } from './pod.ts';
import type { Clock, RecordPort } from './ports.ts';
import { wakePools, type Waking } from './waiting-room.ts';

interface UnclearWorld extends Waking {
  readonly records: Pick<RecordPort, 'read'>;
  readonly clock: Clock;
}

export class Unclear {
  readonly #world: UnclearWorld;
  /** Work queue key → the owner's uid. A key is worked on by one worker at a time. */
  readonly #owners = new Map<string, string>();

  constructor(world: UnclearWorld) {
    this.#world = world;
  }

  begin(key: string, uid: string): void {
    this.#owners.set(key, uid);
  }

  /** The create was answered. */
  end(key: string): void {
    this.#owners.delete(key);
  }

  /**
   * Gives back what is promised to a former owner of the key; to any, where nobody is named. A static pod's identity comes
   * back with its mirror, perhaps before the watch shows what was made for it.
   */
  async giveBack(key: string, present = ''): Promise<void> {
    const { book, waiting, queues } = this.#world;
    const uid = this.#owners.get(key);
    if (uid === undefined || uid === present) return;
    if (isStaticIdentity(uid)) await this.findOut(uid);
    this.#owners.delete(key);
    if (book.changesHandsFor(uid)) return;
    wakePools(book.withdraw(uid), { waiting, queues });
  }

  /** What its pool has lost since it was promised, by an edit or to a node or the Services, goes to nobody any more. */
  async dropLost(ownerUid: string): Promise<void> {
    const { book } = this.#world;
    const promised = book.promised.of(ownerUid);
    if (promised !== undefined && !book.isUsable(promised.pool, promised.address)) await this.findOut(ownerUid);
  }

  /**
   * Ends what is promised to an owner that is refused now: a pool that is to go would wait for it, and the owner for a pool
   * that comes no more. Should the create come to pass all the same, the watch shows it.
   */
  async findOut(ownerUid: string): Promise<void> {
    const { book, records, clock, queues, waiting } = this.#world;
    const promised = book.promised.of(ownerUid);
    if (promised === undefined || book.changesHandsFor(ownerUid)) return;
    const live = await records.read(formatAddress(promised.address));
    const isOwners = live?.spec.owner.uid === ownerUid && live.spec.state === 'Bound';
    if (isOwners && promised.base !== undefined) return book.changedHands(ownerUid);
    if (live !== undefined && isOwners) book.observeAhead(live, clock.monotonicMs());
    wakePools(book.withdraw(ownerUid), { waiting, queues });
    queues.pool(promised.pool);
  }
}
