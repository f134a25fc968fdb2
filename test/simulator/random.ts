// SPDX-License-Identifier: Apache-2.0
// The one source of chance in a simulation: everything that happens follows from the seed.

export class Random {
  #state: number;

  constructor(seed: number) {
    // Seeds that differ in one bit must not begin alike.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  }

  /** A number in [0, 1). Mulberry32, by Tommy Ettinger, in the public domain. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the list; undefined of an empty one. */
  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)];
  }

  /** One of the things, each as likely as its weight; undefined where no weight is above zero. */
  weighted<T>(choices: ReadonlyArray<readonly [weight: number, thing: T]>): T | undefined {
    let left = this.next() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, thing] of choices) {
      if (weight > 0 && left < weight) return thing;
      left -= weight;
    }
    return undefined;
  }
}
