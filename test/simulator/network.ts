// SPDX-License-Identifier: Apache-2.0
// The way between Fast's processes and the API server. Nothing moves by itself: each request, each answer and each event
// of a watch lies here until a step of the simulation lets it go on, gets it lost, or has it arrive twice.
import type { CallOptions } from '../../src/kube/client.ts';
import { type Attempt, KubeError, type KubeErrorReason } from '../../src/kube/errors.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import type { WatchEvent, WatchOptions } from '../../src/kube/watch.ts';
import type { WatchCursor } from './history.ts';
import type { Network } from './memory-client.ts';
import type { Process, VirtualTime } from './time.ts';

/** KubeClient's own limit of a call. */
const callTimeoutMs = 30_000;

type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** A call on its way: to the server, or back with the answer. */
export class Message {
  readonly process: Process;
  readonly attempt: Attempt;
  readonly #run: () => unknown;
  readonly #settle: (answer: Answer) => void;
  /** It lies in some buffer until then. */
  notBeforeMs = 0;
  #answer: Answer | undefined;

  constructor(process: Process, attempt: Attempt, run: () => unknown, settle: (answer: Answer) => void) {
    this.process = process;
    this.attempt = attempt;
    this.#run = run;
    this.#settle = settle;
  }

  /** Whether the server has done what was asked. */
  get isAnswer(): boolean {
    return this.#answer !== undefined;
  }

  get isWrite(): boolean {
    return !['get', 'list', 'watch'].includes(this.attempt.verb);
  }

  /** The server does it. */
  arrive(): void {
    try {
      this.#answer = { ok: true, value: this.#run() };
    } catch (error) {
      this.#answer = { ok: false, error };
    }
  }

