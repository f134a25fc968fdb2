// SPDX-License-Identifier: Apache-2.0
// A mirror of one kind of object. Whatever the API server goes through (refusals, restarts, silence, a forgotten history,
// an older backup), the mirror ends up equal to it and every deletion is told exactly once.

import type { KubeClient, ObjectList } from './client.ts';
import { type Clock, realClock } from './clock.ts';
import { KubeError } from './errors.ts';
import { type InformerHandler, Listeners } from './listeners.ts';
import { type Log, silentLog } from './log.ts';
import type { Metrics } from './metrics.ts';
import { type KubeObject, type Resource, keyOf, objectKey } from './object.ts';
import { Reflector } from './reflector.ts';
import { type IndexFunction, Store } from './store.ts';
import type { WatchEvent } from './watch.ts';

export type { InformerEvent, InformerHandler } from './listeners.ts';

export interface InformerOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
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
  readonly #transform: (object: T) => T;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: Metrics | undefined;
  readonly #store: Store<T>;
  readonly #listeners: Listeners<T>;
  readonly #reflector: Reflector<T>;
  readonly #synced = Promise.withResolvers<void>();
  #hasSynced = false;
  #listedVersion = '';

  constructor(options: InformerOptions<T>) {
    this.#resource = options.resource;
    this.#transform = options.transform ?? ((object) => object);
    this.#clock = options.clock ?? realClock;
    this.#log = (options.log ?? silentLog).child({ informer: options.resource.plural });
    this.#metrics = options.metrics;
    this.#store = new Store(options.indexes);
    this.#listeners = new Listeners(this.#log);
    this.#reflector = new Reflector({
      client: options.client,
      resource: options.resource,
      namespace: options.namespace,
      fieldSelector: options.fieldSelector,
      labelSelector: options.labelSelector,
      sink: { replaced: (list) => this.#replaced(list), happened: (event) => this.#happened(event) },
      relistEveryMs: options.relistEveryMs ?? 600_000,
      silenceMs: options.silenceMs ?? 130_000,
      backoff: options.backoff ?? { baseMs: 500, maxMs: 30_000 },
      clock: this.#clock,
      log: this.#log,
      metrics: options.metrics,
      random: options.random ?? Math.random,
    });
  }

  /** Whether a first list is complete and its handlers have run. It stays true. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** How long ago the server was last heard, in milliseconds; Infinity before the first list. */
  get staleMs(): number {
    return this.#reflector.staleMs;
  }

  /** The newest revision heard of. */
  get resourceVersion(): string {
    return this.#reflector.resourceVersion;
  }

  get size(): number {
    return this.#store.size;
  }

  get(name: string, namespace?: string): T | undefined {
    return this.#store.get(keyOf(name, namespace));
  }

  list(): T[] {
    return this.#store.list();
  }

  /** @throws Error where there is no such index. */
  byIndex(index: string, value: string): T[] {
    return this.#store.byIndex(index, value);
  }

  /** Hears at once of what is there (as 'added'), then of every difference. The answer ends it. */
  on(handler: InformerHandler<T>): () => void {
    return this.#listeners.add(handler, this.#store.list());
  }

  start(): void {
    this.#reflector.start();
  }

  /** Nothing is told any more once this has been called. A stopped informer stays stopped. */
  stop(): Promise<void> {
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

  #replaced(list: ObjectList<T>): void {
    // A server restored from a backup hands out the same revisions for other contents: nothing may be skipped as unchanged.
    const trusted = !isOlder(list.resourceVersion, this.#listedVersion);
    this.#listedVersion = list.resourceVersion;
    const present = new Set<string>();
    for (const object of list.items) {
      present.add(objectKey(object));
    }
    for (const key of this.#store.keys()) {
      if (!present.has(key)) {
        this.#remove(key);
      }
    }
    for (const object of list.items) {
      this.#put(object, trusted);
    }
    this.#gauge();
    this.#hasSynced = true;
    this.#synced.resolve();
  }

  #happened(event: WatchEvent<T>): void {
    if (event.type === 'DELETED') {
      // The last state, as the server sent it, may be newer than ours.
      this.#remove(objectKey(event.object), event.object);
    } else {
      this.#put(event.object, true);
    }
    this.#listedVersion = event.object.metadata.resourceVersion ?? this.#listedVersion;
    this.#gauge();
  }

  #put(received: T, trusted: boolean): void {
    const key = objectKey(received);
    const before = this.#store.get(key);
    const { uid, resourceVersion } = received.metadata;
    if (trusted && before?.metadata.uid === uid && before?.metadata.resourceVersion === resourceVersion) {
      return;
    }
    if (before !== undefined && before.metadata.uid !== uid) {
      // Deleted and made again while we did not look: two objects of one name, and the first one's end counts.
      this.#remove(key);
    }
    const object = this.#strip(received);
    const old = this.#store.put(object);
    this.#listeners.emit(old === undefined ? { type: 'added', object } : { type: 'updated', object, old });
  }

  #remove(key: string, last?: T): void {
    const old = this.#store.remove(key);
    // What we never had, or have told the end of already, ends in silence.
    if (old !== undefined) {
      const object = last === undefined || last.metadata.uid !== old.metadata.uid ? old : this.#strip(last);
      this.#listeners.emit({ type: 'deleted', object });
    }
  }

  #strip(object: T): T {
    try {
      return this.#transform(object);
    } catch (error) {
      this.#log.error({ err: error, key: objectKey(object) }, 'the transform failed; the object is kept whole');
      return object;
    }
  }

  #gauge(): void {
    this.#metrics?.informer.objects.set({ resource: this.#resource.plural }, this.#store.size);
  }
}

/** Revisions are opaque but for order, and that only since KEP-5504; what is no number is not older. */
function isOlder(one: string, other: string): boolean {
  return /^\d+$/.test(one) && /^\d+$/.test(other) && BigInt(one) < BigInt(other);
}
