// SPDX-License-Identifier: Apache-2.0
// Requests over connections that all callers share. A new TLS connection costs twelve times a request on a kept one, so they
// live as long as the certificates do. What the server says about waiting is obeyed here, once for everybody.

import { type Dispatcher, Client, Pool, ProxyAgent } from 'undici';
import type { Access, Credentials } from './auth.ts';
import { type Clock, realClock } from './clock.ts';
import { type Attempt, KubeError, errorOfAnswer, errorOfTransport, isLostConnection } from './errors.ts';
import { type Answer, Exchange } from './exchange.ts';
import { Lanes } from './lanes.ts';
import type { Metrics } from './metrics.ts';

/** Per call: how long it may take in all, retries included, and what ends it early. */
export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Asked before each try, right before it is sent: timers, and so signals, may be late in a process that was paused. */
  readonly mayProceed?: () => boolean;
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
/** At once; more wait, or are watches of a program that has lost count of them. */
const MAX_CALLS = 64;
const MAX_WATCHES = 256;
/** Below the 90 s after which the API server closes a connection itself, maybe just as we write to it. */
const IDLE_CONNECTION_MS = 60_000;

/** The way to the server for as long as the credentials stay the same. */
interface Route {
  readonly access: Access;
  /** For metrics. */
  readonly host: string;
  /** Name, value, name, value: the form that undici takes fastest. */
  readonly headers: readonly string[];
  readonly calls: Lanes;
  /** Connections of their own: watches hold one for minutes, and never wait behind calls for it. */
  readonly watches: Dispatcher;
}

/** HTTP/1.1: over one HTTP/2 connection a lost peer would take every watch and every write down together. */
export function dispatcherOf(access: Access, connections: number): Dispatcher {
  const connect = { ...access.tls, keepAlive: true, keepAliveInitialDelay: 15_000, timeout: 10_000 };
  const options = { allowH2: false, keepAliveTimeout: IDLE_CONNECTION_MS };
  if (access.proxyUrl !== undefined) {
    return new ProxyAgent({ uri: access.proxyUrl, requestTls: access.tls, connections, ...options });
  }
  return connections === 1
    ? new Client(access.origin, { connect, ...options })
    : new Pool(access.origin, { connect, connections, ...options });
}

