// SPDX-License-Identifier: Apache-2.0
// What can go wrong between us and the API server, as a table of words. Callers ask for the word; the message tells a
// person what was tried, on what, and what the server said.

export type KubeErrorReason =
  | 'notFound'
  | 'conflict'
  | 'alreadyExists'
  | 'gone'
  | 'forbidden'
  | 'unauthorized'
  | 'invalid'
  | 'badRequest'
  | 'throttled'
  | 'timeout'
  | 'serverError'
  | 'unreachable'
  | 'aborted'
  | 'unknown';

/** metav1.StatusCause: one field of an object that the server refused, and why. */
export interface StatusCause {
  readonly field?: string;
  readonly message?: string;
  readonly reason?: string;
}

/** metav1.Status, as far as we read it. */
export interface Status {
  readonly kind?: string;
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly StatusCause[]; readonly retryAfterSeconds?: number };
}

/** Which request it was: `create`, `pods default/web-0`. */
export interface Attempt {
  readonly verb: string;
  readonly target: string;
}

/** Any failed request. `status` is the HTTP status, 0 where no answer came. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly reason: KubeErrorReason;
  readonly status: number;
  readonly verb: string;
  readonly target: string;
  /** How long the server asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  readonly details?: Status['details'];

  constructor(
    reason: KubeErrorReason,
    attempt: Attempt,
    said: string,
    more: { status?: number; retryAfterMs?: number | undefined; details?: Status['details']; cause?: unknown } = {},
  ) {
    super(`cannot ${attempt.verb} ${attempt.target}: ${said}`, more.cause === undefined ? {} : { cause: more.cause });
    this.reason = reason;
    this.status = more.status ?? 0;
    this.verb = attempt.verb;
    this.target = attempt.target;
    if (more.retryAfterMs !== undefined) {
      this.retryAfterMs = more.retryAfterMs;
    }
    if (more.details !== undefined) {
      this.details = more.details;
    }
  }

  get causes(): readonly StatusCause[] {
    return this.details?.causes ?? [];
  }
}

export function isReason(error: unknown, ...reasons: KubeErrorReason[]): boolean {
  return error instanceof KubeError && reasons.includes(error.reason);
}

/** Whether the same request may well succeed later, unchanged. */
export function isPassing(error: unknown): boolean {
  return isReason(error, 'throttled', 'timeout', 'serverError', 'unreachable');
}

const LOST_CODES = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** Whether a connection ended under the request: the other side may have closed it just as we wrote. */
export function isLostConnection(error: unknown): boolean {
  return isReason(error, 'unreachable') && LOST_CODES.has(codeOf((error as KubeError).cause) ?? '');
}

/** Status.reason, the server's own word, comes first: 409 is a conflict for one and a name that is taken for another. */
const BY_WORD: Readonly<Record<string, KubeErrorReason>> = {
  NotFound: 'notFound',
  AlreadyExists: 'alreadyExists',
  Conflict: 'conflict',
  Gone: 'gone',
  Expired: 'gone',
  Forbidden: 'forbidden',
  Unauthorized: 'unauthorized',
  Invalid: 'invalid',
  BadRequest: 'badRequest',
  TooManyRequests: 'throttled',
  Timeout: 'timeout',
  ServerTimeout: 'timeout',
  InternalError: 'serverError',
  ServiceUnavailable: 'serverError',
};

const BY_STATUS: Readonly<Record<number, KubeErrorReason>> = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'notFound',
  408: 'timeout',
  409: 'conflict',
  410: 'gone',
  422: 'invalid',
  429: 'throttled',
  504: 'timeout',
};

export function reasonOf(httpStatus: number, word?: string): KubeErrorReason {
  const byWord = word === undefined ? undefined : BY_WORD[word];
  return byWord ?? BY_STATUS[httpStatus] ?? (httpStatus >= 500 ? 'serverError' : 'unknown');
}

/**
 * The error for an answer that is no success, or for an ERROR event inside a watch.
 * `body` is a Status where the API server answered, anything else where a proxy did.
 */
export function errorOfAnswer(attempt: Attempt, httpStatus: number, body: unknown, retryAfter?: string): KubeError {
  const status: Status = typeof body === 'object' && body !== null ? body : {};
  const code = status.code ?? httpStatus;
  const said = status.message ?? (typeof body === 'string' && body !== '' ? body.slice(0, 200) : `HTTP ${code}`);
  return new KubeError(reasonOf(code, status.reason), attempt, said, {
    status: code,
    retryAfterMs: retryAfterMsOf(retryAfter, status),
    details: status.details,
  });
}

/** RFC 9110 section 10.2.3, in seconds; the API server never sends the date form. */
function retryAfterMsOf(header: string | undefined, status: Status): number | undefined {
  const seconds = header === undefined ? status.details?.retryAfterSeconds : Number(header);
  return seconds === undefined || !Number.isFinite(seconds) || seconds < 0 ? undefined : seconds * 1000;
}

const TIMEOUT_CODES = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

/** The error for a request that got no answer, or not the whole of it. */
export function errorOfTransport(attempt: Attempt, cause: unknown): KubeError {
  if (cause instanceof KubeError) {
    return cause;
  }
  const code = codeOf(cause);
  const text = cause instanceof Error && cause.message !== '' ? cause.message : (code ?? String(cause));
  if (code === 'TimeoutError' || (code !== undefined && TIMEOUT_CODES.has(code))) {
    return new KubeError('timeout', attempt, `no answer in time (${text})`, { cause });
  }
  if (code === 'AbortError' || code === 'UND_ERR_ABORTED') {
    return new KubeError('aborted', attempt, 'the caller gave up', { cause });
  }
  return new KubeError('unreachable', attempt, `the API server cannot be reached (${text})`, { cause });
}

function codeOf(cause: unknown): string | undefined {
  if (typeof cause !== 'object' || cause === null) {
    return undefined;
  }
  const { code, name } = cause as { code?: unknown; name?: unknown };
  if (name === 'TimeoutError' || name === 'AbortError') {
    return name;
  }
  return typeof code === 'string' ? code : undefined;
}
