// SPDX-License-Identifier: Apache-2.0
// Creates that ended without a clear answer. The book keeps the address promised to their owner until a next try finds
// out; here stands which owner that is, so that a promise never outlives the object that it was made to.
import { wake, type Waking } from './waiting-room.ts';

export class Unclear {
  readonly #world: Waking;
  /** Work queue key → the owner's uid. A key is worked on by one worker at a time. */
  readonly #owners = new Map<string, string>();

  constructor(world: Waking) {
    this.#world = world;
  }

  begin(key: string, uid: string): void {
    this.#owners.set(key, uid);
  }

  /** The create was answered. */
  end(key: string): void {
    this.#owners.delete(key);
  }

  /** Gives back what is promised to a former owner of the key; to any, where nobody is named. */
  giveBack(key: string, present = ''): void {
    const { book, waiting, queues } = this.#world;
    const uid = this.#owners.get(key);
    if (uid === undefined || uid === present) return;
    this.#owners.delete(key);
    for (const pool of book.withdraw(uid)) wake(waiting.forPool(pool), queues);
  }
}
