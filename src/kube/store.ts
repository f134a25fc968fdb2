// SPDX-License-Identifier: Apache-2.0
// What an informer knows, by key and by index. A question on the hot path is a lookup here and never a request.

import { type KubeObject, objectKey } from './object.ts';

/** Answers the values under which an object is found; none keeps it out of the index. */
export type IndexFunction<T> = (object: T) => readonly string[];

export class Store<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #functions: Readonly<Record<string, IndexFunction<T>>>;
  /** index → value → keys. Holds exactly what the functions say of the objects in #objects. */
  readonly #indexes = new Map<string, Map<string, Set<string>>>();

  constructor(indexes: Readonly<Record<string, IndexFunction<T>>> = {}) {
    this.#functions = indexes;
    for (const index of Object.keys(indexes)) {
      this.#indexes.set(index, new Map());
    }
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  keys(): string[] {
    return [...this.#objects.keys()];
  }

  /** @throws Error for an index that does not exist: a spelling mistake must not read as "nothing found". */
  byIndex(index: string, value: string): T[] {
    const values = this.#indexes.get(index);
    if (values === undefined) {
      throw new Error(`no index "${index}"; there are: ${[...this.#indexes.keys()].join(', ') || 'none'}`);
    }
    const found: T[] = [];
    for (const key of values.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) {
        found.push(object);
      }
    }
    return found;
  }

  /** Puts an object in its place; answers what was there. */
  put(object: T): T | undefined {
    const key = objectKey(object);
    const old = this.#objects.get(key);
    if (old !== undefined) {
      this.#unindex(key, old);
    }
    this.#objects.set(key, object);
    for (const [index, values] of this.#indexes) {
      for (const value of this.#functions[index]?.(object) ?? []) {
        const keys = values.get(value);
        if (keys === undefined) {
          values.set(value, new Set([key]));
        } else {
          keys.add(key);
        }
      }
    }
    return old;
  }

  /** Takes an object out; answers it. */
  remove(key: string): T | undefined {
    const old = this.#objects.get(key);
    if (old !== undefined) {
      this.#unindex(key, old);
      this.#objects.delete(key);
    }
    return old;
  }

  #unindex(key: string, old: T): void {
    for (const [index, values] of this.#indexes) {
      for (const value of this.#functions[index]?.(old) ?? []) {
        const keys = values.get(value);
        keys?.delete(key);
        if (keys?.size === 0) {
          values.delete(value);
        }
      }
    }
  }
}
