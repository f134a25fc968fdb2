// SPDX-License-Identifier: Apache-2.0
// How a controller treats its reconciler: one key at a time, errors tried again with back-off, words obeyed.
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { Controller, type Outcome, done, giveUp, retryAfter } from '../../src/kube/controller.ts';
import { Metrics } from '../../src/kube/metrics.ts';

describe('the controller', () => {
  it('tries a failed key again after 5, 10, 20 ms, then forgets the back-off with the first success', async () => {
    const clock = new FakeClock();
    const atMs: number[] = [];
    let failing = true;
    const controller = new Controller({
      name: 'test',
      clock,
      reconcile: async () => {
        atMs.push(clock.monotonicMs());
        if (failing) throw new Error('planned');
        return done;
      },
    });
    controller.start();
    controller.enqueue('a');
    await clock.advance(35);
    expect(atMs).toEqual([0, 5, 15, 35]);
    failing = false;
    await clock.advance(40);
    expect(atMs).toEqual([0, 5, 15, 35, 75]);
    failing = true;
    controller.enqueue('a');
    await clock.advance(5);
    expect(atMs.slice(5)).toEqual([75, 80]);
    await controller.stop();
  });

  it('looks at a key again when it was told to, without a back-off', async () => {
    const clock = new FakeClock();
    const outcomes: Outcome[] = [retryAfter(1000, 'cooling'), retryAfter(1000, 'cooling'), giveUp('no pool'), done];
    const atMs: number[] = [];
    const controller = new Controller({
      name: 'test',
      clock,
      reconcile: async () => {
        atMs.push(clock.monotonicMs());
        return outcomes.shift() ?? done;
      },
    });
    controller.start();
    controller.enqueue('a');
    await clock.advance(10_000);
    expect(atMs).toEqual([0, 1000, 2000]);
    await controller.stop();
  });

  it('works on several keys at once, but never on one twice', async () => {
    const clock = new FakeClock();
    const working = new Set<string>();
    let most = 0;
    let runs = 0;
    const controller = new Controller({
      name: 'test',
      clock,
      workers: 3,
      reconcile: async (key) => {
        expect(working.has(key)).toBe(false);
        working.add(key);
        most = Math.max(most, working.size);
        runs += 1;
        await clock.sleep(10);
        working.delete(key);
        return done;
      },
    });
    controller.start();
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      controller.enqueue(key);
    }
    await clock.advance(5);
    controller.enqueue('a');
    controller.enqueue('a');
    await clock.advance(100);
    expect([most, runs]).toEqual([3, 6]);
    await controller.stop();
  });

  it('lets what is being worked on end at a stop, begins nothing more, and tells it by the signal', async () => {
    const clock = new FakeClock();
    const ended: string[] = [];
    const controller = new Controller({
      name: 'test',
      clock,
      reconcile: async (key, { signal }) => {
        await clock.sleep(1000, signal);
        ended.push(`${key} ${signal.aborted}`);
        return done;
      },
    });
    controller.start();
    controller.enqueue('a');
    controller.enqueue('b');
    await clock.advance(1);
    await controller.stop();
    expect(ended).toEqual(['a true']);
  });

  it('counts under the names of controller-runtime', async () => {
    const clock = new FakeClock();
    const metrics = new Metrics();
    const controller = new Controller({
      name: 'ips',
      clock,
      metrics,
      reconcile: async (key) => {
        if (key === 'bad') throw new Error('planned');
        return done;
      },
    });
    controller.start();
    controller.enqueue('good');
    controller.enqueue('bad');
    await clock.advance(1);
    await controller.stop();
    const text = await metrics.registry.metrics();
    expect(text).toContain('controller_runtime_reconcile_total{controller="ips",result="success"} 1');
    expect(text).toContain('controller_runtime_reconcile_total{controller="ips",result="error"} 1');
    expect(text).toContain('workqueue_adds_total{name="ips"} 2');
    expect(text).toContain('workqueue_retries_total{name="ips"} 1');
  });
});
