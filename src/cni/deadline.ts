// SPDX-License-Identifier: Apache-2.0
// One limit for a whole command, so that fast-cni says what failed before its runtime gives up and says only that.

/**
 * What an ADD has behind the agent's wait, for the plugins and for the undoing of all. With the default wait it answers
 * within 110 s; a kubelet gives a sandbox twice its runtimeRequestTimeout, four minutes by default, and the runtime needs
 * its share of them.
 */
const behindTheWaitMs = 55_000;
/** Every other command, unless its wait for the agent may last longer: CRI-O gives DEL a minute. */
const otherMs = 56_000;
/**
 * Kept for each step that is still to come. A DEL takes a plugin or the agent some 10 ms; in a storm of them, or behind
 * iptables' lock, a second or two.
 */
const reserveMs = 5000;
/** A step that has so little is run all the same: it may need less. */
const leastMs = 1000;

export class Deadline {
  readonly #elapsedMs: () => number;
  readonly #wholeMs: number;

  /** `elapsedMs` since fast-cni started; `waitMs` is the longest wait for the agent. */
  constructor(elapsedMs: () => number, command: string, waitMs: number) {
    this.#elapsedMs = elapsedMs;
    this.#wholeMs = command === 'ADD' ? waitMs + behindTheWaitMs : Math.max(waitMs, otherMs);
  }

  /** How long a step may take that needs `mostMs` at the most, and behind which so many others have to run. */
  timeFor(mostMs: number, stepsBehind: number): number {
    const leftMs = this.#wholeMs - this.#elapsedMs() - stepsBehind * reserveMs;
    return Math.min(mostMs, Math.max(leftMs, leastMs));
  }
}
