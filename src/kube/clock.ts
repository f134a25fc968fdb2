// SPDX-License-Identifier: Apache-2.0
// Time as a port. Queues, back-off and leader election are rules about time; with the clock passed in, a test plays
// fifteen seconds in a microsecond and in one order only.

/** A source of time. Delays and times are milliseconds. */
export interface Clock {
  /** The wall clock, milliseconds since 1970. For what people read, never for intervals. */
  now(): number;
  /** A clock that never jumps, in milliseconds from an arbitrary start. For intervals. */
  monotonicMs(): number;
  /** Runs `run` once after `delayMs`; the answer cancels it. */
  after(delayMs: number, run: () => void): () => void;
  /** Resolves after `delayMs`, or at once when `signal` aborts. It never rejects: the caller looks at its signal. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** setTimeout takes 31 bits; a longer delay would run at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function sleepOn(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const onAbort = (): void => {
      cancel();
      resolve();
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

export const realClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
  sleep(delayMs, signal) {
    return sleepOn(realClock, delayMs, signal);
  },
};

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that moves only when it is told to. Timers run in the order of their due time, then of their making. */
export class FakeClock implements Clock {
  readonly #startMs: number;
  readonly #timers = new Set<Timer>();
  #elapsedMs = 0;
  #order = 0;

  constructor(startMs = 1_767_225_600_000) {
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, run: () => void): () => void {
    this.#order += 1;
    const timer = { dueMs: this.#elapsedMs + Math.max(delayMs, 0), order: this.#order, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, delayMs, signal);
  }

  /** Timers that wait, for a test that nothing was left behind. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on by `ms`, runs what falls due, and lets promises settle after each timer. */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#elapsedMs + ms;
    await settle();
    for (let next = this.#next(targetMs); next !== undefined; next = this.#next(targetMs)) {
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs);
      this.#timers.delete(next);
      next.run();
      await settle();
    }
    this.#elapsedMs = targetMs;
  }

  #next(targetMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > targetMs) {
        continue;
      }
      if (next === undefined || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.order < next.order)) {
        next = timer;
      }
    }
    return next;
  }
}

/** A turn of the event loop: chains of promises of any length have run when it is over. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
