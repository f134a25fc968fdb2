// SPDX-License-Identifier: Apache-2.0
// Time that moves only when the simulation says so, and the processes that live in it: one that has died hears no timer
// any more, one that stands still hears them all when it goes on.
import type { Clock } from '../../src/kube/clock.ts';

/** Anything that can crash by itself: a controller, an agent, or the world around them. */
export class Process {
  readonly name: string;
  /** The machine that it runs on, whose network it shares. */
  readonly machine: string;
  /** How far its wall clock is off, in milliseconds. */
  readonly skewMs: number;
  isAlive = true;
  /** Stopped in the middle of everything, as a virtual machine that is moved. */
  isPaused = false;

  constructor(name: string, machine: string, skewMs = 0) {
    this.name = name;
    this.machine = machine;
    this.skewMs = skewMs;
  }

  get runs(): boolean {
    return this.isAlive && !this.isPaused;
  }
}

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly process: Process;
  readonly run: () => void;
  isCancelled: boolean;
}

/** The wall clock of all processes begins here. */
export const startMs = Date.UTC(2026, 0, 1);

export class VirtualTime {
  /** Milliseconds since the simulation began. */
  nowMs = 0;
  /** A binary heap by due time, then by the order of making. */
  readonly #heap: Timer[] = [];
  readonly #held = new Map<Process, Timer[]>();
  #order = 0;

  after(delayMs: number, process: Process, run: () => void): () => void {
    this.#order += 1;
    const dueMs = this.nowMs + Math.max(delayMs, 0);
    const timer = { dueMs, order: this.#order, process, run, isCancelled: false };
    this.#push(timer);
    return () => {
      timer.isCancelled = true;
    };
  }

  /** When the next timer falls due; undefined without one. */
  nextMs(): number | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (!first.isCancelled && first.process.runs) return first.dueMs;
      this.#pop();
      if (!first.isCancelled && first.process.isAlive) this.#hold(first);
    }
    return undefined;
  }

  /** Moves to the next timer and runs it. Answers whose it was. */
  step(): string | undefined {
    if (this.nextMs() === undefined) return undefined;
    const timer = this.#pop();
    if (timer === undefined) return undefined;
    this.nowMs = Math.max(this.nowMs, timer.dueMs);
    timer.run();
    return timer.process.name;
  }

  /** The process goes on: what fell due meanwhile falls due now. */
  resume(process: Process): void {
    process.isPaused = false;
    for (const timer of this.#held.get(process) ?? []) this.#push(timer);
    this.#held.delete(process);
  }

  #hold(timer: Timer): void {
    const held = this.#held.get(timer.process) ?? [];
    this.#held.set(timer.process, held);
    held.push(timer);
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, timer)) break;
      heap[at] = above;
      heap[parent] = timer;
      at = parent;
    }
  }

  #pop(): Timer | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [one, other] = [heap[left], heap[left + 1]];
      if (one === undefined) break;
      const [child, index] = other !== undefined && isBefore(other, one) ? [other, left + 1] : [one, left];
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = index;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order);
}

/** The clock of one process. */
export class ProcessClock implements Clock {
  readonly #time: VirtualTime;
  readonly #process: Process;

  constructor(time: VirtualTime, process: Process) {
    this.#time = time;
    this.#process = process;
  }

  now(): number {
    return startMs + this.#time.nowMs + this.#process.skewMs;
  }

  monotonicMs(): number {
    return this.#time.nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#time.after(delayMs, this.#process, run);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const onAbort = (): void => {
        cancel();
        resolve();
      };
      const cancel = this.after(delayMs, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
