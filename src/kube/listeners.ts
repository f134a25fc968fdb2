// SPDX-License-Identifier: Apache-2.0
// Who hears of an informer's differences. One handler's exception is that handler's trouble: it is logged, the others
// hear all the same, and the mirror goes on.

import type { Log } from './log.ts';
import { type KubeObject, objectKey } from './object.ts';

export type InformerEvent<T extends KubeObject> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'updated'; readonly object: T; readonly old: T }
  /** `object` is the last state that was seen. */
  | { readonly type: 'deleted'; readonly object: T };

/** Runs in the order of the events and holds up the next one: note the key and return. */
export type InformerHandler<T extends KubeObject> = (event: InformerEvent<T>) => void;

export class Listeners<T extends KubeObject> {
  readonly #handlers = new Set<{ readonly handle: InformerHandler<T> }>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Tells `handle` of what is `present`, then of everything new. The answer ends it. */
  add(handle: InformerHandler<T>, present: readonly T[]): () => void {
    // A wrapper, so that the same function may listen twice.
    const entry = { handle };
    for (const object of present) {
      this.#tell(handle, { type: 'added', object });
    }
    this.#handlers.add(entry);
    return () => this.#handlers.delete(entry);
  }

  emit(event: InformerEvent<T>): void {
    // A copy: who is added while we tell has been shown this object already.
    const listening = Array.from(this.#handlers);
    for (const { handle } of listening) {
      this.#tell(handle, event);
    }
  }

  #tell(handle: InformerHandler<T>, event: InformerEvent<T>): void {
    const onError = (error: unknown): void => {
      this.#log.error({ err: error, event: event.type, key: objectKey(event.object) }, 'a handler failed');
    };
    try {
      // An async function passes for a handler in TypeScript; its rejection would end the process.
      const answer: unknown = handle(event);
      if (answer instanceof Promise) {
        answer.catch(onError);
      }
    } catch (error) {
      onError(error);
    }
  }
}
