// SPDX-License-Identifier: Apache-2.0
// Events, so that `kubectl describe` tells people what Fast did and why it could not. They are courtesy: recording one
// never throws, never waits, and never takes more memory than its limits.

import type { KubeClient } from './client.ts';
import { type Clock, realClock } from './clock.ts';
import { isPassing, isReason } from './errors.ts';
import { microTime } from './leader.ts';
import { type Log, silentLog } from './log.ts';
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
}

/** One event that is being repeated. */
interface Series {
  readonly name: string;
  readonly namespace: string;
  count: number;
  lastMs: number;
  /** Set while the next write of its count waits for its time. */
  cancelWrite: (() => void) | undefined;
  /** The API server has it. */
  created: boolean;
  readonly event: KubeEvent;
}

const MAX_QUEUED = 1000;
const MAX_SERIES = 2000;
/** client-go's: a repetition within six minutes is the same series. */
const SERIES_IDLE_MS = 360_000;
/** A series is written at most this often, however fast it repeats. */
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
  #writing: Promise<void> | undefined;
  #dropped = 0;
  #order = 0;

  constructor(options: EventRecorderOptions) {
    this.#o = options;
    this.#clock = options.clock ?? realClock;
    this.#log = options.log ?? silentLog;
  }

  /** Events that found the queue full. */
  get dropped(): number {
    return this.#dropped;
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
    const nowMs = this.#clock.now();
    const key = keyOfSeries(input);
    const known = this.#series.get(key);
    if (known !== undefined && nowMs - known.lastMs < SERIES_IDLE_MS) {
      known.count += 1;
      known.lastMs = nowMs;
      this.#series.delete(key);
      this.#series.set(key, known);
      this.#enqueueRepeat(known);
      return;
    }
    const series = this.#first(input, nowMs);
    this.#series.delete(key);
    this.#series.set(key, series);
    this.#forgetOldest();
    this.#enqueue(series);
  }

  #first(input: EventInput, nowMs: number): Series {
    const { regarding, type, reason, action, related } = input;
    const namespace = regarding.namespace ?? this.#o.clusterNamespace ?? 'default';
    this.#order += 1;
    // client-go's naming, with our own order behind it: two events of one millisecond are two.
    const suffix = `${nowMs.toString(16)}${this.#order.toString(16).padStart(4, '0')}`;
    const name = `${regarding.name.slice(0, 200)}.${suffix}`;
    const event: KubeEvent = {
      metadata: { name, namespace },
      eventTime: microTime(nowMs),
      type,
      reason: reason.slice(0, 128),
      action: action.slice(0, 128),
      note: input.note.length > MAX_NOTE ? `${input.note.slice(0, MAX_NOTE - 1)}…` : input.note,
      regarding,
      reportingController: this.#o.component,
      reportingInstance: this.#o.instance.slice(0, 128),
      ...(related === undefined ? {} : { related }),
    };
    return { name, namespace, count: 1, lastMs: nowMs, cancelWrite: undefined, created: false, event };
  }

  #enqueueRepeat(series: Series): void {
    series.cancelWrite ??= this.#clock.after(SERIES_WRITE_MS, () => {
      series.cancelWrite = undefined;
      this.#enqueue(series);
    });
  }

  #enqueue(series: Series): void {
    if (this.#life.signal.aborted) {
      return;
    }
    if (this.#queue.length >= MAX_QUEUED) {
      this.#dropped += 1;
      return;
    }
    this.#queue.push(series);
    this.#writing ??= this.#write();
  }

  #forgetOldest(): void {
    for (const key of this.#series.keys()) {
      if (this.#series.size <= MAX_SERIES) {
        return;
      }
      this.#series.delete(key);
    }
  }

  async #write(): Promise<void> {
    for (let series = this.#queue.shift(); series !== undefined; series = this.#queue.shift()) {
      await this.#writeOne(series);
    }
    this.#writing = undefined;
  }

  async #writeOne(series: Series): Promise<void> {
    for (let tries = 1; tries <= MAX_TRIES && !this.#life.signal.aborted; tries += 1) {
      try {
        await this.#send(series);
        return;
      } catch (error) {
        const reason = series.event.reason;
        if (!isPassing(error)) {
          this.#log.warn({ err: error, reason }, 'an event was refused');
          return;
        }
        this.#log.debug({ err: error, reason, tries }, 'an event could not be written yet');
        await this.#clock.sleep(1000 * tries, this.#life.signal);
      }
    }
  }

  async #send(series: Series): Promise<void> {
    const call = { timeoutMs: 5000, signal: this.#life.signal };
    const repeats = { count: series.count, lastObservedTime: microTime(series.lastMs) };
    if (series.created && series.count > 1) {
      try {
        const options = { type: 'merge', namespace: series.namespace } as const;
        await this.#o.client.patch(events, series.name, { series: repeats }, options, call);
        return;
      } catch (error) {
        // Events live for an hour: a long series outlives its first.
        if (!isReason(error, 'notFound')) {
          throw error;
        }
      }
    }
    try {
      await this.#o.client.create(events, series.count > 1 ? { ...series.event, series: repeats } : series.event, call);
    } catch (error) {
      // A former try arrived after all.
      if (!isReason(error, 'alreadyExists')) {
        throw error;
      }
    }
    series.created = true;
  }
}

/** client-go's key plus the note: a note is immutable, and "249 of 250" must not be shown as "250 of 250". */
function keyOfSeries(input: EventInput): string {
  const { regarding, type, reason, action, note } = input;
  const { kind, namespace = '', name, uid = '' } = regarding;
  return JSON.stringify([kind, namespace, name, uid, type, reason, action, note]);
}
