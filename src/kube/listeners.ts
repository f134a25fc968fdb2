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

/** Who listens. The same function may do so twice. */
interface Listener<T extends KubeObject> {
  readonly handle: InformerHandler<T>;
  isListening: boolean;
}

export class Listeners<T extends KubeObject> {
  /** Never changed in place: who is added while we tell has been shown that object already. */
  #listeners: readonly Listener<T>[] = [];
  readonly #log: Log;
  #hasEnded = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Tells `handle` of what is `present`, then of everything new. The answer ends it. */
  add(handle: InformerHandler<T>, present: readonly T[]): () => void {
    const listener = { handle, isListening: true };
    for (const object of present) {
      this.#tell(listener, { type: 'added', object });
    }
    this.#listeners = [...this.#listeners, listener];
    return () => {
      listener.isListening = false;
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  /** Nobody hears anything from now on, not even the rest of what is being told. */
  end(): void {
    this.#hasEnded = true;
  }

  emit(event: InformerEvent<T>): void {
    for (const listener of this.#listeners) {
      this.#tell(listener, event);
    }
  }

  #tell(listener: Listener<T>, event: InformerEvent<T>): void {
    if (this.#hasEnded || !listener.isListening) {
      return;
    }
    const onError = (error: unknown): void => {
      this.#log.error({ err: error, event: event.type, key: objectKey(event.object) }, 'a handler failed');
    };
    try {
      // An async function passes for a handler in TypeScript; its rejection would end the process.
      const answer: unknown = listener.handle(event);
      if (answer instanceof Promise) {
        answer.catch(onError);
      }
    } catch (error) {
      onError(error);
    }
  }
}
