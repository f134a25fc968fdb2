// SPDX-License-Identifier: Apache-2.0
// What the work queue promises, as stories in time order, and against a small model of client-go's queue.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
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

  it('does what a model of client-go does, step by step', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), key }),
      fc.record({ kind: fc.constant('get' as const), key }),
      fc.record({ kind: fc.constant('done' as const), key }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 100 }), async (steps) => {
        const queue = new WorkQueue();
        const model = new Model();
        for (const { kind, key: k } of steps) {
          if (kind === 'add') {
            queue.add(k);
            model.add(k);
          } else if (kind === 'done') {
            queue.done(k);
            model.done(k);
          } else {
            expect(await taken(queue)).toBe(model.get());
          }
          expect(queue.length).toBe(model.queue.length);
        }
      }),
      { numRuns: rounds(10_000), seed: 1 },
    );
  });
});

/** util/workqueue/queue.go, transcribed: dirty, processing, queue. */
class Model {
  readonly queue: string[] = [];
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();

  add(key: string): void {
    if (this.#dirty.has(key)) return;
    this.#dirty.add(key);
    if (!this.#processing.has(key)) this.queue.push(key);
  }

  get(): string | undefined {
    const key = this.queue.shift();
    if (key !== undefined) {
      this.#processing.add(key);
      this.#dirty.delete(key);
    }
    return key;
  }

  done(key: string): void {
    // client-go's Done of a key that is not processed is the caller's mistake; ours ignores it.
    if (!this.#processing.delete(key)) return;
    if (this.#dirty.has(key)) this.queue.push(key);
  }
}
