// SPDX-License-Identifier: Apache-2.0
// The loop of list and watch: a list, then the changes since that list, for ever. It knows for every way in which a watch
// can end whether the next step may go on from there or has to begin with a list, and how long to wait before it.
// It never gives up and never spins.

import { Backoff } from './backoff.ts';
import { Cadence } from './cadence.ts';
import type { KubeClient, ListOptions } from './client.ts';
import type { Clock } from './clock.ts';
import { KubeError, isReason } from './errors.ts';
import { type Intake, ListWay, type Listed, readInitialEvents, readPages } from './listing.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { KubeObject, Resource } from './object.ts';
import type { WatchEvent } from './watch.ts';

/** Where the loop puts what it hears, one after the other: no event before a list is told. Nothing here throws. */
export interface Sink<T extends KubeObject> {
  begin(): Intake<T>;
  happened(event: WatchEvent<T>): void;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, 'pages' | 'watch'>;
  readonly resource: Resource<T>;
  readonly namespace: string | undefined;
  readonly fieldSelector: string | undefined;
  readonly labelSelector: string | undefined;
  readonly sink: Sink<T>;
  /** Objects per page; undefined leaves it to the client. */
  readonly pageSize: number | undefined;
  /** How long one page may take, or a streamed list in all. */
  readonly listTimeoutMs: number;
  readonly relistEveryMs: number;
  readonly silenceMs: number;
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics | undefined;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** Why the next step is a list. */
type Doubt = 'start' | 'asked' | 'periodic' | 'gone' | 'silence' | 'confused';

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A watch that ends sooner has failed, however politely: without a wait, a broken proxy would make us spin. */
const HEALTHY_WATCH_MS = 5000;

export class Reflector<T extends KubeObject> {
  readonly #o: ReflectorOptions<T>;
  readonly #backoff: Backoff;
  readonly #way: ListWay;
  readonly #cadence: Cadence;
  readonly #life = new AbortController();
  /** Set while a list has to come before the next watch. */
  #doubt: Doubt | undefined = 'start';
  /** Calls of relist() for which no list has begun. */
  #waiters: Waiter[] = [];
  /** Ends the request under way. */
  #request = new AbortController();
  /** Whether that request is for a list, or its list is being told. */
  #isListing = false;
  #running: Promise<void> | undefined;
  #cancelPeriodic: (() => void) | undefined;
  #resourceVersion = '';
  #heardAtMs: number | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#o = options;
    this.#backoff = new Backoff({ ...options.backoff, random: options.random });
    this.#way = new ListWay(options.clock);
    this.#cadence = new Cadence(options.relistEveryMs, options.clock, options.random);
  }

  /** The newest revision heard of. */
  get resourceVersion(): string {
    return this.#resourceVersion;
  }

  /** How long ago the server said something that the sink knows, in milliseconds; Infinity before the first list. */
  get staleMs(): number {
    return this.#heardAtMs === undefined ? Number.POSITIVE_INFINITY : this.#o.clock.monotonicMs() - this.#heardAtMs;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#life.abort();
    this.#request.abort();
    this.#cancelPeriodic?.();
    await this.#running;
    this.#turnAway();
  }

