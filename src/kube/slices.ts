// SPDX-License-Identifier: Apache-2.0
// Long work in slices: the renewal of a lease and the answers to health probes run on the same event loop, and neither
// may wait for a first list of 150,000 objects.

import type { Clock } from './clock.ts';

/** Ten of these still leave a probe with a timeout of one second its answer. */
const SLICE_MS = 10;

export class Slices {
  readonly #clock: Clock;
  #startMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
  }

  /** Whether it is time to `rest`. Asked between two steps, so that no promise is spent on each of them. */
  get isSpent(): boolean {
    return this.#clock.monotonicMs() - this.#startMs >= SLICE_MS;
  }

  /** Runs work that may rest at each of its yields. */
  async through<T>(work: Generator<undefined, T>): Promise<T> {
    for (;;) {
      const step = work.next();
      if (step.done === true) return step.value;
      if (this.isSpent) await this.rest();
    }
  }

  /** Lets everything else have its turn. */
  async rest(): Promise<void> {
    await this.#clock.sleep(0);
    this.#startMs = this.#clock.monotonicMs();
  }
}
