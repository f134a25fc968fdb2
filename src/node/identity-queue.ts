// SPDX-License-Identifier: Apache-2.0
// One queue per pod identity: ADD, DEL and release of one pod run one after another, those of different pods together.

/** More than any runtime sends at once for one pod; beyond it something loops. */
const maxWaitingPerIdentity = 64;

export class IdentityQueue {
  /** The last work of each identity that has any. */
  readonly #tails = new Map<string, { promise: Promise<unknown>; length: number }>();

  /** How many identities have work. */
  get size(): number {
    return this.#tails.size;
  }

  /** Runs `work` after all earlier work of the identity, however that ended. @throws Error when too many wait */
  run<T>(identity: string, work: () => Promise<T> | T): Promise<T> {
    const tail = this.#tails.get(identity) ?? { promise: Promise.resolve(), length: 0 };
    if (tail.length >= maxWaitingPerIdentity) {
      return Promise.reject(new Error(`${tail.length} requests for the pod ${identity} wait already`));
    }
    const result = tail.promise.then(work);
    const settled = result
      .catch(() => undefined)
      .then(() => {
        tail.length -= 1;
        if (tail.length === 0) this.#tails.delete(identity);
      });
    tail.promise = settled;
    tail.length += 1;
    this.#tails.set(identity, tail);
    return result;
  }
}
