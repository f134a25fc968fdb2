// SPDX-License-Identifier: Apache-2.0
// What an informer holds of the API server, and how a list or an event changes it: whatever comes in, the store and the
// words to the handlers change together, so that a handler that joins in between neither misses an object nor hears of
// it twice.

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from './clock.ts';
import { type InformerHandler, Listeners } from './listeners.ts';
import type { Log } from './log.ts';
import { type KubeObject, objectKey } from './object.ts';
import { Slices } from './slices.ts';
import { type IndexFunction, Store } from './store.ts';
import type { WatchEvent } from './watch.ts';

export interface MirrorOptions<T extends KubeObject> {
  readonly transform: (object: T) => T;
  readonly indexes: Readonly<Record<string, IndexFunction<T>>>;
  readonly clock: Clock;
  readonly log: Log;
}

export class Mirror<T extends KubeObject> {
  readonly store: Store<T>;
  readonly #o: MirrorOptions<T>;
  readonly #listeners: Listeners<T>;
  #isStopped = false;

  constructor(options: MirrorOptions<T>) {
    this.#o = options;
    this.#listeners = new Listeners(options.log);
    const guarded = Object.entries(options.indexes).map(([name, index]) => [name, this.#guard(name, index)] as const);
    this.store = new Store(Object.fromEntries(guarded));
  }

  /** Hears at once of what is there (as 'added'), then of every difference. The answer ends it. */
  on(handler: InformerHandler<T>): () => void {
    return this.#listeners.add(handler, this.store.list());
  }

  /** Nothing is told any more, also out of a list that is half told. */
  stop(): void {
    this.#isStopped = true;
    this.#listeners.end();
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Takes a list. Until it is complete nothing changes; no event may happen before it is told or forgotten. */
  begin(): Replacement<T> {
    return new Replacement(this, this.#o.clock);
  }

  /** One event out of the watch. */
  happened({ type, object }: WatchEvent<T>): void {
    if (type === 'DELETED') {
      // The last state, as the server sent it, may be newer than ours.
      this.remove(objectKey(object), object);
    } else if (type !== 'BOOKMARK') {
      const news = this.news(object);
      if (news !== undefined) {
        this.put(news);
      }
    }
  }

  /**
   * The object as it would be kept, or undefined where we have just that. An equal revision proves nothing: a server
   * restored from a backup gives it out again for other contents.
   */
  news(received: T): T | undefined {
    const object = this.#strip(received);
    const before = this.store.get(objectKey(received));
    const { uid, resourceVersion } = received.metadata;
    const isSame = before?.metadata.uid === uid && before?.metadata.resourceVersion === resourceVersion;
    return isSame && isDeepStrictEqual(before, object) ? undefined : object;
  }

  /** Takes over what `news` answered, and tells. */
  put(object: T): void {
    const key = objectKey(object);
    const before = this.store.get(key);
    if (before !== undefined && before.metadata.uid !== object.metadata.uid) {
      // Deleted and made again while we did not look: two objects of one name, and the first one's end counts.
      this.remove(key);
    }
    const old = this.store.put(object);
    this.#listeners.emit(old === undefined ? { type: 'added', object } : { type: 'updated', object, old });
  }

  /** Takes it out and tells, with `last` as the last state if it is that object's. */
  remove(key: string, last?: T): void {
    const old = this.store.remove(key);
    // What we never had, or have told the end of already, ends in silence.
    if (old !== undefined) {
      const object = last === undefined || last.metadata.uid !== old.metadata.uid ? old : this.#strip(last);
      this.#listeners.emit({ type: 'deleted', object });
    }
  }

  #strip(object: T): T {
    try {
      return this.#o.transform(object);
    } catch (error) {
      this.#o.log.error({ err: error, key: objectKey(object) }, 'the transform failed; the object is kept whole');
      return object;
    }
  }

  /** One object that an index cannot read must not keep the informer from all the others. */
  #guard(name: string, index: IndexFunction<T>): IndexFunction<T> {
    return (object) => {
      try {
        return index(object);
      } catch (error) {
        this.#o.log.error({ err: error, index: name, key: objectKey(object) }, 'an index failed; it lacks the object');
        return [];
      }
    };
  }
}

/**
 * A list on its way into the mirror. Each part is stripped and compared as it comes, and what we have already is let go:
 * the whole list in full never lives at once. Nothing is told before the list is complete.
 */
export class Replacement<T extends KubeObject> {
  readonly #mirror: Mirror<T>;
  readonly #clock: Clock;
  /** What the mirror holds and the list has not named. */
  readonly #missing: Set<string>;
  /** What the list has and the mirror has not, or not so. */
  readonly #news = new Map<string, T>();

  constructor(mirror: Mirror<T>, clock: Clock) {
    this.#mirror = mirror;
    this.#clock = clock;
    this.#missing = new Set(mirror.store.keys());
  }

  /** A part of the list, or what was created or changed while the list was streamed. */
  take(objects: readonly T[]): void {
    for (const object of objects) {
      const key = objectKey(object);
      const news = this.#mirror.news(object);
      this.#missing.delete(key);
      if (news === undefined) {
        this.#news.delete(key);
      } else {
        this.#news.set(key, news);
      }
    }
  }

  /** An object that was deleted while the list was streamed. */
  drop(object: T): void {
    const key = objectKey(object);
    this.#news.delete(key);
    if (this.#mirror.store.get(key) !== undefined) {
      this.#missing.add(key);
    }
  }

  /** The list is complete: tells the differences, in slices. What is left when the mirror is stopped stays untold. */
  async tell(): Promise<void> {
    const slices = new Slices(this.#clock);
    for (const key of this.#missing) {
      if (slices.isSpent) await slices.rest();
      if (this.#mirror.isStopped) return;
      this.#mirror.remove(key);
    }
    for (const object of this.#news.values()) {
      if (slices.isSpent) await slices.rest();
      if (this.#mirror.isStopped) return;
      this.#mirror.put(object);
    }
  }
}
