// SPDX-License-Identifier: Apache-2.0
// How lists come: streamed as the beginning of a watch, with the world changing meanwhile, or in pages where the server or
// the line will not have it otherwise. And how often an idle informer bothers the server at all.
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { Informer } from '../../src/kube/informer.ts';
import { configMaps } from '../../src/kube/resources.ts';
import { Script, failure, object, start } from './kube-informer-script.ts';

const minuteMs = 60_000;

describe('a streamed list', () => {
  it('shows the state at its end, whatever changed on the way', async () => {
    const [script, clock] = [new Script(true), new FakeClock()];
    script.items = [object('a', '1'), object('b', '1')];
    script.amid = [
      { type: 'MODIFIED', object: object('a', '2', { data: { colour: 'blue' } }) },
      { type: 'ADDED', object: object('c', '3') },
      { type: 'BOOKMARK', object: { metadata: { resourceVersion: '3' } } },
    ];
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    expect(told.sort()).toEqual(['added a', 'added b', 'added c']);
    expect(informer.get('a')?.data).toEqual({ colour: 'blue' });
    await informer.stop();
  });

  it('says no word of an object that came and went on the way', async () => {
    const [script, clock] = [new Script(true), new FakeClock()];
    script.items = [object('a', '1'), object('b', '1')];
    script.amid = [{ type: 'DELETED', object: object('a', '2') }];
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    expect(told).toEqual(['added b']);
    expect(informer.size).toBe(1);
    await informer.stop();
  });

  it('tells once of a deletion on the way, and of the namesake that came after it', async () => {
    const [script, clock] = [new Script(true), new FakeClock()];
    script.items = [object('a', '1'), object('b', '1')];
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    told.length = 0;
    script.amid = [
      { type: 'DELETED', object: object('a', '2') },
      { type: 'DELETED', object: object('b', '3') },
      { type: 'ADDED', object: object('b', '4', { uid: 'second' }) },
    ];
    script.items = [object('a', '1')];
    await informer.relist();
    expect(told).toEqual(['deleted a', 'deleted b', 'added b']);
    await informer.stop();
  });

  it('tells nothing before it is complete, and is given up for pages when its end does not come', async () => {
    const [script, clock] = [new Script(true), new FakeClock()];
    script.items = [object('a', '1')];
    script.forgetsEnd = true;
    const { informer, told } = start(script, clock, { listTimeoutMs: 20_000 });
    await clock.advance(19_999);
    expect([told, informer.hasSynced, informer.staleMs]).toEqual([[], false, Number.POSITIVE_INFINITY]);
    await clock.advance(1000);
    expect([told, informer.hasSynced]).toEqual([['added a'], true]);
    expect([script.lists, script.watchedFrom]).toEqual([2, ['list', '1']]);
    await informer.stop();
  });

  it('breaks off without a word; the next one comes in pages, the one after it as a stream again', async () => {
    const [script, clock] = [new Script(true), new FakeClock()];
    script.items = [object('a', '1')];
    script.listError = failure('unreachable');
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    expect([script.lists, told]).toEqual([1, []]);
    script.listError = undefined;
    await clock.advance(1000);
    expect([script.lists, told]).toEqual([2, ['added a']]);
    expect(script.watchedFrom).toEqual(['1']);
    await informer.relist();
    expect(script.watchedFrom).toEqual(['1', 'list']);
    await informer.stop();
  });

  it('goes on being asked for by who was told to wait: that is no refusal of the way', async () => {
    const [script, clock] = [new Script(true), new FakeClock()];
    script.listError = failure('throttled', 3000);
    const { informer } = start(script, clock);
    await clock.advance(2999);
    expect(script.lists).toBe(1);
    script.listError = undefined;
    await clock.advance(1);
    expect([script.watchedFrom, informer.hasSynced]).toEqual([['list'], true]);
    await informer.stop();
  });

  it('is asked for in pages at once where the server refuses, and not tried again for an hour', async () => {
    const [script, clock] = [new Script(false), new FakeClock()];
    script.items = [object('a', '1')];
    const { informer, told } = start(script, clock);
    await clock.advance(0);
    expect(told).toEqual(['added a']);
    expect(script.requestedAtMs).toHaveLength(3);
    await informer.relist();
    expect(script.watchedFrom).not.toContain('list');
    script.streams = true;
    await clock.advance(61 * minuteMs);
    await informer.relist();
    expect(script.watchedFrom).toContain('list');
    await informer.stop();
  });
});

describe('a list in pages', () => {
  const three = [object('a', '1'), object('b', '1'), object('c', '1')];

  it('begins anew as one whole answer when its continuation has expired', async () => {
    const [script, clock] = [new Script(false), new FakeClock()];
    script.items = three;
    script.betweenPages = () => {
      script.items = three.slice(1);
      throw failure('gone');
    };
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    expect([script.lists, told]).toEqual([2, ['added b', 'added c']]);
    await informer.stop();
  });

  it('is as old as its first page, however long the others took', async () => {
    const [script, clock] = [new Script(false), new FakeClock()];
    script.items = three;
    script.betweenPages = () => clock.sleep(7_000);
    const { informer } = start(script, clock);
    script.watchError = failure('unreachable');
    await clock.advance(7_001);
    expect([informer.size, informer.staleMs]).toEqual([3, 7_001]);
    await informer.stop();
  });

  it('is one list to the handlers, and none while a page is missing', async () => {
    const [script, clock] = [new Script(false), new FakeClock()];
    script.items = three;
    const page = Promise.withResolvers<void>();
    script.betweenPages = () => page.promise;
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    expect(told).toEqual([]);
    page.resolve();
    await clock.advance(1);
    expect(told).toEqual(['added a', 'added b', 'added c']);
    await informer.stop();
  });
});

describe.each([
  ['streamed', true],
  ['in pages', false],
])('an informer whose lists come %s', (_how, streams) => {
  it('lets others have their turn while a long list is told, and tells no more of it once it is stopped', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = Array.from({ length: 100 }, (_, index) => object(`object-${index}`, '1'));
    script.pageSize = 100;
    // Each look at the clock finds it a millisecond later: a slice is over after ten of them.
    let looks = 0;
    const busy = {
      now: () => clock.now(),
      after: (delayMs: number, run: () => void) => clock.after(delayMs, run),
      sleep: (delayMs: number, signal?: AbortSignal) => clock.sleep(delayMs, signal),
      monotonicMs: () => (looks += 1),
    };
    const informer = new Informer({ client: script, resource: configMaps, clock: busy });
    let told = 0;
    informer.on(() => (told += 1));
    informer.start();
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(15);
    expect(informer.hasSynced).toBe(false);
    let isListed = false;
    void informer.relist().then(
      () => (isListed = true),
      () => undefined,
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(isListed).toBe(false);
    const before = told;
    await Promise.all([informer.stop(), clock.advance(1)]);
    expect(told).toBe(before);
  });

  it.each([0, 0.2, 0.5, 0.8, 0.999])(
    'comes back at most once in five minutes while nothing happens (random %f)',
    async (random) => {
      const [script, clock] = [new Script(streams), new FakeClock()];
      script.clock = clock;
      script.items = [object('a', '1')];
      const { informer } = start(script, clock, { random: () => random });
      await clock.advance(24 * 60 * minuteMs);
      const times = [...new Set(script.requestedAtMs)];
      const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
      expect(gaps.length).toBeGreaterThan(100);
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(5 * minuteMs);
      // And it does look: no list is older than eleven minutes.
      expect(script.lists).toBeGreaterThan(130);
      await informer.stop();
    },
  );
});
