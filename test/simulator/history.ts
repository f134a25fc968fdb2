// SPDX-License-Identifier: Apache-2.0
// What watches are served from: the changes of each kind in the order of their revisions, as far back as is remembered.
import type { KubeObject } from '../../src/kube/object.ts';
import type { WatchEvent } from '../../src/kube/watch.ts';
import type { Matches } from './selectors.ts';

export interface Entry {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  readonly old: KubeObject | undefined;
}

export class History {
  readonly #entries = new Map<string, Entry[]>();
  /** A watch from before this is refused. */
  #since = 0;
  #newest = 0;

  add(plural: string, entry: Entry): void {
    this.#newest = entry.revision;
    this.#of(plural).push(entry);
  }

  /** As after a compaction: watches that are open go on, and no new one begins before `since`. */
  forget(since: number): void {
    this.#since = since;
    this.#newest = Math.max(this.#newest, since);
  }

  /** What came after `revision` has never been. */
  rewind(revision: number): void {
    this.#since = revision;
    this.#newest = revision;
    this.#entries.clear();
  }

  /** undefined where what came after `revision` is forgotten. */
  after(plural: string, revision: number, matches: Matches): WatchCursor | undefined {
    return revision < this.#since
      ? undefined
      : new WatchCursor(this.#of(plural), revision, matches, () => this.#newest);
  }

  #of(plural: string): Entry[] {
    const entries = this.#entries.get(plural) ?? [];
    this.#entries.set(plural, entries);
    return entries;
  }
}

/** A reader's place in the history of one kind. */
export class WatchCursor {
  readonly #entries: readonly Entry[];
  readonly #matches: Matches;
  readonly #after: number;
  readonly #newest: () => number;
  #at = 0;

  constructor(entries: readonly Entry[], after: number, matches: Matches, newest: () => number) {
    this.#entries = entries;
    this.#after = after;
    this.#matches = matches;
    this.#newest = newest;
    // Most readers begin at the end.
    if ((entries.at(-1)?.revision ?? 0) <= after) this.#at = entries.length;
  }

  /** Whether it waits for a revision that the server has not come to yet: until then it hears no bookmark either. */
  get isAhead(): boolean {
    return this.#after > this.#newest();
  }

  /** Whether `next` has an event. */
  get hasNext(): boolean {
    for (let entry = this.#entries[this.#at]; entry !== undefined; entry = this.#entries[this.#at]) {
      if (entry.revision > this.#after && this.#eventOf(entry) !== undefined) return true;
      this.#at += 1;
    }
    return false;
  }

  next(): WatchEvent<KubeObject> | undefined {
    const entry = this.hasNext ? this.#entries[this.#at] : undefined;
    this.#at += 1;
    return entry === undefined ? undefined : this.#eventOf(entry);
  }

  /**
   * A change as this reader sees it: what enters its selection is added, what leaves it is deleted (apiserver's cacher,
   * `convertToWatchEvent`); a deletion shows the former state under the new revision.
   */
  #eventOf({ type, object, old }: Entry): WatchEvent<KubeObject> | undefined {
    const isIn = type !== 'DELETED' && this.#matches(object);
    const wasIn = old !== undefined && this.#matches(old);
    if (isIn) return { type: wasIn ? 'MODIFIED' : 'ADDED', object };
    if (!wasIn) return undefined;
    const { resourceVersion = '' } = object.metadata;
    return { type: 'DELETED', object: { ...old, metadata: { ...old.metadata, resourceVersion } } };
  }
}
