// SPDX-License-Identifier: Apache-2.0
// When the agent compares, and when it calls a fault mended.
import { expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { silentLog } from '../../src/kube/log.ts';
import { Comparison, type Part } from '../../src/node/comparison.ts';

const everyMs = 30_000;

function comparing(run: Part['run'], clock: FakeClock, onRun: () => void = () => undefined): Comparison {
  return new Comparison({ parts: [{ name: 'wires', run }], log: silentLog, everyMs, onRun, clock });
}

/** A part whose runs take the time that is told. */
function slowPart(clock: FakeClock, ms: (full: boolean) => number): { run: Part['run']; startsMs: number[] } {
  const startsMs: number[] = [];
  const run = async (full: boolean): Promise<number> => {
    startsMs.push(clock.monotonicMs());
    await clock.sleep(ms(full));
    return 0;
  };
  return { run, startsMs };
}

it('goes on naming a fault that only a full comparison sees, and looks for it at each retry', async () => {
  const clock = new FakeClock();
  const said: string[] = [];
  let isWhole = false;
  const comparison = comparing(
    (full) => {
      if (full && !isWhole) throw new Error('a wire has no from_pod');
      return 0;
    },
    clock,
    () => said.push(comparison.problems().join()),
  );
  await comparison.runNow(true);
  await clock.advance(everyMs);
  expect(new Set(said)).toEqual(new Set(['wires: a wire has no from_pod']));
  isWhole = true;
  await clock.advance(2000);
  expect(comparison.problems()).toEqual([]);
  await comparison.stop();
});

it('calls a fault mended at once that an event shows and an event mends', async () => {
  const clock = new FakeClock();
  const fulls: boolean[] = [];
  let isWhole = true;
  const comparison = comparing((full) => {
    fulls.push(full);
    if (!isWhole) throw new Error('no overlay address');
    return 0;
  }, clock);
  await comparison.runNow(true);
  isWhole = false;
  comparison.request();
  await clock.advance(20);
  expect(comparison.problemOf('wires')).toBe('no overlay address');
  isWhole = true;
  comparison.request();
  await clock.advance(20);
  expect(comparison.problems()).toEqual([]);
  expect(fulls).toEqual([true, false, false]);
  await comparison.stop();
});

it('hears an event right behind a full comparison that took long', async () => {
  const clock = new FakeClock();
  const { run, startsMs } = slowPart(clock, (full) => (full ? 600 : 0));
  const comparison = comparing(run, clock);
  const first = comparison.runNow(true);
  await clock.advance(600);
  await first;
  comparison.request();
  await clock.advance(1000);
  expect(startsMs).toEqual([0, 620]);
  await comparison.stop();
});

it('rests after what an event made it do, ten times as long but never longer than half a second', async () => {
  const clock = new FakeClock();
  const tookMs = [30, 300, 0];
  const { run, startsMs } = slowPart(clock, () => tookMs.shift() ?? 0);
  const comparison = comparing((full) => (full ? 0 : run(full)), clock);
  await comparison.runNow(true);
  const endsMs = [50, 650];
  comparison.request();
  for (const endMs of endsMs) {
    await clock.advance(endMs - clock.monotonicMs());
    comparison.request();
  }
  await clock.advance(2000);
  expect(startsMs).toEqual([20, 50 + 300, 650 + 500]);
  await comparison.stop();
});

it('compares one after the other, though two ask for it at the same moment, and ends none in the middle', async () => {
  const clock = new FakeClock();
  const told: string[] = [];
  const comparison = comparing(async (full) => {
    told.push(`${full} begins`);
    await clock.sleep(1000);
    told.push(`${full} ends`);
    return 0;
  }, clock);
  void comparison.runNow(true);
  void comparison.runNow(false);
  await clock.advance(1500);
  const stopped = comparison.stop().then(() => told.push('stopped'));
  await clock.advance(10_000);
  await stopped;
  expect(told).toEqual(['true begins', 'true ends', 'false begins', 'false ends', 'stopped']);
});

it('hears an event that comes while it compares, and not only with the next full comparison', async () => {
  const clock = new FakeClock();
  const { run, startsMs } = slowPart(clock, () => 100);
  const comparison = comparing(run, clock);
  void comparison.runNow(true);
  await clock.advance(90);
  comparison.request();
  await clock.advance(1000);
  expect(startsMs).toEqual([0, 110]);
  await comparison.stop();
});
