// SPDX-License-Identifier: Apache-2.0
// A watch as a stream of events, and the ways in which it can end made plain: the server's own end returns, everything
// else throws a KubeError whose reason says what it means. A watch may begin with a whole list (KEP-3157).

import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Clock, realClock } from './clock.ts';
import { type Attempt, KubeError, errorOfAnswer, errorOfTransport } from './errors.ts';
import { type KubeObject, type Resource, resourcePath } from './object.ts';
import type { BodyStream, Transport } from './transport.ts';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

export interface WatchEvent<T extends KubeObject> {
  readonly type: WatchEventType;
  readonly object: T;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  /**
   * Events after this one. Absent: first everything there is, as ADDED, in no order and with later changes among it, up to
   * the bookmark that `endsInitialEvents`; no older than the moment when the server took the request. A server that
   * cannot do it refuses with `invalid`.
   */
  readonly resourceVersion?: string;
  /** When the server ends the watch, in seconds. */
  readonly timeoutSeconds: number;
  /** Bookmarks come about once a minute; a peer silent for longer than this is taken for dead. */
  readonly silenceMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Runs once the server has accepted the watch. */
  readonly onOpen?: () => void;
}

/** The API server keeps objects below 1.5 MB (etcd's limit) and managed fields can double one. */
const MAX_LINE_BYTES = 8 * 1024 * 1024;

/**
 * Watches. Returns when the server ends the stream, as it does after `timeoutSeconds`.
 * @throws KubeError: `gone` where the revision is too old (as a status or as an ERROR event), `timeout` after silence,
 *   `unreachable` when the stream breaks, `aborted` by the signal, and whatever the server refuses with.
 */
export async function* watchEvents<T extends KubeObject>(
  transport: Transport,
  r: Resource<T>,
  options: WatchOptions,
  clock: Clock = realClock,
): AsyncGenerator<WatchEvent<T>> {
  const attempt = { verb: 'watch', target: r.plural };
  const own = new AbortController();
  const onAbort = (): void => {
    const reason: unknown = options.signal?.reason;
    own.abort(reason instanceof KubeError ? reason : new KubeError('aborted', attempt, 'the caller gave up'));
  };
  if (options.signal?.aborted) {
    onAbort();
  }
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const silence = new Silence(clock, options.silenceMs, () => {
    own.abort(new KubeError('timeout', attempt, `the server has been silent for ${options.silenceMs} ms`));
  });
  try {
    silence.broken();
    const path = resourcePath(r, { namespace: options.namespace }) + queryOf(options);
    const body = await transport.open(attempt, { method: 'GET', path }, own.signal);
    options.onOpen?.();
    for await (const line of lines(attempt, body, () => silence.broken())) {
      silence.isHeard = true;
      yield decode<T>(attempt, line);
      silence.isHeard = false;
    }
    // Undici takes the connection back a turn after the answer's end: who watches again at once would connect anew.
    await nextTurn();
  } catch (error) {
    throw own.signal.aborted ? own.signal.reason : errorOfTransport(attempt, error);
  } finally {
    silence.end();
    options.signal?.removeEventListener('abort', onAbort);
    // Frees the connection where the reader stopped early.
    own.abort();
  }
}

/** Whether this bookmark says that everything there is has been sent. Others may come before it. */
export function endsInitialEvents<T extends KubeObject>({ type, object }: WatchEvent<T>): boolean {
  return type === 'BOOKMARK' && object.metadata.annotations?.['k8s.io/initial-events-end'] === 'true';
}

function queryOf(options: WatchOptions): string {
  const query = new URLSearchParams({
    watch: '1',
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(options.timeoutSeconds),
  });
  if (options.resourceVersion === undefined) {
    query.set('sendInitialEvents', 'true');
    query.set('resourceVersionMatch', 'NotOlderThan');
  } else {
    query.set('resourceVersion', options.resourceVersion);
  }
  if (options.fieldSelector !== undefined) {
    query.set('fieldSelector', options.fieldSelector);
  }
  if (options.labelSelector !== undefined) {
    query.set('labelSelector', options.labelSelector);
  }
  return `?${query}`;
}

/** Calls out when nothing was heard for a while. */
class Silence {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #onSilence: () => void;
  #cancel: (() => void) | undefined;
  /** While a reader works on what was heard it is he who is silent, not the server. */
  isHeard = false;

  constructor(clock: Clock, limitMs: number, onSilence: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onSilence = onSilence;
  }

  broken(): void {
    this.#cancel?.();
    this.#cancel = this.#clock.after(this.#limitMs, () => (this.isHeard ? this.broken() : this.#onSilence()));
  }

  end(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

async function* lines(attempt: Attempt, body: BodyStream, onChunk: () => void): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    onChunk();
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const part = chunk.subarray(from, end);
      from = end + 1;
      yield restBytes === 0 ? part.toString('utf8') : Buffer.concat([...rest, part]).toString('utf8');
      rest = [];
      restBytes = 0;
    }
    if (from < chunk.length) {
      rest.push(chunk.subarray(from));
      restBytes += chunk.length - from;
    }
    if (restBytes > MAX_LINE_BYTES) {
      throw new KubeError('unknown', attempt, `an event is longer than ${MAX_LINE_BYTES} bytes`);
    }
  }
  if (restBytes > 0) {
    throw new KubeError('unreachable', attempt, 'the stream ended in the middle of an event');
  }
}

function decode<T extends KubeObject>(attempt: Attempt, line: string): WatchEvent<T> {
  let event: { type?: string; object?: unknown };
  try {
    event = JSON.parse(line) as typeof event;
  } catch (cause) {
    throw new KubeError('unknown', attempt, `an event is no JSON: ${line.slice(0, 80)}`, { cause });
  }
  const { type, object } = event;
  if (type === 'ERROR') {
    throw errorOfAnswer(attempt, 500, object);
  }
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED' && type !== 'BOOKMARK') {
    throw new KubeError('unknown', attempt, `an event has the unknown type ${JSON.stringify(type)}`);
  }
  const { name, resourceVersion } = (object as Partial<KubeObject> | undefined)?.metadata ?? {};
  if (resourceVersion === undefined || (name === undefined && type !== 'BOOKMARK')) {
    throw new KubeError('unknown', attempt, `an event is about no object: ${line.slice(0, 80)}`);
  }
  return { type, object: object as T };
}
