// SPDX-License-Identifier: Apache-2.0
// One kind's objects in the model of a cluster, and the watch that shows them.
import type { KubeObject } from '../../src/api/object.ts';
import type { Created, View, Written } from '../../src/reconcilers/ports.ts';
import type { Change } from '../../src/reconcilers/router.ts';

/** One kind's objects as the API server has them, and as the watch has shown them. */
export class Shelf<T extends KubeObject> implements View<T> {
  readonly live = new Map<string, T>();
  readonly #shown = new Map<string, T>();
  readonly #held: Array<Change<T>> = [];
  #isHeld = false;
  #isLost = false;
  #version = 0;
  readonly #kind: string;
  readonly #tell: (change: Change<T>) => void;

  constructor(kind: string, tell: (change: Change<T>) => void) {
    this.#kind = kind;
    this.#tell = tell;
  }

  get(name: string, namespace?: string): T | undefined {
    return this.#shown.get(keyOf(name, namespace));
  }

  list(): T[] {
    return [...this.#shown.values()];
  }

  /** From now on the watch is silent, until `resume`. */
  hold(): void {
    this.#isHeld = true;
  }

  /** From now on the watch tells nothing, and nothing of this afterwards, until everything is listed anew. */
  lose(): void {
    this.#isLost = true;
  }

  /** A fresh list: what differs from what was shown is told. */
  refresh(): void {
    this.#isLost = false;
    this.#isHeld = false;
    this.#held.splice(0);
    for (const object of this.#shown.values()) {
      const { name, namespace, uid } = object.metadata;
      if (this.live.get(keyOf(name, namespace))?.metadata.uid !== uid) this.#show({ type: 'deleted', object });
    }
    for (const [key, object] of this.live) {
      const old = this.#shown.get(key);
      if (old === undefined) this.#show({ type: 'added', object });
      else if (old !== object) this.#show({ type: 'updated', object, old });
    }
  }

  /** All that was shown is told once more, to somebody new. */
  retell(): void {
    for (const object of this.#shown.values()) this.#tell({ type: 'added', object });
  }

  resume(): void {
    this.#isHeld = false;
    for (const change of this.#held.splice(0)) this.#show(change);
  }

  put(object: T, uid = object.metadata.uid): T {
    this.#version += 1;
    const metadata = {
      ...object.metadata,
      uid: uid ?? `${this.#kind}-${this.#version}`,
      resourceVersion: `${this.#version}`,
    };
    const stored = { ...object, metadata };
    const key = keyOf(metadata.name, metadata.namespace);
    const old = this.live.get(key);
    this.live.set(key, stored);
    this.#change(old === undefined ? { type: 'added', object: stored } : { type: 'updated', object: stored, old });
    return stored;
  }

  remove(name: string, namespace?: string): void {
    const object = this.live.get(keyOf(name, namespace));
    if (object === undefined) throw new Error(`the model has no ${name}`);
    this.live.delete(keyOf(name, namespace));
    this.#change({ type: 'deleted', object });
  }

  create(object: T): Created<T> {
    if (this.live.has(keyOf(object.metadata.name, object.metadata.namespace))) return { outcome: 'alreadyExists' };
    return { outcome: 'created', object: this.put(object, undefined) };
  }

  replace(object: T, change: (live: T) => T): Written {
    const live = this.live.get(keyOf(object.metadata.name, object.metadata.namespace));
    if (live === undefined) return 'gone';
    if (live.metadata.resourceVersion !== object.metadata.resourceVersion) return 'stale';
    this.put(change(live));
    return 'written';
  }

  delete(object: T): Written {
    const live = this.live.get(keyOf(object.metadata.name, object.metadata.namespace));
    if (live === undefined) return 'gone';
    if (live.metadata.resourceVersion !== object.metadata.resourceVersion) return 'stale';
    this.remove(object.metadata.name, object.metadata.namespace);
    return 'written';
  }

  #change(change: Change<T>): void {
    if (this.#isLost) return;
    if (this.#isHeld) this.#held.push(change);
    else this.#show(change);
  }

  #show(change: Change<T>): void {
    const { name, namespace } = change.object.metadata;
    if (change.type === 'deleted') this.#shown.delete(keyOf(name, namespace));
    else this.#shown.set(keyOf(name, namespace), change.object);
    this.#tell(change);
  }
}

function keyOf(name: string, namespace = ''): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
