// SPDX-License-Identifier: Apache-2.0
// How long to wait before trying the API server again: doubling, with a cap so that we notice its return, and with jitter
// so that five thousand agents do not all come back in the same instant.

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** A number in [0, 1). */
  readonly random?: () => number;
}

export class Backoff {
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#baseMs = options.baseMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random ?? Math.random;
  }

  get failures(): number {
    return this.#failures;
  }

  /** The next wait, in milliseconds: between half of the doubled delay and the whole, never less than `atLeastMs`. */
  next(atLeastMs = 0): number {
    const wholeMs = Math.min(this.#baseMs * 2 ** this.#failures, this.#maxMs);
    this.#failures += 1;
    return Math.max(wholeMs * (0.5 + this.#random() / 2), atLeastMs);
  }

  reset(): void {
    this.#failures = 0;
  }
}
