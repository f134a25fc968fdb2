// SPDX-License-Identifier: Apache-2.0
// The work queue of client-go (util/workqueue), which every Kubernetes controller stands on. What it promises: a key is
// never worked on twice at once; adding a waiting key changes nothing; adding a key that is being worked on means it is
// worked on once more, afterwards. So a handler may add as often as it likes, and no change is ever lost.

import { type Clock, realClock } from './clock.ts';
import { type Metrics, QueueMetrics } from './metrics.ts';

export interface WorkQueueOptions {
  /** Labels of the metrics. */
  readonly name?: string;
  readonly clock?: Clock;
  /** The first back-off of a key; each further one doubles it. */
  readonly baseDelayMs?: number;
  readonly maxDelayMs?: number;
  readonly metrics?: Metrics | undefined;
}

export class WorkQueue<K extends string = string> {
  readonly #clock: Clock;
  readonly #baseDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #metrics: QueueMetrics | undefined;

  /** In the order of work, each with the time it was added. Every key here is in #dirty and not in #processing. */
  readonly #waiting = new Map<K, number>();
  /** Needs work. A key that is dirty and being processed is not in #waiting: done() puts it there. */
  readonly #dirty = new Set<K>();
  /** Taken by get() and not yet done(), with the time it was taken. */
  readonly #processing = new Map<K, number>();
  readonly #delayed = new Map<K, { readonly dueMs: number; readonly cancel: () => void }>();
  readonly #failures = new Map<K, number>();
  /** Callers of get() that found nothing. Empty whenever #waiting is not. */
  readonly #takers: ((key: K | undefined) => void)[] = [];
  readonly #drainers: (() => void)[] = [];
  #shuttingDown = false;

  constructor(options: WorkQueueOptions = {}) {
    this.#clock = options.clock ?? realClock;
    this.#baseDelayMs = options.baseDelayMs ?? 5;
    this.#maxDelayMs = options.maxDelayMs ?? 1_000_000;
    const { metrics, name = '' } = options;
    this.#metrics = metrics === undefined ? undefined : new QueueMetrics(metrics, name, () => this.#agesSeconds());
  }

  /** Keys that wait for a worker; those with a delay or at work do not count. */
  get length(): number {
    return this.#waiting.size;
  }

  /** Keys being worked on. */
  get processing(): number {
    return this.#processing.size;
  }

  add(key: K): void {
    if (this.#shuttingDown || this.#dirty.has(key)) {
      return;
    }
    this.#dirty.add(key);
    this.#metrics?.added();
    if (!this.#processing.has(key)) {
      this.#offer(key);
    }
  }

  /** Adds later. Of two delays for one key the earlier wins. */
  addAfter(key: K, delayMs: number): void {
    if (this.#shuttingDown) {
      return;
    }
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    this.#metrics?.retried();
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const former = this.#delayed.get(key);
    if (former !== undefined && former.dueMs <= dueMs) {
      return;
    }
    former?.cancel();
    const cancel = this.#clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { dueMs, cancel });
  }

  /** Adds after the key's back-off, which doubles with each call until forget(). Answers the delay in milliseconds. */
  addRateLimited(key: K): number {
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    const delayMs = Math.min(this.#baseDelayMs * 2 ** failures, this.#maxDelayMs);
    this.addAfter(key, delayMs);
    return delayMs;
  }

  /** The next back-off of this key begins at the bottom. What is already delayed stays so. */
  forget(key: K): void {
    this.#failures.delete(key);
  }

  /** How often addRateLimited was called since the last forget. */
  failures(key: K): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, once there is one; undefined when the queue is shut down and empty. Each key needs its done(). */
  get(): Promise<K | undefined> {
    for (const [key, addedMs] of this.#waiting) {
      this.#waiting.delete(key);
      this.#take(key, addedMs);
      return Promise.resolve(key);
    }
    if (this.#shuttingDown) {
      return Promise.resolve(undefined);
    }
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** The work on `key` has ended, well or not. */
  done(key: K): void {
    const sinceMs = this.#processing.get(key);
    if (sinceMs === undefined) {
      return;
    }
    this.#processing.delete(key);
    this.#metrics?.worked((this.#clock.monotonicMs() - sinceMs) / 1000);
    if (this.#dirty.has(key)) {
      this.#offer(key);
    }
    this.#settleDrain();
  }

  /** Takes nothing more in; what waits is still handed out. */
  shutDown(): void {
    this.#shuttingDown = true;
    for (const { cancel } of this.#delayed.values()) {
      cancel();
    }
    this.#delayed.clear();
    for (const taker of this.#takers.splice(0)) {
      taker(undefined);
    }
    this.#settleDrain();
  }

  /** Shuts down; resolves when nothing waits and nothing is worked on. */
  drain(): Promise<void> {
    this.shutDown();
    return new Promise((resolve) => {
      this.#drainers.push(resolve);
      this.#settleDrain();
    });
  }

  #offer(key: K): void {
    const nowMs = this.#clock.monotonicMs();
    const taker = this.#takers.shift();
    if (taker === undefined) {
      this.#waiting.set(key, nowMs);
      this.#metrics?.depth(this.#waiting.size);
    } else {
      this.#take(key, nowMs);
      taker(key);
    }
  }

  #take(key: K, addedMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#dirty.delete(key);
    this.#processing.set(key, nowMs);
    this.#metrics?.waited((nowMs - addedMs) / 1000);
    this.#metrics?.depth(this.#waiting.size);
  }

  #agesSeconds(): number[] {
    const nowMs = this.#clock.monotonicMs();
    return Array.from(this.#processing.values(), (sinceMs) => (nowMs - sinceMs) / 1000);
  }

  #settleDrain(): void {
    if (this.#shuttingDown && this.#waiting.size === 0 && this.#processing.size === 0) {
      for (const resolve of this.#drainers.splice(0)) {
        resolve();
      }
    }
  }
}
