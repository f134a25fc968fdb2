// SPDX-License-Identifier: Apache-2.0
// What the work queue promises, as stories in time order, and against a small model of client-go's queue.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import { WorkQueue } from '../../src/kube/queue.ts';
import { rounds } from '../share.ts';

/** What get() hands out now, without waiting. */
async function taken(queue: WorkQueue): Promise<string | undefined> {
  return queue.length === 0 ? undefined : queue.get();
}

describe('the work queue', () => {
  it('hands keys out in the order in which they were added, each once', async () => {
    const queue = new WorkQueue();
    for (const key of ['b', 'a', 'b', 'c', 'a']) {
      queue.add(key);
    }
    expect(queue.length).toBe(3);
    expect([await taken(queue), await taken(queue), await taken(queue), await taken(queue)]).toEqual([
      'b',
      'a',
      'c',
      undefined,
    ]);
  });

  it('never gives out a key that is being worked on, and gives it out once more afterwards', async () => {
    const queue = new WorkQueue();
    queue.add('a');
    await queue.get();
    queue.add('a');
    queue.add('a');
    expect(queue.length).toBe(0);
    queue.done('a');
    expect(queue.length).toBe(1);
    expect(await taken(queue)).toBe('a');
    queue.done('a');
    expect(queue.length).toBe(0);
  });

  it('wakes one waiting worker per key', async () => {
    const queue = new WorkQueue();
    const first = queue.get();
    const second = queue.get();
    queue.add('a');
    queue.add('b');
    expect(await Promise.all([first, second])).toEqual(['a', 'b']);
  });

  it('adds after a delay, the earlier of two', async () => {
    const clock = new FakeClock();
    const queue = new WorkQueue({ clock });
    queue.addAfter('a', 100);
    queue.addAfter('a', 50);
    queue.addAfter('a', 200);
    await clock.advance(49);
    expect(queue.length).toBe(0);
    await clock.advance(1);
    expect(await taken(queue)).toBe('a');
    queue.done('a');
    await clock.advance(1000);
    expect(queue.length).toBe(0);
  });

  it('doubles the back-off of a key from 5 ms up to the cap, until it is forgotten', () => {
    const queue = new WorkQueue({ clock: new FakeClock(), maxDelayMs: 30_000 });
    const delaysMs = Array.from({ length: 15 }, () => queue.addRateLimited('a'));
    expect(delaysMs).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 30_000, 30_000]);
    expect(queue.addRateLimited('b')).toBe(5);
    queue.forget('a');
    expect(queue.addRateLimited('a')).toBe(5);
  });

  it('hands out what waits after a shutdown, takes nothing more in, and leaves no timer', async () => {
    const clock = new FakeClock();
    const queue = new WorkQueue({ clock });
    queue.add('a');
    queue.addAfter('b', 10);
    queue.shutDown();
    queue.add('c');
    queue.addAfter('d', 10);
    expect(clock.pending).toBe(0);
    expect([await queue.get(), await queue.get()]).toEqual(['a', undefined]);
  });

  it('ends the waiting workers at a shutdown', async () => {
    const queue = new WorkQueue();
    const waiting = [queue.get(), queue.get()];
    queue.shutDown();
    expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
  });

  it('is drained when the last key is done, and not before', async () => {
    const queue = new WorkQueue();
    queue.add('a');
    await queue.get();
    let drained = false;
    const draining = queue.drain().then(() => (drained = true));
    await Promise.resolve();
    expect(drained).toBe(false);
    queue.done('a');
    await draining;
    expect(drained).toBe(true);
  });

  it('is not drained while a key still waits that nobody has taken', async () => {
    const queue = new WorkQueue();
    queue.add('a');
    let isDrained = false;
    const drained = queue.drain().then(() => (isDrained = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isDrained).toBe(false);
    queue.done((await queue.get()) ?? '');
    await drained;
  });

  it('does what a model of client-go does at each of 100,000 random steps in CI, a million in the long run', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('add', 'done', 'done', 'forget'), key }) },
      { weight: 5, arbitrary: fc.constant({ kind: 'get' }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('addRateLimited'), key }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('addAfter'), key, ms: fc.integer({ min: -1, max: 40 }) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('advance'), ms: fc.integer({ min: 0, max: 25 }) }) },
    ) as fc.Arbitrary<Step>;
    const stepsPerRun = 200;
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: stepsPerRun, maxLength: stepsPerRun, size: 'max' }),
        fc.nat({ max: stepsPerRun }),
        async (steps, shutDownAt) => {
          const both = new Both();
          for (const [index, each] of steps.entries()) {
            if (index === shutDownAt) await both.take({ kind: 'shutDown' });
            await both.take(each);
            taken += 1;
          }
          await both.compareCounts();
        },
      ),
      { numRuns: rounds(5000), seed: 1 },
    );
    expect(taken).toBeGreaterThanOrEqual(100_000);
  });
});

type Step =
  | { kind: 'add' | 'done' | 'forget' | 'addRateLimited'; key: string }
  | { kind: 'addAfter'; key: string; ms: number }
  | { kind: 'advance'; ms: number }
  | { kind: 'get' }
  | { kind: 'shutDown' };

/** Cap of the back-off, low enough that random steps reach it. */
const maxDelayMs = 100;

