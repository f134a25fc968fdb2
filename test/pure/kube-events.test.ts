// SPDX-License-Identifier: Apache-2.0
// What an event recorder writes and what it does not, with time played and a server that may be away.
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { KubeError, type KubeErrorReason } from '../../src/kube/errors.ts';
import { type EventInput, EventRecorder } from '../../src/kube/events.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import type { KubeEvent } from '../../src/kube/resources.ts';

/** The events of an API server, each the last that was written of it. */
class EventServer {
  readonly events = new Map<string, KubeEvent>();
  writes = 0;
  /** How it fails the next writes: before they are done, or after. */
  failing: { reason: KubeErrorReason; isDone: boolean } | undefined;

  create = async <T>(_r: unknown, object: T): Promise<T> => {
    const event = object as unknown as KubeEvent;
    const name = event.metadata.name ?? '';
    return this.#answer(() => {
      if (this.events.has(name)) throw new KubeError('alreadyExists', { verb: 'create', target: name }, 'planned');
      this.events.set(name, event);
      return object;
    });
  };

  patch = async <T>(_r: unknown, name: string, patch: object): Promise<T> =>
    this.#answer(() => {
      const event = this.events.get(name);
      if (event === undefined) throw new KubeError('notFound', { verb: 'patch', target: name }, 'planned');
      this.events.set(name, { ...event, ...patch });
      return patch as T;
    });

  get all(): KubeEvent[] {
    return [...this.events.values()];
  }

  #answer<T>(act: () => T): T {
    this.writes += 1;
    const { failing } = this;
    const done = failing?.isDone === false ? undefined : act();
    if (failing !== undefined) throw new KubeError(failing.reason, { verb: 'write', target: 'event' }, 'planned');
    return done as T;
  }
}

function setUp(): { clock: FakeClock; server: EventServer; recorder: EventRecorder; dropped: () => Promise<object> } {
  const [clock, server, metrics] = [new FakeClock(), new EventServer(), new Metrics()];
  const recorder = new EventRecorder({ client: server, component: 'fast', instance: 'one', clock, metrics });
  const dropped = async (): Promise<object> => {
    const { values } = await metrics.eventsDropped.get();
    return Object.fromEntries(values.map(({ labels, value }) => [labels.because, value]));
  };
  return { clock, server, recorder, dropped };
}

function full(note: string, pod = 'web-0', type: EventInput['type'] = 'Warning'): EventInput {
  const regarding = { kind: 'Pod', namespace: 'default', name: pod, uid: pod };
  return { regarding, type, reason: 'Exhausted', note, action: 'Allocate' };
}

describe('the event recorder', () => {
  it('writes the first at once, and counts repetitions in one series that is written every 10 s', async () => {
    const { clock, server, recorder } = setUp();
    recorder.record(full('pool a is full'));
    await clock.advance(0);
    expect(server.all).toMatchObject([{ note: 'pool a is full', reportingController: 'fast', type: 'Warning' }]);
    expect(server.all[0]?.series).toBeUndefined();
    for (let times = 0; times < 100; times += 1) {
      await clock.advance(95);
      recorder.record(full('pool a is full'));
    }
    expect(server.writes).toBe(1);
    await clock.advance(1000);
    expect(server.writes).toBe(2);
    expect(server.all).toMatchObject([{ series: { count: 101, lastObservedTime: '2026-01-01T00:00:09.500000Z' } }]);
    expect(clock.pending).toBe(0);
  });

  it('begins another event when nothing was repeated for six minutes', async () => {
    const { clock, server, recorder } = setUp();
    recorder.record(full('pool a is full'));
    await clock.advance(359_999);
    recorder.record(full('pool a is full'));
    await clock.advance(360_000);
    recorder.record(full('pool a is full'));
    await clock.advance(0);
    expect(server.all.map(({ series }) => series?.count)).toEqual([2, undefined]);
  });

  it('lets no object have more than 25 events at once and one per five minutes from then on', async () => {
    const { clock, server, recorder, dropped } = setUp();
    for (let used = 0; used < 40; used += 1) recorder.record(full(`${used} of 250 in use`));
    recorder.record(full('another pod', 'web-1'));
    recorder.record(full('good news', 'web-0', 'Normal'));
    await clock.advance(0);
    expect(server.all).toHaveLength(27);
    expect(await dropped()).toEqual({ spam: 15 });
    await clock.advance(300_000);
    recorder.record(full('41 of 250 in use'));
    recorder.record(full('42 of 250 in use'));
    await clock.advance(0);
    expect(server.all).toHaveLength(28);
  });

  it('writes the count of a fast series seldom too, and loses none of it', async () => {
    const { clock, server, recorder } = setUp();
    for (let second = 0; second < 3600; second += 1) {
      recorder.record(full('pool a is full'));
      await clock.advance(1000);
    }
    expect(server.writes).toBeLessThan(25 + 3600 / 300 + 2);
    const stopping = recorder.stop();
    await clock.advance(2000);
    await stopping;
    expect(server.all).toMatchObject([{ series: { count: 3600 } }]);
  });

  it('makes the event of a long series anew when the first has expired', async () => {
    const { clock, server, recorder } = setUp();
    recorder.record(full('pool a is full'));
    await clock.advance(0);
    server.events.clear();
    recorder.record(full('pool a is full'));
    await clock.advance(10_000);
    expect(server.all).toMatchObject([{ note: 'pool a is full', series: { count: 2 } }]);
  });

  it('counts right when the server did what it seemed to refuse', async () => {
    const { clock, server, recorder } = setUp();
    server.failing = { reason: 'timeout', isDone: true };
    recorder.record(full('pool a is full'));
    await clock.advance(0);
    recorder.record(full('pool a is full'));
    server.failing = undefined;
    await clock.advance(1000);
    expect(server.all).toMatchObject([{ series: { count: 2 } }]);
  });

  it('neither throws nor waits nor grows while the server is away, and says what was lost', async () => {
    const { clock, server, recorder, dropped } = setUp();
    server.failing = { reason: 'unreachable', isDone: false };
    for (let pod = 0; pod < 5000; pod += 1) recorder.record(full('pool a is full', `pod-${pod}`));
    await clock.advance(600);
    // One is on its way, 1,000 wait, and the rest is dropped at once.
    expect(await dropped()).toEqual({ queueFull: 3999 });
    await clock.advance(60_000);
    expect(await dropped()).toMatchObject({ unreachable: 10 });
    server.failing = undefined;
    await clock.advance(60_000);
    expect(server.all).toHaveLength(991);
  });

  it('gives up an event that the server refuses, at once', async () => {
    const { clock, server, recorder, dropped } = setUp();
    server.failing = { reason: 'forbidden', isDone: false };
    recorder.record(full('pool a is full'));
    await clock.advance(100_000);
    expect(server.writes).toBe(1);
    expect(await dropped()).toEqual({ refused: 1 });
  });

  it('stops within two seconds with the server away, and leaves no timer', async () => {
    const { clock, server, recorder } = setUp();
    server.failing = { reason: 'unreachable', isDone: false };
    for (let pod = 0; pod < 10; pod += 1) recorder.record(full('pool a is full', `pod-${pod}`));
    recorder.record(full('pool a is full', 'pod-0'));
    const stopping = recorder.stop();
    await clock.advance(2000);
    await stopping;
    expect(clock.pending).toBe(0);
  });

  it('swallows an input that it cannot make an event of', () => {
    const { recorder } = setUp();
    expect(() => recorder.record({ ...full('x'), note: undefined as unknown as string })).not.toThrow();
  });
});