  /** The same request once more, with nobody to hear the answer. */
  copy(): Message {
    return new Message(this.process, this.attempt, this.#run, () => undefined);
  }

  /** The caller hears of it. */
  deliver(): void {
    if (this.#answer !== undefined) this.#settle(this.#answer);
  }

  /** The caller hears of a failure, whether or not the server did what was asked. */
  fail(reason: KubeErrorReason, said: string): void {
    this.#settle({ ok: false, error: new KubeError(reason, this.attempt, said) });
  }

  toString(): string {
    const { verb, target } = this.attempt;
    return `${this.process.name}: ${this.isAnswer ? 'answer to ' : ''}${verb} ${target}`;
  }
}

/** A watch that the server has accepted. */
export class Stream {
  readonly process: Process;
  readonly attempt: Attempt;
  readonly cursor: WatchCursor;
  /** Nothing comes through before this time. */
  stalledUntilMs = 0;
  #take: PromiseWithResolvers<WatchEvent<KubeObject> | undefined> | undefined;
  #end: { readonly error: KubeError | undefined } | undefined;

  constructor(process: Process, attempt: Attempt, cursor: WatchCursor) {
    this.process = process;
    this.attempt = attempt;
    this.cursor = cursor;
  }

  get canDeliver(): boolean {
    return this.#take !== undefined && this.cursor.hasNext;
  }

  /** The next event; undefined when the server has ended the watch. */
  take(): Promise<WatchEvent<KubeObject> | undefined> {
    this.#take = Promise.withResolvers();
    const { promise } = this.#take;
    if (this.#end !== undefined) this.end(this.#end.error);
    return promise;
  }

  deliver(): WatchEvent<KubeObject> | undefined {
    const event = this.cursor.next();
    const take = this.#take;
    this.#take = undefined;
    take?.resolve(event);
    return event;
  }

  end(error?: KubeError): void {
    this.#end = { error };
    const take = this.#take;
    this.#take = undefined;
    if (error === undefined) take?.resolve(undefined);
    else take?.reject(error);
  }
}

export class SimulatedNetwork {
  readonly #time: VirtualTime;
  /** In the order of their sending. */
  readonly messages: Message[] = [];
  readonly streams: Stream[] = [];
  /** Machines that reach nobody. */
  readonly cut = new Set<string>();

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  /** The network as one process uses it. */
  of(process: Process): Network {
    return {
      call: (attempt, run, options) => this.#call(process, attempt, run, options),
      stream: (attempt, open, options) => this.#stream(process, attempt, open, options),
    };
  }

  /** What may go on now. A request of a dead process may still arrive; an answer finds nobody. */
  movable(): Message[] {
    return this.messages.filter(({ process, isAnswer, notBeforeMs }) => {
      if (this.cut.has(process.machine) || notBeforeMs > this.#time.nowMs) return false;
      return process.runs || (!isAnswer && !process.isPaused);
    });
  }

  readable(): Stream[] {
    return this.streams.filter((stream) => {
      const { process, stalledUntilMs } = stream;
      return process.runs && !this.cut.has(process.machine) && stalledUntilMs <= this.#time.nowMs && stream.canDeliver;
    });
  }

  drop(message: Message): void {
    const at = this.messages.indexOf(message);
    if (at >= 0) this.messages.splice(at, 1);
  }

  /** The connection is lost. */
  break(stream: Stream): void {
    stream.end(new KubeError('unreachable', stream.attempt, 'the connection is lost'));
    this.#forget(stream);
  }

  /** The server starts anew: whatever is under way is lost with its connections. */
  breakAll(): void {
    for (const message of this.messages.splice(0)) message.fail('unreachable', 'the connection is lost');
    for (const stream of this.streams.slice()) this.break(stream);
  }

  /** Forgets what belongs to processes that are no more, but for requests that are on their way. */
  bury(): void {
    for (const message of this.messages.filter((each) => !each.process.isAlive && each.isAnswer)) this.drop(message);
    for (const stream of this.streams.filter((each) => !each.process.isAlive)) this.#forget(stream);
  }

  #forget(stream: Stream): void {
    const at = this.streams.indexOf(stream);
    if (at >= 0) this.streams.splice(at, 1);
  }

  #call<T>(process: Process, attempt: Attempt, run: () => T, { timeoutMs, signal }: CallOptions): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    // What a process that is no more still tries in the moment of its end goes nowhere.
    if (!process.isAlive) return promise;
    const limitMs = timeoutMs ?? callTimeoutMs;
    const settle = (answer: Answer): void => {
      cancel();
      signal?.removeEventListener('abort', onAbort);
      if (answer.ok) resolve(answer.value as T);
      else reject(answer.error);
    };
    const message = new Message(process, attempt, run, settle);
    // The request may be on its way all the same, and arrive when nobody waits any more.
    const onAbort = (): void => message.fail('aborted', 'the caller gave up');
    const cancel = this.#time.after(limitMs, process, () => message.fail('timeout', `no answer within ${limitMs} ms`));
    if (signal?.aborted === true) onAbort();
    else {
      signal?.addEventListener('abort', onAbort, { once: true });
      this.messages.push(message);
    }
    return promise;
  }

  async *#stream(
    process: Process,
    attempt: Attempt,
    open: () => WatchCursor,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<KubeObject>> {
    const { signal, timeoutSeconds, silenceMs } = options;
    const cursor = await this.#call(process, attempt, open, signal === undefined ? {} : { signal });
    options.onOpen?.();
    const stream = new Stream(process, attempt, cursor);
    this.streams.push(stream);
    const onAbort = (): void => stream.end(new KubeError('aborted', attempt, 'the caller gave up'));
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    const cancelEnd = this.#time.after(timeoutSeconds * 1_000, process, () => stream.end());
    const cancelSilence = this.#listen(stream, silenceMs);
    try {
      for (;;) {
        const event = await stream.take();
        if (event === undefined) return;
        yield event;
      }
    } finally {
      cancelEnd();
      cancelSilence();
      signal?.removeEventListener('abort', onAbort);
      this.#forget(stream);
    }
  }

  /**
   * A server that is there sends bookmarks, so that only a network that is cut, or a server that was set back behind the
   * watch's revision, is silent. Looked at twice in the time that silence may last.
   */
  #listen(stream: Stream, silenceMs: number): () => void {
    let silentMs = 0;
    let cancel = (): void => undefined;
    const look = (): void => {
      const isSilent = this.cut.has(stream.process.machine) || stream.cursor.isAhead;
      silentMs = isSilent ? silentMs + silenceMs / 2 : 0;
      if (silentMs > silenceMs) {
        stream.end(new KubeError('timeout', stream.attempt, `the server has been silent for ${silenceMs} ms`));
      } else {
        cancel = this.#time.after(silenceMs / 2, stream.process, look);
      }
    };
    cancel = this.#time.after(silenceMs / 2, stream.process, look);
    return () => cancel();
  }
}
