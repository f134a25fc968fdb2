// SPDX-License-Identifier: Apache-2.0
// Requests over one shared pool of connections. A new TLS connection costs twelve times a request on a kept one, so the
// pool lives as long as the certificates do. What the server says about waiting is obeyed here, once for everybody.

import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import type { Access, Credentials } from './auth.ts';
import { type Clock, realClock } from './clock.ts';
import { type Attempt, KubeError, errorOfAnswer, errorOfTransport } from './errors.ts';
import type { Metrics } from './metrics.ts';

/** Per call: how long it may take in all, retries included, and what ends it early. */
export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query, as the API server knows them. */
  readonly path: string;
  readonly body?: object;
  readonly contentType?: string;
  /** Take an answer that is no JSON as text, as /readyz gives. */
  readonly textAllowed?: boolean;
}

export type BodyStream = Dispatcher.ResponseData['body'];

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_RETRIES = 5;
/** The wait after a 429 that names none. */
const THROTTLED_WAIT_MS = 1000;
/**
 * Calls beyond it queue inside the pool. Undici opens a new connection where an old one's answer has just arrived, so a
 * pool grows up to its limit in the end: the limit is what makes connections few.
 */
const MAX_CONNECTIONS = 64;

/** Watches have a pool of their own: they hold a connection for minutes, and never wait behind calls for one. */
interface Pools {
  readonly fingerprint: string;
  readonly calls: Dispatcher;
  readonly watches: Dispatcher;
}

function makeDispatcher(access: Access): Dispatcher {
  const connect = { ...access.tls, keepAlive: true, keepAliveInitialDelay: 15_000, timeout: 10_000 };
  if (access.proxyUrl !== undefined) {
    return new ProxyAgent({ uri: access.proxyUrl, requestTls: access.tls, connections: MAX_CONNECTIONS });
  }
  // HTTP/1.1: over one HTTP/2 connection a lost peer would take every watch and every write down together.
  return new Agent({ connect, connections: MAX_CONNECTIONS, allowH2: false, keepAliveTimeout: 60_000 });
}

export class Transport {
  readonly #credentials: Credentials;
  readonly #userAgent: string;
  readonly #metrics: Metrics | undefined;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #pools: Pools | undefined;

