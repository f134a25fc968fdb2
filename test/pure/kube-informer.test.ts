// SPDX-License-Identifier: Apache-2.0
// The informer's rules that need a played clock or a server that lies: what the API tier cannot show in a second.
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { Informer } from '../../src/kube/informer.ts';
import { type Log, silentLog } from '../../src/kube/log.ts';
import { type ConfigMap, configMaps } from '../../src/kube/resources.ts';
import { Script, failure, object, start } from './kube-informer-script.ts';

describe.each([
  ['streams its lists', true],
  ['lists in pages only', false],
])('the informer of a server that %s', (_how, streams) => {
  it('tells nothing of a list that changed nothing', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = [object('a', '1')];
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    await informer.relist();
    expect(told).toEqual(['added a']);
    await informer.stop();
  });

  it('lists afresh by itself every ten minutes, and finds what a lying watch has kept from it', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = [object('a', '1'), object('b', '1')];
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    script.items = [object('b', '1')];
    script.resourceVersion = '2';
    await clock.advance(600_000);
    expect(script.lists).toBe(2);
    expect(told).toEqual(['added a', 'added b', 'deleted a']);
    await informer.stop();
    expect(clock.pending).toBe(0);
  });

  it('believes no revision of a server that was set back: the same number may hold other contents', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = [object('a', '5', { data: { colour: 'red' } })];
    script.resourceVersion = '9';
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    script.items = [object('a', '5', { data: { colour: 'blue' } })];
    script.resourceVersion = '7';
    await informer.relist();
    expect(informer.get('a')?.data).toEqual({ colour: 'blue' });
    expect(told).toEqual(['added a', 'updated a']);
    expect(informer.resourceVersion).toBe('7');
    await clock.advance(6000);
    script.endWatch();
    await clock.advance(1);
    expect(script.watchedFrom.at(-1)).toBe('7');
    await informer.stop();
  });

  it('goes on from a bookmark, not from the last change', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    const { informer } = start(script, clock);
    await clock.advance(1);
    script.say('BOOKMARK', { metadata: { resourceVersion: '77' } });
    await clock.advance(1);
    expect(informer.resourceVersion).toBe('77');
    expect(informer.size).toBe(0);
    await informer.stop();
  });

  it('tells a deletion once, however often the server says it', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = [object('a', '1')];
    const { informer, told } = start(script, clock);
    await clock.advance(1);
    script.say('DELETED', object('a', '2'));
    script.say('DELETED', object('a', '2'));
    script.items = [];
    script.resourceVersion = '3';
    await clock.advance(1);
    await informer.relist();
    expect(told).toEqual(['added a', 'deleted a']);
    await informer.stop();
  });

  it('survives handlers that throw or reject, and says so', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = [object('a', '1')];
    const said: string[] = [];
    const log: Log = { ...silentLog, error: (_fields, message) => said.push(message), child: () => log };
    const informer = new Informer({ client: script, resource: configMaps, clock, log });
    const heard: string[] = [];
    informer.on(() => {
      throw new Error('planned');
    });
    // oxlint-disable-next-line typescript/no-misused-promises -- the mistake is the test
    informer.on(async () => {
      throw new Error('planned');
    });
    informer.on(({ type }) => heard.push(type));
    informer.start();
    await clock.advance(1);
    expect(heard).toEqual(['added']);
    expect(said).toEqual(['a handler failed', 'a handler failed']);
    await informer.stop();
  });

  it('shows a late handler what is there, and a former one nothing more', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = [object('a', '1')];
    const { informer } = start(script, clock);
    await clock.advance(1);
    const heard: string[] = [];
    const end = informer.on(({ type, object: about }) => heard.push(`${type} ${about.metadata.name}`));
    expect(heard).toEqual(['added a']);
    end();
    script.say('ADDED', object('b', '2'));
    await clock.advance(1);
    expect(heard).toEqual(['added a']);
    expect(informer.size).toBe(2);
    await informer.stop();
  });

  it('waits as long as the server asks', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.watchError = failure('throttled', 7000);
    const { informer } = start(script, clock);
    await clock.advance(6999);
    expect(script.watchedFrom).toHaveLength(1);
    await clock.advance(2);
    expect(script.watchedFrom).toHaveLength(2);
    await informer.stop();
  });

  it.each([
    ['refuses every watch', 'gone'],
    ['breaks every watch', 'unreachable'],
    ['lets every watch starve', 'timeout'],
    ['forbids every watch', 'forbidden'],
  ] as const)('tries at most every 15 s once the back-off is full, where the server %s', async (_how, reason) => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.watchError = failure(reason);
    const { informer } = start(script, clock);
    await clock.advance(300_000);
    const before = script.watchedFrom.length;
    await clock.advance(300_000);
    const tries = script.watchedFrom.length - before;
    expect(tries).toBeGreaterThanOrEqual(10);
    expect(tries).toBeLessThanOrEqual(20);
    await informer.stop();
  });

  it('does not spin where every watch ends at once and calls it success', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.watchEnds = true;
    const { informer } = start(script, clock);
    await clock.advance(600_000);
    expect(script.watchedFrom.length).toBeGreaterThan(10);
    expect(script.watchedFrom.length).toBeLessThan(50);
    expect(script.lists).toBeLessThanOrEqual(2);
    await informer.stop();
  });

  it('is not synced, and says what it waits for, until the first list succeeds', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.listError = failure('forbidden');
    const { informer, told } = start(script, clock);
    const synced = informer.synced(10_000);
    const refused = expect(synced).rejects.toThrow('cannot list configmaps: no complete list within 10000 ms');
    await clock.advance(10_000);
    await refused;
    expect([informer.hasSynced, informer.staleMs]).toEqual([false, Number.POSITIVE_INFINITY]);
    script.listError = undefined;
    script.items = [object('a', '1')];
    await clock.advance(30_000);
    expect([informer.hasSynced, told]).toEqual([true, ['added a']]);
    expect(informer.staleMs).toBeLessThan(30_000);
    await informer.stop();
  });

  it('keeps what the transform leaves, and the whole where the transform fails', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = [object('a', '1', { data: { big: 'x' } }), object('b', '1', { data: { big: 'x' } })];
    const transform = (whole: ConfigMap): ConfigMap => {
      if (whole.metadata.name === 'b') throw new Error('planned');
      return { metadata: whole.metadata };
    };
    const { informer } = start(script, clock, { transform });
    await clock.advance(1);
    expect([informer.get('a')?.data, informer.get('b')?.data]).toEqual([undefined, { big: 'x' }]);
    await informer.stop();
  });

  it('answers a relist asked for during a list with a list that begins afterwards', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    const informer = new Informer({ client: script, resource: configMaps, clock });
    const asked: Promise<void>[] = [];
    script.onList = () => {
      script.onList = () => undefined;
      script.items = [object('late', '1')];
      asked.push(informer.relist(), informer.relist());
    };
    informer.start();
    await clock.advance(1);
    expect(asked).toHaveLength(2);
    await Promise.all(asked);
    expect(script.lists).toBe(2);
    expect(informer.get('late')).toBeDefined();
    // The stream of the first list is let go of: it would stay open at the server, and more with each such moment.
    expect(script.open).toBe(1);
    await informer.stop();
    expect(script.open).toBe(0);
  });

  it('lists anew after a watch that was silent too long, since it may wait for a revision that never comes', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = [object('a', '1')];
    const { informer, told } = start(script, clock);
    await clock.advance(60_000);
    script.items = [];
    script.breakWatch('timeout');
    await clock.advance(2_000);
    expect([script.lists, told]).toEqual([2, ['added a', 'deleted a']]);
    await informer.stop();
  });

  it('waits no longer for the tenth watch that broke after a good while than for the first', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    const { informer } = start(script, clock);
    for (let turn = 1; turn <= 10; turn += 1) {
      await clock.advance(10_000);
      const before = script.watchedFrom.length;
      script.breakWatch('unreachable');
      await clock.advance(1_000);
      expect(script.watchedFrom.length).toBe(before + 1);
    }
    await informer.stop();
  });

  it('tells the end of the object that it has, where the server tells that of a namesake', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    script.items = [object('a', '1')];
    const { informer } = start(script, clock);
    const gone: (string | undefined)[] = [];
    informer.on(({ type, object: about }) => type === 'deleted' && gone.push(about.metadata.uid));
    await clock.advance(1);
    script.say('DELETED', object('a', '3', { uid: 'never seen' }));
    await clock.advance(1);
    expect(gone).toEqual(['uid-of-a']);
    await informer.stop();
  });

  it('answers a relist asked for before the first list with that list', async () => {
    const [script, clock] = [new Script(streams), new FakeClock()];
    const informer = new Informer({ client: script, resource: configMaps, clock });
    const asked = informer.relist();
    informer.start();
    await clock.advance(1);
    await asked;
    expect(script.lists).toBe(1);
    await informer.stop();
  });
});