export class Transport {
  readonly #credentials: Credentials;
  readonly #userAgent: string;
  readonly #metrics: Metrics | undefined;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #route: Route | undefined;

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
      const spentMs = tries === 0 ? 0 : this.#clock.monotonicMs() - startMs;
      try {
        return await this.#once(attempt, request, Math.max(timeoutMs - spentMs, 1), call);
      } catch (error) {
        const waitMs = this.#waitBeforeRetry(error, request, tries);
        const endMs = startMs + timeoutMs;
        if (waitMs === undefined || this.#clock.monotonicMs() + waitMs >= endMs || call.signal?.aborted) {
          throw error;
        }
        await this.#clock.sleep(waitMs, call.signal);
      }
    }
  }

  /** Opens an answer to be read as it comes. The caller reads it to its end or aborts `signal`. */
  async open(attempt: Attempt, request: Request, signal: AbortSignal): Promise<BodyStream> {
    const startMs = this.#clock.monotonicMs();
    const route = await this.#routeFor(attempt);
    if (signal.aborted) {
      // Undici would make a connection to abort the request on.
      throw errorOfTransport(attempt, signal.reason);
    }
    let code = '<error>';
    try {
      // A watch is timed by its silence, through `signal`.
      const options = { ...optionsOf(route, request), signal, headersTimeout: this.#timeoutMs };
      const { statusCode, headers, body } = await route.watches.request(options);
      code = String(statusCode);
      if (statusCode === 200) {
        return body;
      }
      const retryAfter = headers['retry-after'];
      const text = await body.text();
      throw this.#refusal(attempt, {
        status: statusCode,
        retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined,
        text,
      });
    } catch (error) {
      throw errorOfTransport(attempt, error);
    } finally {
      this.#count(request, route.host, code, startMs);
    }
  }

  /** For what is no request of ours. */
  access(): Promise<Access> {
    return this.#credentials.access();
  }

  /** Ends the connections; requests under way are cut. */
  async close(): Promise<void> {
    const route = this.#route;
    this.#route = undefined;
    await Promise.all([route?.calls.destroy(), route?.watches.destroy()]);
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
    // Reading again is harmless; whether a write was done only its author can find out.
    return isLostConnection(error) && request.method === 'GET' && tries === 0 ? 0 : undefined;
  }

  async #once(attempt: Attempt, request: Request, timeoutMs: number, call: CallOptions): Promise<unknown> {
    const { signal, mayProceed = () => true } = call;
    const exchange = new Exchange(() =>
      mayProceed() ? undefined : new KubeError('aborted', attempt, 'the caller may not go on with it any more'),
    );
    const onAbort = (): void =>
      exchange.abort(new KubeError('aborted', attempt, 'the caller gave up', { cause: signal?.reason }));
    const cancel = this.#clock.after(timeoutMs, () =>
      exchange.abort(new KubeError('timeout', attempt, `no answer within ${Math.round(timeoutMs)} ms`)),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted) {
        onAbort();
      }
      const answer = await this.#exchange(attempt, request, exchange);
      if (answer.status < 200 || answer.status > 299) {
        throw this.#refusal(attempt, answer);
      }
      return request.textAllowed === true ? parseOrText(answer.text) : parse(attempt, answer.text);
    } catch (error) {
      throw errorOfTransport(attempt, error);
    } finally {
      cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** The way to the server is part of what the exchange's time is for: a plugin that gives tokens may take long. */
  async #exchange(attempt: Attempt, request: Request, exchange: Exchange): Promise<Answer> {
    const startMs = this.#clock.monotonicMs();
    let host: string | undefined;
    let code = '<error>';
    const send = (route: Route): void => {
      if (!exchange.isAborted) {
        host = route.host;
        if (route.calls.send(optionsOf(route, request), exchange) === 'refused') {
          exchange.abort(new KubeError('throttled', attempt, 'too many calls wait for a connection already'));
        }
      }
    };
    this.#routeFor(attempt)
      .then(send)
      .catch((error: Error) => exchange.abort(error));
    try {
      const answer = await exchange.answer;
      code = String(answer.status);
      return answer;
    } finally {
      if (host !== undefined) {
        this.#count(request, host, code, startMs);
      }
    }
  }

  #count(request: Request, host: string, code: string, startMs: number): void {
    const { method } = request;
    this.#metrics?.client.requests.inc({ code, method, host });
    this.#metrics?.client.seconds.observe({ verb: method, host }, (this.#clock.monotonicMs() - startMs) / 1000);
  }

  #refusal(attempt: Attempt, answer: Answer): KubeError {
    const error = errorOfAnswer(attempt, answer.status, parseOrText(answer.text), answer.retryAfter);
    if (error.reason === 'unauthorized') {
      this.#credentials.distrust();
    }
    return error;
  }

  async #routeFor(attempt: Attempt): Promise<Route> {
    const access = await this.#credentials.access().catch((cause: unknown) => {
      const said = cause instanceof Error ? cause.message : String(cause);
      throw new KubeError('unreachable', attempt, `the credentials cannot be read (${said})`, { cause });
    });
    const former = this.#route;
    if (former?.access === access) {
      return former;
    }
    const named = Object.entries({ accept: 'application/json', 'user-agent': this.#userAgent, ...access.headers });
    const own = { access, host: new URL(access.origin).host, headers: named.flat() };
    // A new token needs no new connection, it travels with each request; a new CA or client certificate does.
    if (former?.access.fingerprint === access.fingerprint) {
      this.#route = { ...former, ...own };
    } else {
      // What is under way on the former ones, watches above all, ends by itself.
      former?.calls.retire();
      former?.watches.close().catch(() => undefined);
      const calls = new Lanes(() => dispatcherOf(access, 1), MAX_CALLS);
      this.#route = { ...own, calls, watches: dispatcherOf(access, MAX_WATCHES) };
    }
    return this.#route;
  }
}

function optionsOf({ access, headers }: Route, request: Request): Dispatcher.DispatchOptions {
  const { method, body, contentType = 'application/json' } = request;
  return {
    origin: access.origin,
    path: access.prefix + request.path,
    method,
    headers: body === undefined ? [...headers] : [...headers, 'content-type', contentType],
    body: body === undefined ? null : JSON.stringify(body),
    // Undici would give up the connection after each DELETE with a body, which is how preconditions travel.
    reset: false,
    // Calls are timed as a whole, by their own timer.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
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