  constructor(options: {
    credentials: Credentials;
    userAgent: string;
    metrics?: Metrics | undefined;
    clock?: Clock;
    timeoutMs?: number | undefined;
  }) {
    this.#credentials = options.credentials;
    this.#userAgent = options.userAgent;
    this.#metrics = options.metrics;
    this.#clock = options.clock ?? realClock;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /**
   * The parsed answer of one request. 429, and 5xx with Retry-After, are sent again when the server said so.
   * @throws KubeError
   */
  async call(attempt: Attempt, request: Request, call: CallOptions = {}): Promise<unknown> {
    const startMs = this.#clock.monotonicMs();
    const timeoutMs = call.timeoutMs ?? this.#timeoutMs;
    for (let tries = 0; ; tries += 1) {
      const leftMs = timeoutMs - (this.#clock.monotonicMs() - startMs);
      try {
        return await this.#once(attempt, request, Math.max(leftMs, 1), call.signal);
      } catch (error) {
        const waitMs = this.#waitBeforeRetry(error, request, tries);
        const spentMs = this.#clock.monotonicMs() - startMs;
        if (waitMs === undefined || spentMs + waitMs >= timeoutMs || call.signal?.aborted) {
          throw error;
        }
        await this.#clock.sleep(waitMs, call.signal);
      }
    }
  }

  /** Opens an answer to be read as it comes. The caller reads it to its end or aborts `signal`. */
  async open(attempt: Attempt, request: Request, signal: AbortSignal): Promise<BodyStream> {
    const answer = await this.#send(attempt, request, signal, 'watches');
    if (answer.statusCode === 200) {
      return answer.body;
    }
    throw await this.#refusal(attempt, answer);
  }

  /** Ends the connections; requests under way are cut. */
  async close(): Promise<void> {
    const pools = this.#pools;
    this.#pools = undefined;
    await Promise.all([pools?.calls.destroy(), pools?.watches.destroy()]);
  }

  #waitBeforeRetry(error: unknown, request: Request, tries: number): number | undefined {
    if (!(error instanceof KubeError) || tries >= MAX_RETRIES) {
      return undefined;
    }
    if (error.reason === 'unauthorized' && tries === 0) {
      return 0;
    }
    if (error.reason === 'throttled' || (error.status >= 500 && error.retryAfterMs !== undefined)) {
      return error.retryAfterMs ?? THROTTLED_WAIT_MS;
    }
    // A kept connection may have been closed by the other side just as we wrote to it. Reading again is harmless; whether
    // a write was done only its author can find out.
    return error.reason === 'unreachable' && request.method === 'GET' && tries === 0 ? 0 : undefined;
  }

  async #once(attempt: Attempt, request: Request, timeoutMs: number, signal?: AbortSignal): Promise<unknown> {
    const own = new AbortController();
    const onAbort = (): void => own.abort(signal?.reason);
    const cancel = this.#clock.after(timeoutMs, () =>
      own.abort(new KubeError('timeout', attempt, `no answer within ${Math.round(timeoutMs)} ms`)),
    );
    if (signal?.aborted) {
      onAbort();
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const answer = await this.#send(attempt, request, own.signal, 'calls');
      if (answer.statusCode < 200 || answer.statusCode > 299) {
        throw await this.#refusal(attempt, answer);
      }
      const text = await answer.body.text();
      return request.textAllowed === true ? parseOrText(text) : parse(attempt, text);
    } catch (error) {
      throw signal?.aborted
        ? new KubeError('aborted', attempt, 'the caller gave up', { cause: error })
        : errorOfTransport(attempt, error);
    } finally {
      cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #send(
    attempt: Attempt,
    request: Request,
    signal: AbortSignal,
    use: 'calls' | 'watches',
  ): Promise<Dispatcher.ResponseData> {
    const startMs = this.#clock.monotonicMs();
    const access = await this.#credentials.access();
    const host = new URL(access.origin).host;
    const headers: Record<string, string> = {
      accept: 'application/json',
      'user-agent': this.#userAgent,
      ...access.headers,
    };
    if (request.body !== undefined) {
      headers['content-type'] = request.contentType ?? 'application/json';
    }
    try {
      const answer = await this.#pool(access, use).request({
        origin: access.origin,
        path: access.prefix + request.path,
        method: request.method,
        headers,
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal,
        // Calls are timed as a whole and watches by their silence, both by `signal`.
        headersTimeout: use === 'watches' ? this.#timeoutMs : 0,
        bodyTimeout: 0,
      });
      this.#metrics?.client.requests.inc({ code: String(answer.statusCode), method: request.method, host });
      return answer;
    } catch (error) {
      this.#metrics?.client.requests.inc({ code: '<error>', method: request.method, host });
      throw errorOfTransport(attempt, error);
    } finally {
      this.#metrics?.client.seconds.observe({ verb: attempt.verb, host }, (this.#clock.monotonicMs() - startMs) / 1000);
    }
  }

  async #refusal(attempt: Attempt, answer: Dispatcher.ResponseData): Promise<KubeError> {
    const text = await answer.body.text();
    const retryAfter = answer.headers['retry-after'];
    const error = errorOfAnswer(
      attempt,
      answer.statusCode,
      parseOrText(text),
      typeof retryAfter === 'string' ? retryAfter : undefined,
    );
    if (error.reason === 'unauthorized') {
      this.#credentials.distrust();
    }
    return error;
  }

  /** A new token needs no new connection, it travels with each request; a new CA or client certificate does. */
  #pool(access: Access, use: 'calls' | 'watches'): Dispatcher {
    if (this.#pools?.fingerprint !== access.fingerprint) {
      // What is under way on the former ones, watches above all, ends by itself.
      this.#pools?.calls.close().catch(() => undefined);
      this.#pools?.watches.close().catch(() => undefined);
      const { fingerprint } = access;
      this.#pools = { fingerprint, calls: makeDispatcher(access), watches: makeDispatcher(access) };
    }
    return this.#pools[use];
  }
}

function parse(attempt: Attempt, text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch (cause) {
    throw new KubeError('unreachable', attempt, `the answer is no JSON: ${text.slice(0, 80)}`, { cause });
  }
}

function parseOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
