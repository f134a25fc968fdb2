// SPDX-License-Identifier: Apache-2.0
// How a controller treats its reconciler: one key at a time, errors tried again with back-off, words obeyed.
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { Controller, type Outcome, done, giveUp, retryAfter } from '../../src/kube/controller.ts';
import type { Log } from '../../src/kube/log.ts';

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

  it("logs every line under controller-runtime's fields, of one reconcile under one id", async () => {
    const clock = new FakeClock();
    const lines: object[] = [];
    const hear = (fields: object): Log => {
      const say = (more: object, msg: string): void => void lines.push({ ...fields, ...more, msg });
      return { debug: say, info: say, warn: say, error: say, child: (more) => hear({ ...fields, ...more }) };
    };
    const controller = new Controller({
      name: 'pod',
      kind: { group: '', kind: 'Pod' },
      clock,
      log: hear({}),
      reconcile: async (key, { log }) => {
        log.info({}, 'seen');
        return key === 'node-a' ? done : giveUp('planned');
      },
    });
    controller.start();
    controller.enqueue('default/web-0');
    controller.enqueue('node-a');
    await clock.advance(1);
    await controller.stop();
    const fields = { controller: 'pod', controllerGroup: '', controllerKind: 'Pod', reconcileID: expect.any(String) };
    expect(lines).toEqual([
      { ...fields, namespace: 'default', name: 'web-0', msg: 'seen' },
      { ...fields, namespace: 'default', name: 'web-0', because: 'planned', msg: 'given up until something changes' },
      { ...fields, name: 'node-a', msg: 'seen' },
      { ...fields, name: 'node-a', msg: 'reconciled' },
    ]);
    const ids = lines.map((line) => ('reconcileID' in line ? line.reconcileID : undefined));
    expect([ids[0] === ids[1], ids[2] === ids[3], ids[0] === ids[2]]).toEqual([true, true, false]);
  });
});
