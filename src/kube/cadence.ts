// SPDX-License-Identifier: Apache-2.0
// When an informer to which nothing happens comes back to the server: its watches end of themselves, and a list now and
// then settles doubt. The two are timed together, so that it comes back at most once in five minutes, and mostly over the
// connection that it has.

import type { Clock } from './clock.ts';

/** client-go's range: the server ends a watch after 5 to 10 minutes, so that connections spread over replicas again. */
const WATCH_MS = 300_000;
/** A watch ends so long before the list that follows it is due, so that the list takes over its connection. */
const AHEAD_MS = 5000;
/** A list that is due so soon after a watch has ended is made at once: a streamed list takes up to a minute of its watch. */
const EARLY_MS = 60_000;

export class Cadence {
  readonly #everyMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  #drawnMs = 0;
  #dueMs = 0;

  constructor(everyMs: number, clock: Clock, random: () => number) {
    this.#everyMs = everyMs;
    this.#clock = clock;
    this.#random = random;
  }

  /** A list begins. From its end to the next one: drawn anew each time, so that informers do not list in step. */
  draw(): void {
    this.#drawnMs = this.#everyMs * (0.9 + this.#random() / 5);
  }

  /** The list is told. Answers when the next one is due, in milliseconds from now. */
  listed(): number {
    this.#dueMs = this.#clock.monotonicMs() + this.#drawnMs;
    return this.#drawnMs;
  }

  /** Whether a watch that ends now is better followed by a list than by another watch. */
  get isListDue(): boolean {
    return this.#dueMs - this.#clock.monotonicMs() < Math.min(EARLY_MS, this.#everyMs / 10);
  }

  /** For how long to ask for a watch, or for one that begins with the list. One that would leave little until the next
   * list lasts until then. */
  watchSeconds(beginsWithList: boolean): number {
    const leftMs = beginsWithList ? this.#drawnMs : this.#dueMs - this.#clock.monotonicMs();
    const usualMs = WATCH_MS * (1 + this.#random());
    const ms = leftMs < usualMs + WATCH_MS ? leftMs - AHEAD_MS : usualMs;
    return Math.max(1, Math.floor(ms / 1000));
  }
}
