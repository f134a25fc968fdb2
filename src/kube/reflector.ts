// SPDX-License-Identifier: Apache-2.0
// The loop of list and watch: a list, then the changes since that list, for ever. It knows for every way in which a watch
// can end whether the next step may go on from there or has to begin with a list, and how long to wait before it.
// It never gives up and never spins.

import { Backoff } from './backoff.ts';
import type { KubeClient, ObjectList } from './client.ts';
import type { Clock } from './clock.ts';
import { KubeError, isReason } from './errors.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { KubeObject, Resource } from './object.ts';
import type { WatchEvent } from './watch.ts';

/** Where the loop puts what it hears. Both run at once and do not throw. */
export interface Sink<T extends KubeObject> {
  /** Everything there is. */
  replaced(list: ObjectList<T>): void;
  happened(event: WatchEvent<T>): void;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly resource: Resource<T>;
  readonly namespace: string | undefined;
  readonly fieldSelector: string | undefined;
  readonly labelSelector: string | undefined;
  readonly sink: Sink<T>;
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
/** client-go's range: the server ends a watch after 5 to 10 minutes, so that connections spread over replicas again. */
const WATCH_SECONDS = 300;
const LIST_TIMEOUT_MS = 60_000;

export class Reflector<T extends KubeObject> {
  readonly #o: ReflectorOptions<T>;
  readonly #backoff: Backoff;
  readonly #life = new AbortController();
  /** Set while a list has to come before the next watch. */
  #doubt: Doubt | undefined = 'start';
  /** Calls of relist() for which no list has begun. */
  #waiters: Waiter[] = [];
  #watch: AbortController | undefined;
  #running: Promise<void> | undefined;
  #cancelPeriodic: (() => void) | undefined;
  #resourceVersion = '';
  #heardAtMs: number | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#o = options;
    this.#backoff = new Backoff({ ...options.backoff, random: options.random });
  }

  /** The newest revision heard of. */
  get resourceVersion(): string {
    return this.#resourceVersion;
  }

  /** How long ago the server was last heard, in milliseconds; Infinity before the first list. */
  get staleMs(): number {
    return this.#heardAtMs === undefined ? Number.POSITIVE_INFINITY : this.#o.clock.monotonicMs() - this.#heardAtMs;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#life.abort();
    this.#watch?.abort();
    this.#cancelPeriodic?.();
    await this.#running;
    this.#turnAway();
  }

  /** Resolves when a list that began after this call has reached the sink. @throws KubeError `aborted` by stop() */
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

  #distrust(doubt: Doubt): void {
    this.#doubt ??= doubt;
    this.#watch?.abort();
  }

  #turnAway(): void {
    const attempt = { verb: 'list', target: this.#o.resource.plural };
    for (const { reject } of this.#waiters.splice(0)) {
      reject(new KubeError('aborted', attempt, 'the informer has stopped'));
    }
  }

  async #run(): Promise<void> {
    while (!this.#life.signal.aborted) {
      const waitMs = await this.#step();
      if (waitMs > 0) {
        await this.#o.clock.sleep(waitMs, this.#life.signal);
      }
    }
  }

  /** One list or one watch. Answers how long to wait before the next. */
  async #step(): Promise<number> {
    const { clock } = this.#o;
    const startMs = clock.monotonicMs();
    try {
      if (this.#doubt !== undefined) {
        await this.#listOnce(this.#doubt);
        return 0;
      }
      await this.#watchOnce();
      return clock.monotonicMs() - startMs < HEALTHY_WATCH_MS ? this.#backoff.next() : this.#rested();
    } catch (error) {
      if (this.#life.signal.aborted || (this.#doubt !== undefined && isReason(error, 'aborted'))) {
        return 0;
      }
      if (clock.monotonicMs() - startMs >= HEALTHY_WATCH_MS) {
        this.#rested();
      }
      this.#doubt ??= doubtOf(error);
      const waitMs = this.#backoff.next(error instanceof KubeError ? error.retryAfterMs : 0);
      this.#o.log.warn(
        { err: error, waitMs: Math.round(waitMs), next: this.#doubt ?? 'watch' },
        'a watch or list ended',
      );
      return waitMs;
    }
  }

  #rested(): number {
    this.#backoff.reset();
    return 0;
  }

  async #listOnce(doubt: Doubt): Promise<void> {
    const { resource, sink, clock, metrics, relistEveryMs, random } = this.#o;
    const served = this.#waiters.splice(0);
    try {
      const list = await this.#fetch();
      // Between the answer and here a stop may have come; a stopped informer tells nothing.
      if (this.#life.signal.aborted) {
        throw new KubeError('aborted', { verb: 'list', target: resource.plural }, 'the informer has stopped');
      }
      this.#heard(list.resourceVersion);
      this.#doubt = this.#waiters.length > 0 ? 'asked' : undefined;
      metrics?.informer.lists.inc({ resource: resource.plural, reason: doubt });
      sink.replaced(list);
    } catch (error) {
      this.#waiters.unshift(...served);
      throw error;
    }
    this.#cancelPeriodic?.();
    this.#cancelPeriodic = clock.after(relistEveryMs * (0.9 + random() / 5), () => this.#distrust('periodic'));
    for (const { resolve } of served) {
      resolve();
    }
  }

  async #fetch(): Promise<ObjectList<T>> {
    const { client, resource, namespace, fieldSelector, labelSelector } = this.#o;
    const call = { timeoutMs: LIST_TIMEOUT_MS, signal: this.#life.signal };
    const options = { namespace, fieldSelector, labelSelector };
    try {
      return await client.list(resource, options, call);
    } catch (error) {
      if (!isReason(error, 'gone')) {
        throw error;
      }
      // A compaction between two pages: one whole answer cannot be overtaken by the next.
      return await client.list(resource, { ...options, limit: 0 }, call);
    }
  }

  async #watchOnce(): Promise<void> {
    const { client, resource, namespace, fieldSelector, labelSelector, sink, silenceMs, metrics, random } = this.#o;
    this.#watch = new AbortController();
    try {
      const events = client.watch(resource, {
        namespace,
        fieldSelector,
        labelSelector,
        resourceVersion: this.#resourceVersion,
        timeoutSeconds: Math.round(WATCH_SECONDS * (1 + random())),
        silenceMs,
        signal: this.#watch.signal,
        onOpen: () => this.#heard(this.#resourceVersion),
      });
      for await (const event of events) {
        if (this.#watch.signal.aborted) {
          return;
        }
        this.#heard(event.object.metadata.resourceVersion ?? this.#resourceVersion);
        metrics?.informer.events.inc({ resource: resource.plural, type: event.type });
        if (event.type !== 'BOOKMARK') {
          sink.happened(event);
        }
      }
    } finally {
      this.#watch = undefined;
    }
  }

  #heard(resourceVersion: string): void {
    this.#resourceVersion = resourceVersion;
    this.#heardAtMs = this.#o.clock.monotonicMs();
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
