// SPDX-License-Identifier: Apache-2.0
// Events, so that `kubectl describe` tells people what Fast did and why it could not. They are courtesy: recording one
// never throws, never waits, and never takes more memory than its limits, with the API server there or away.

import type { KubeClient } from './client.ts';
import { type Clock, realClock } from './clock.ts';
import { isPassing, isReason } from './errors.ts';
import { microTime } from './leader.ts';
import { type Log, silentLog } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { ObjectReference } from './object.ts';
import { type KubeEvent, events } from './resources.ts';

export interface EventInput {
  readonly regarding: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, for machines. */
  readonly reason: string;
  /** A sentence, for people. */
  readonly note: string;
  /** What was being done, CamelCase. */
  readonly action: string;
  readonly related?: ObjectReference;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  /** reportingController. */
  readonly component: string;
  /** reportingInstance: the pod, or the node. */
  readonly instance: string;
  /** Where events about cluster-scoped objects go; 'default', where kubectl looks for them, if absent. */
  readonly clusterNamespace?: string;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  readonly metrics?: Metrics | undefined;
}

/** One event that is being repeated. */
interface Series {
  readonly name: string;
  readonly namespace: string;
  readonly spamKey: string;
  count: number;
  /** Of the last repetition: on the monotonic clock, and for people. */
  lastMs: number;
  lastSeen: string;
  /** Set while the next write of its count waits for its time. */
  cancelWrite: (() => void) | undefined;
  /** The API server has it. */
  created: boolean;
  readonly event: KubeEvent;
}

const MAX_QUEUED = 1000;
const MAX_SERIES = 2000;
/** client-go's correlator: writes about one object, normal or warnings, that may come at once; then one every five minutes. */
const SPAM_BURST = 25;
const SPAM_REFILL_MS = 300_000;
/** client-go's: a repetition within six minutes is the same series. */
const SERIES_IDLE_MS = 360_000;
/** The count of a series is written at most this often, however fast it repeats. */
const SERIES_WRITE_MS = 10_000;
const MAX_NOTE = 1024;
const MAX_TRIES = 3;

export class EventRecorder {
  readonly #o: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  /** The oldest use first. */
  readonly #series = new Map<string, Series>();
  readonly #queue: Series[] = [];
  readonly #life = new AbortController();
  /** Writes that each object has left, as of a time. The oldest use first. */
  readonly #allowances = new Map<string, { left: number; atMs: number }>();
  #writing: Promise<void> | undefined;
  #order = 0;

  constructor(options: EventRecorderOptions) {
    this.#o = options;
    this.#clock = options.clock ?? realClock;
    this.#log = options.log ?? silentLog;
  }

  record(input: EventInput): void {
    try {
      this.#record(input);
    } catch (error) {
      this.#log.warn({ err: error, reason: input.reason }, 'an event could not be recorded');
    }
  }

  /** Resolves when all that has been recorded is written or given up. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) {
      await this.#writing;
    }
  }

  /** Writes what is queued and what was counted since, for at most two seconds. */
  async stop(): Promise<void> {
    for (const series of this.#series.values()) {
      if (series.cancelWrite !== undefined) {
        series.cancelWrite();
        series.cancelWrite = undefined;
        this.#enqueue(series);
      }
    }
    const flushed = new AbortController();
    const all = this.flush().then(() => flushed.abort());
    await this.#clock.sleep(2000, flushed.signal);
    this.#life.abort();
    await all;
  }