/** The queue and its model, led side by side. A get() may wait, as a worker does. */
class Both {
  readonly #clock = new FakeClock();
  readonly #metrics = new Metrics();
  readonly #queue = new WorkQueue({ clock: this.#clock, maxDelayMs, metrics: this.#metrics });
  readonly #model = new Model();
  readonly #given: (string | undefined)[] = [];

  async take(step: Step): Promise<void> {
    await this.#toQueue(step);
    this.#toModel(step);
    // Two turns: an answer of get(), and then what waits for it.
    await Promise.resolve();
    await Promise.resolve();
    const [queue, model] = [this.#queue, this.#model];
    const seen = { length: queue.length, processing: queue.processing, given: this.#given };
    expect(seen).toEqual({ length: model.queue.length, processing: model.processing.size, given: model.given });
    this.#given.length = 0;
    model.given.length = 0;
  }

  async compareCounts(): Promise<void> {
    const { adds, retries } = this.#metrics.queue;
    const [added, retried] = [await adds.get(), await retries.get()].map(({ values }) => values[0]?.value);
    expect({ added, retried }).toEqual({ added: this.#model.added, retried: this.#model.retried });
  }

  async #toQueue(step: Step): Promise<void> {
    const queue = this.#queue;
    if (step.kind === 'advance') await this.#clock.advance(step.ms);
    else if (step.kind === 'add') queue.add(step.key);
    else if (step.kind === 'done') queue.done(step.key);
    else if (step.kind === 'forget') queue.forget(step.key);
    else if (step.kind === 'addAfter') queue.addAfter(step.key, step.ms);
    else if (step.kind === 'addRateLimited') expect(queue.addRateLimited(step.key)).toBe(this.#model.backoff(step.key));
    else if (step.kind === 'shutDown') queue.shutDown();
    else queue.get().then((key) => this.#given.push(key), expect.unreachable);
  }

  #toModel(step: Step): void {
    const model = this.#model;
    if (step.kind === 'advance') model.advance(step.ms);
    else if (step.kind === 'add') model.add(step.key);
    else if (step.kind === 'done') model.done(step.key);
    else if (step.kind === 'forget') model.failures.delete(step.key);
    else if (step.kind === 'addAfter') model.addAfter(step.key, step.ms);
    else if (step.kind === 'addRateLimited') model.addRateLimited(step.key);
    else if (step.kind === 'shutDown') model.shutDown();
    else model.get();
  }
}

/**
 * client-go's util/workqueue, transcribed: queue.go (dirty, processing, queue, waiting Get()s), delaying_queue.go (one
 * time per key, the earlier wins) and TypedItemExponentialFailureRateLimiter.
 */
class Model {
  readonly queue: string[] = [];
  readonly processing = new Set<string>();
  readonly failures = new Map<string, number>();
  /** What Get() answered, in order. */
  readonly given: (string | undefined)[] = [];
  /** metrics.go: what the queue took in, and how often after a delay. */
  added = 0;
  retried = 0;
  readonly #dirty = new Set<string>();
  readonly #waitingForAdd = new Map<string, number>();
  #blocked = 0;
  #nowMs = 0;
  #shuttingDown = false;

  add(key: string): void {
    if (this.#shuttingDown || this.#dirty.has(key)) return;
    this.added += 1;
    this.#dirty.add(key);
    if (!this.processing.has(key)) this.#push(key);
  }

  get(): void {
    this.#blocked += 1;
    this.#signal();
  }

  done(key: string): void {
    // client-go's Done of a key that is not processed is the caller's mistake; ours ignores it.
    if (!this.processing.delete(key)) return;
    if (this.#dirty.has(key)) this.#push(key);
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#shuttingDown) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    this.retried += 1;
    const readyAtMs = this.#nowMs + delayMs;
    const existingMs = this.#waitingForAdd.get(key);
    if (existingMs === undefined || existingMs > readyAtMs) {
      // A new time is a new place among those of the same time.
      this.#waitingForAdd.delete(key);
      this.#waitingForAdd.set(key, readyAtMs);
    }
  }

  backoff(key: string): number {
    return Math.min(5 * 2 ** (this.failures.get(key) ?? 0), maxDelayMs);
  }

  addRateLimited(key: string): void {
    const delayMs = this.backoff(key);
    this.failures.set(key, (this.failures.get(key) ?? 0) + 1);
    this.addAfter(key, delayMs);
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const ready = [...this.#waitingForAdd].filter(([, atMs]) => atMs <= this.#nowMs);
    for (const [key] of ready.toSorted(([, one], [, other]) => one - other)) {
      this.#waitingForAdd.delete(key);
      this.add(key);
    }
  }

  shutDown(): void {
    this.#shuttingDown = true;
    this.#waitingForAdd.clear();
    this.#signal();
  }

  #push(key: string): void {
    this.queue.push(key);
    this.#signal();
  }

  #signal(): void {
    while (this.#blocked > 0 && (this.queue.length > 0 || this.#shuttingDown)) {
      this.#blocked -= 1;
      const key = this.queue.shift();
      if (key !== undefined) {
        this.processing.add(key);
        this.#dirty.delete(key);
      }
      this.given.push(key);
    }
  }
}
