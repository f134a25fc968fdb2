// SPDX-License-Identifier: Apache-2.0
// One request and the whole of its answer. Nearly every answer of an API server is one small JSON text: a stream, its
// abort signal and its asynchronous context would cost as much of our time as the request itself.

import type { Dispatcher } from 'undici';

export interface Answer {
  /** The HTTP status. */
  readonly status: number;
  /** The header Retry-After, as it came. */
  readonly retryAfter: string | undefined;
  readonly text: string;
}

type Headers = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2];

/** Hand it to `dispatch` and await `answer`, which rejects with the error of the connection or the reason of abort(). */
export class Exchange implements Dispatcher.DispatchHandler {
  /** Runs when the connection has nothing more to do with it. */
  onEnd: () => void = () => undefined;
  readonly #end = Promise.withResolvers<Answer>();
  readonly #chunks: Buffer[] = [];
  readonly #mayStart: () => Error | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #aborted: Error | undefined;
  #status = 0;
  #retryAfter: string | undefined;

  /** `mayStart` is asked when it has its connection, right before it is written: it may have waited for one. */
  constructor(mayStart: () => Error | undefined = () => undefined) {
    this.#mayStart = mayStart;
  }

  get answer(): Promise<Answer> {
    return this.#end.promise;
  }

  /** Whether abort() was called. */
  get isAborted(): boolean {
    return this.#aborted !== undefined;
  }

  /** Ends it now. A request on its way takes its connection along: nobody will read what comes over it. */
  abort(reason: Error): void {
    this.#aborted ??= reason;
    this.#end.reject(reason);
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#aborted ??= this.#mayStart();
    if (this.#aborted !== undefined) {
      // It gave up while it waited for a connection. Thrown here, its turn passes to the next; controller.abort() would
      // cut the connection that it was just given.
      throw this.#aborted;
    }
    this.#controller = controller;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.#status = status;
    const retryAfter = headers['retry-after'];
    this.#retryAfter = typeof retryAfter === 'string' ? retryAfter : undefined;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [first] = this.#chunks;
    const bytes = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    this.onEnd();
    this.#end.resolve({ status: this.#status, retryAfter: this.#retryAfter, text: bytes.toString('utf8') });
  }

  /** Without a controller where the request never started. */
  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#end.reject(error);
    // Undici tells it in the middle of putting the connection away, no time to give it the next request.
    queueMicrotask(this.onEnd);
  }
}