  #record(input: EventInput): void {
    const nowMs = this.#clock.monotonicMs();
    const key = keyOfSeries(input);
    const known = this.#series.get(key);
    if (known !== undefined && nowMs - known.lastMs < SERIES_IDLE_MS) {
      known.count += 1;
      known.lastMs = nowMs;
      known.lastSeen = microTime(this.#clock.now());
      touch(this.#series, key, known);
      this.#enqueueRepeat(known);
      return;
    }
    const series = this.#first(input, nowMs);
    if (!this.#isAllowed(series.spamKey)) {
      this.#drop('spam');
      return;
    }
    for (const forgotten of touch(this.#series, key, series)) forgotten.cancelWrite?.();
    this.#enqueue(series);
  }

  /** Takes one from the object's allowance, if there is one left. */
  #isAllowed(spamKey: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const former = this.#allowances.get(spamKey) ?? { left: SPAM_BURST, atMs: nowMs };
    const left = Math.min(SPAM_BURST, former.left + (nowMs - former.atMs) / SPAM_REFILL_MS);
    touch(this.#allowances, spamKey, { left: left < 1 ? left : left - 1, atMs: nowMs });
    return left >= 1;
  }

  #drop(because: 'spam' | 'queueFull' | 'refused' | 'unreachable'): void {
    this.#o.metrics?.eventsDropped.inc({ because });
  }

  #first(input: EventInput, lastMs: number): Series {
    const { regarding, type, reason, action, related } = input;
    const namespace = regarding.namespace ?? this.#o.clusterNamespace ?? 'default';
    this.#order += 1;
    const nowMs = this.#clock.now();
    const lastSeen = microTime(nowMs);
    // client-go's naming, with our own order behind it: two events of one millisecond are two.
    const suffix = `${nowMs.toString(16)}${this.#order.toString(16).padStart(4, '0')}`;
    const name = `${regarding.name.slice(0, 200)}.${suffix}`;
    const event: KubeEvent = {
      metadata: { name, namespace },
      eventTime: lastSeen,
      type,
      reason: reason.slice(0, 128),
      action: action.slice(0, 128),
      note: input.note.length > MAX_NOTE ? `${input.note.slice(0, MAX_NOTE - 1)}…` : input.note,
      regarding,
      reportingController: this.#o.component,
      reportingInstance: this.#o.instance.slice(0, 128),
      ...(related === undefined ? {} : { related }),
    };
    const spamKey = JSON.stringify([regarding.kind, namespace, regarding.name, regarding.uid, type]);
    return { name, namespace, spamKey, count: 1, lastMs, lastSeen, cancelWrite: undefined, created: false, event };
  }

  #enqueueRepeat(series: Series): void {
    series.cancelWrite ??= this.#clock.after(SERIES_WRITE_MS, () => {
      series.cancelWrite = undefined;
      // Without an allowance it goes on counting and asks again.
      if (this.#isAllowed(series.spamKey)) this.#enqueue(series);
      else this.#enqueueRepeat(series);
    });
  }

  #enqueue(series: Series): void {
    if (this.#life.signal.aborted) {
      return;
    }
    if (this.#queue.length >= MAX_QUEUED) {
      this.#drop('queueFull');
      return;
    }
    this.#queue.push(series);
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    for (let series = this.#queue.shift(); series !== undefined; series = this.#queue.shift()) {
      await this.#writeOne(series);
    }
    this.#writing = undefined;
  }

  async #writeOne(series: Series): Promise<void> {
    const { reason } = series.event;
    for (let tries = 1; tries <= MAX_TRIES && !this.#life.signal.aborted; tries += 1) {
      try {
        await this.#send(series);
        return;
      } catch (error) {
        if (!isPassing(error)) {
          this.#drop('refused');
          this.#log.warn({ err: error, reason }, 'an event was refused');
          return;
        }
        this.#log.debug({ err: error, reason, tries }, 'an event could not be written yet');
        await this.#clock.sleep(1000 * tries, this.#life.signal);
      }
    }
    this.#drop('unreachable');
  }

  async #send(series: Series): Promise<void> {
    if (series.created && (series.count === 1 || (await this.#sendCount(series)) === 'written')) {
      return;
    }
    const { event, count, lastSeen } = series;
    const object = count > 1 ? { ...event, series: { count, lastObservedTime: lastSeen } } : event;
    try {
      await this.#o.client.create(events, object, this.#call());
      series.created = true;
    } catch (error) {
      if (!isReason(error, 'alreadyExists')) {
        throw error;
      }
      // A former try arrived after all, perhaps with a lower count.
      series.created = true;
      if (count > 1) await this.#sendCount(series);
    }
  }

  /** Events live for an hour: a long series outlives its first, and is made anew then. */
  async #sendCount({ name, namespace, count, lastSeen }: Series): Promise<'written' | 'expired'> {
    const patch = { series: { count, lastObservedTime: lastSeen } };
    try {
      await this.#o.client.patch(events, name, patch, { type: 'merge', namespace }, this.#call());
      return 'written';
    } catch (error) {
      if (isReason(error, 'notFound')) {
        return 'expired';
      }
      throw error;
    }
  }

  #call(): { timeoutMs: number; signal: AbortSignal } {
    return { timeoutMs: 5000, signal: this.#life.signal };
  }
}

/** client-go's key plus the note: a note is immutable, and "249 of 250" must not be shown as "250 of 250". */
function keyOfSeries(input: EventInput): string {
  const { regarding, type, reason, action, note } = input;
  const { kind, namespace = '', name, uid = '' } = regarding;
  return JSON.stringify([kind, namespace, name, uid, type, reason, action, note]);
}

/** Makes it the latest entry. Answers what was dropped for it: the oldest beyond the limit. */
function touch<V>(map: Map<string, V>, key: string, value: V): V[] {
  map.delete(key);
  map.set(key, value);
  const dropped: V[] = [];
  for (const [oldest, former] of map) {
    if (map.size <= MAX_SERIES) break;
    map.delete(oldest);
    dropped.push(former);
  }
  return dropped;
}
