// SPDX-License-Identifier: Apache-2.0
// A mirror of one kind of object. Whatever the API server goes through (refusals, restarts, silence, a forgotten history,
// an older backup), the mirror ends up equal to it and every deletion is told exactly once.

import type { KubeClient } from './client.ts';
import { type Clock, realClock } from './clock.ts';
import { KubeError } from './errors.ts';
import type { InformerHandler } from './listeners.ts';
import type { Intake } from './listing.ts';
import { type Log, silentLog } from './log.ts';
import type { Metrics } from './metrics.ts';
import { Mirror } from './mirror.ts';
import { type KubeObject, type Resource, keyOf } from './object.ts';
import { Reflector } from './reflector.ts';
import type { IndexFunction } from './store.ts';
import type { WatchEvent } from './watch.ts';

export type { InformerEvent, InformerHandler } from './listeners.ts';

export interface InformerOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, 'pages' | 'watch'>;
  readonly resource: Resource<T>;
  readonly namespace?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Strips what nobody reads. It must leave metadata's name, namespace, uid and resourceVersion. */
  readonly transform?: (object: T) => T;
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
  /** A fresh list this often settles doubt about what the watch told; 10 minutes if absent. */
  readonly relistEveryMs?: number;
  /** A watch without a word for this long is given up; bookmarks come every minute. 130 s if absent. */
  readonly silenceMs?: number;
  /** How long a page of a list may take, or a streamed list in all; 60 s if absent. */
  readonly listTimeoutMs?: number;
  /** Objects per page where the server cannot stream its lists; 500 if absent. */
  readonly pageSize?: number;
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  readonly metrics?: Metrics | undefined;
  /** A number in [0, 1), for jitter. */
  readonly random?: () => number;
}

/** The objects that it hands out belong to all its readers: nobody changes them. */
export class Informer<T extends KubeObject> {
  readonly #resource: Resource<T>;
  readonly #clock: Clock;
  readonly #metrics: Metrics | undefined;
  readonly #mirror: Mirror<T>;
  readonly #reflector: Reflector<T>;
  readonly #synced = Promise.withResolvers<void>();
  #hasSynced = false;

  constructor(options: InformerOptions<T>) {
    const log = (options.log ?? silentLog).child({ informer: options.resource.plural });
    this.#resource = options.resource;
    this.#clock = options.clock ?? realClock;
    this.#metrics = options.metrics;
    this.#mirror = new Mirror({
      transform: options.transform ?? ((object) => object),
      indexes: options.indexes ?? {},
      clock: this.#clock,
      log,
    });
    this.#reflector = new Reflector({
      client: options.client,
      resource: options.resource,
      namespace: options.namespace,
      fieldSelector: options.fieldSelector,
      labelSelector: options.labelSelector,
      sink: { begin: () => this.#begin(), happened: (event) => this.#happened(event) },
      pageSize: options.pageSize,
      listTimeoutMs: options.listTimeoutMs ?? 60_000,
      relistEveryMs: options.relistEveryMs ?? 600_000,
      silenceMs: options.silenceMs ?? 130_000,
      backoff: options.backoff ?? { baseMs: 500, maxMs: 30_000 },
      clock: this.#clock,
      log,
      metrics: options.metrics,
      random: options.random ?? Math.random,
    });
  }

  /** Whether a first list is complete and its handlers have run. It stays true. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** How long ago the server said something that we show, in milliseconds; Infinity before the first list. */
  get staleMs(): number {
    return this.#reflector.staleMs;
  }

  /** The newest revision heard of. */
  get resourceVersion(): string {
    return this.#reflector.resourceVersion;
  }

  get size(): number {
    return this.#mirror.store.size;
  }

  get(name: string, namespace?: string): T | undefined {
    return this.#mirror.store.get(keyOf(name, namespace));
  }

  list(): T[] {
    return this.#mirror.store.list();
  }

  /** @throws Error where there is no such index. */
  byIndex(index: string, value: string): T[] {
    return this.#mirror.store.byIndex(index, value);
  }

  /** Hears at once of what is there (as 'added'), then of every difference. The answer ends it. */
  on(handler: InformerHandler<T>): () => void {
    return this.#mirror.on(handler);
  }

  start(): void {
    this.#reflector.start();
  }

  /** Nothing is told any more once this has been called. A stopped informer stays stopped. */
  stop(): Promise<void> {
    this.#mirror.stop();
    return this.#reflector.stop();
  }

  /** Resolves once hasSynced. @throws KubeError `timeout` */
  async synced(timeoutMs = 30_000): Promise<void> {
    const inTime = new AbortController();
    const late = this.#clock.sleep(timeoutMs, inTime.signal).then(() => 'late');
    const first = await Promise.race([this.#synced.promise, late]);
    inTime.abort();
    if (first === 'late') {
      const attempt = { verb: 'list', target: this.#resource.plural };
      throw new KubeError('timeout', attempt, `no complete list within ${timeoutMs} ms; see the log for the reason`);
    }
  }

  /** Resolves when a consistent list that began after this call is in the store, its differences told as events. */
  relist(): Promise<void> {
    return this.#reflector.relist();
  }

  #begin(): Intake<T> {
    const replacement = this.#mirror.begin();
    return {
      take: (objects) => replacement.take(objects),
      drop: (object) => replacement.drop(object),
      tell: async () => {
        await replacement.tell();
        this.#gauge();
        if (!this.#mirror.isStopped) {
          this.#hasSynced = true;
          this.#synced.resolve();
        }
      },
    };
  }

  #happened(event: WatchEvent<T>): void {
    this.#mirror.happened(event);
    this.#gauge();
  }

  #gauge(): void {
    this.#metrics?.informer.objects.set({ resource: this.#resource.plural }, this.#mirror.store.size);
  }
}
