// SPDX-License-Identifier: Apache-2.0
// How long something has been so, as far as this process has seen: a new leader counts anew, which errs on the safe side.

export class Since {
  readonly #firstMs = new Map<string, number>();
  readonly #limit: number;

  /** Of more than `limit` things the oldest are forgotten first, and are then counted anew. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Milliseconds since the first call for this key. `nowMs` is monotonic. */
  age(key: string, nowMs: number): number {
    const firstMs = this.#firstMs.get(key) ?? nowMs;
    this.#firstMs.set(key, firstMs);
    const [oldest] = this.#firstMs.keys();
    if (this.#firstMs.size > this.#limit && oldest !== undefined) this.#firstMs.delete(oldest);
    return nowMs - firstMs;
  }

  /** It is not so, or no more. */
  forget(key: string): void {
    this.#firstMs.delete(key);
  }
}