  /** Resolves when a list that began after this call has been told. @throws KubeError `aborted` by stop() */
  relist(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (this.#life.signal.aborted) {
        this.#turnAway();
      } else {
        this.#distrust('asked');
      }
    });
  }

  /** Ends the watch, but no list: where doubts come fast, none would ever come whole. */
  #distrust(doubt: Doubt): void {
    this.#doubt ??= doubt;
    if (!this.#isListing) {
      this.#request.abort();
    }
  }

  #turnAway(): void {
    for (const { reject } of this.#waiters.splice(0)) {
      reject(this.#error('aborted', 'the informer has stopped'));
    }
  }

  #error(reason: 'aborted' | 'timeout', said: string): KubeError {
    return new KubeError(reason, { verb: 'list', target: this.#o.resource.plural }, said);
  }

  async #run(): Promise<void> {
    while (!this.#life.signal.aborted) {
      const waitMs = await this.#step();
      if (waitMs > 0) {
        await this.#o.clock.sleep(waitMs, this.#life.signal);
      }
    }
  }

  /** A list if one has to be, and a watch from there. Answers how long to wait before the next. */
  async #step(): Promise<number> {
    const { clock } = this.#o;
    const request = new AbortController();
    this.#request = request;
    const doubt = this.#doubt;
    let startMs = clock.monotonicMs();
    if (doubt !== undefined) {
      this.#cadence.draw();
    }
    let events = doubt === undefined || this.#way.streams ? this.#open(doubt) : undefined;
    try {
      if (doubt !== undefined) {
        await this.#list(doubt, events);
        if (this.#doubt !== undefined) {
          return 0;
        }
        startMs = clock.monotonicMs();
      }
      events ??= this.#open(undefined);
      await this.#follow(events, request.signal);
      if (request.signal.aborted) {
        return 0;
      }
      if (this.#cadence.isListDue) {
        this.#doubt ??= 'periodic';
      }
      return clock.monotonicMs() - startMs < HEALTHY_WATCH_MS ? this.#backoff.next() : this.#rested();
    } catch (error) {
      return this.#failed(error, clock.monotonicMs() - startMs);
    } finally {
      this.#isListing = false;
      await events?.return(undefined);
    }
  }

  #rested(): number {
    this.#backoff.reset();
    return 0;
  }

  #failed(error: unknown, lastedMs: number): number {
    const isOurs = !this.#isListing && this.#request.signal.aborted;
    if (this.#life.signal.aborted || isOurs) {
      return 0;
    }
    const { log } = this.#o;
    if (this.#isListing && this.#way.failed(error) === 'refused') {
      log.info({ err: error }, 'the server does not stream lists; it is asked for pages');
      return 0;
    }
    if (lastedMs >= HEALTHY_WATCH_MS) {
      this.#rested();
    }
    this.#doubt ??= doubtOf(error);
    const waitMs = this.#backoff.next(error instanceof KubeError ? error.retryAfterMs : 0);
    log.warn({ err: error, waitMs: Math.round(waitMs), next: this.#doubt ?? 'watch' }, 'a watch or list ended');
    return waitMs;
  }

  /** A watch from here, or one that begins with a list. */
  #open(doubt: Doubt | undefined): AsyncGenerator<WatchEvent<T>> {
    const { client, resource, namespace, fieldSelector, labelSelector, silenceMs, clock } = this.#o;
    const from = doubt === undefined ? { resourceVersion: this.#resourceVersion } : {};
    return client.watch(resource, {
      namespace,
      fieldSelector,
      labelSelector,
      ...from,
      timeoutSeconds: this.#cadence.watchSeconds(doubt !== undefined),
      silenceMs,
      signal: this.#request.signal,
      onOpen: () => {
        // A watch that is open shows all up to its revision; one that begins with a list shows nothing yet.
        if (!this.#isListing) this.#heard(this.#resourceVersion, clock.monotonicMs());
      },
    });
  }

  async #follow(events: AsyncGenerator<WatchEvent<T>>, signal: AbortSignal): Promise<void> {
    const { sink, metrics, resource, clock } = this.#o;
    for await (const event of events) {
      if (signal.aborted) {
        return;
      }
      this.#heard(event.object.metadata.resourceVersion ?? this.#resourceVersion, clock.monotonicMs());
      metrics?.informer.events.inc({ resource: resource.plural, type: event.type });
      sink.happened(event);
    }
  }

  async #list(doubt: Doubt, events: AsyncGenerator<WatchEvent<T>> | undefined): Promise<void> {
    const { resource, metrics, clock } = this.#o;
    this.#isListing = true;
    const served = this.#waiters.splice(0);
    try {
      const { intake, listed } = events === undefined ? await this.#pages() : await this.#initial(events);
      // Between the answer and here a stop may have come; a stopped informer tells nothing.
      this.#life.signal.throwIfAborted();
      this.#heard(listed.resourceVersion, listed.heardAtMs);
      await intake.tell();
      this.#life.signal.throwIfAborted();
    } catch (error) {
      this.#waiters.unshift(...served);
      throw error;
    }
    this.#isListing = false;
    this.#doubt = this.#waiters.length > 0 ? 'asked' : undefined;
    this.#way.succeeded();
    metrics?.informer.lists.inc({ resource: resource.plural, reason: doubt });
    this.#cancelPeriodic?.();
    this.#cancelPeriodic = clock.after(this.#cadence.listed(), () => this.#distrust('periodic'));
    for (const { resolve } of served) {
      resolve();
    }
  }

  async #initial(events: AsyncGenerator<WatchEvent<T>>): Promise<{ intake: Intake<T>; listed: Listed }> {
    const { sink, clock, listTimeoutMs, resource } = this.#o;
    const request = this.#request;
    const late = this.#error('timeout', `the stream has not shown everything within ${listTimeoutMs} ms`);
    const cancel = clock.after(listTimeoutMs, () => request.abort(late));
    const intake = sink.begin();
    try {
      return { intake, listed: await readInitialEvents(resource, events, intake, clock) };
    } finally {
      cancel();
    }
  }

  async #pages(): Promise<{ intake: Intake<T>; listed: Listed }> {
    const { pageSize } = this.#o;
    try {
      return await this.#read(pageSize === undefined ? {} : { limit: pageSize });
    } catch (error) {
      if (!isReason(error, 'gone')) {
        throw error;
      }
      // A compaction between two pages: one whole answer cannot be overtaken by the next.
      return await this.#read({ limit: 0 });
    }
  }

  async #read(page: Pick<ListOptions, 'limit'>): Promise<{ intake: Intake<T>; listed: Listed }> {
    const { client, resource, namespace, fieldSelector, labelSelector, clock, listTimeoutMs, sink } = this.#o;
    const options = { namespace, fieldSelector, labelSelector, ...page };
    const intake = sink.begin();
    const list = { client, resource, options, timeoutMs: listTimeoutMs, signal: this.#request.signal, clock };
    return { intake, listed: await readPages(list, intake) };
  }

  #heard(resourceVersion: string, atMs: number): void {
    this.#resourceVersion = resourceVersion;
    this.#heardAtMs = atMs;
  }
}

/** Whether a watch that ended so can go on from the last revision (undefined) or needs a list first, and why. */
function doubtOf(error: unknown): Doubt | undefined {
  if (isReason(error, 'gone')) {
    return 'gone';
  }
  if (isReason(error, 'timeout')) {
    // A dead peer, or a server restored from a backup: it waits in silence for a revision that is in its future.
    return 'silence';
  }
  const passing = isReason(error, 'throttled', 'serverError', 'unreachable', 'unauthorized', 'forbidden', 'aborted');
  return passing ? undefined : 'confused';
}
