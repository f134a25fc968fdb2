// SPDX-License-Identifier: Apache-2.0
// Runs a reconciler over a work queue, as controller-runtime does. The reconciler gets a key, reads the world, and answers
// with a word. A thrown error is never fatal: it is logged, counted and tried again later.

import { randomUUID } from 'node:crypto';
import { type Clock, realClock } from './clock.ts';
import { type Log, silentLog } from './log.ts';
import { ControllerMetrics, type Metrics } from './metrics.ts';
import { WorkQueue } from './queue.ts';

/** How a reconcile ended. `giveUp` waits for the next event: trying again unchanged would change nothing. */
export type Outcome =
  | { readonly outcome: 'done' }
  | { readonly outcome: 'retryAfter'; readonly ms: number; readonly because: string }
  | { readonly outcome: 'giveUp'; readonly because: string };

export const done: Outcome = { outcome: 'done' };

export function retryAfter(ms: number, because: string): Outcome {
  return { outcome: 'retryAfter', ms, because };
}

export function giveUp(because: string): Outcome {
  return { outcome: 'giveUp', because };
}

export interface ReconcileContext {
  /** Every line carries controller, controllerKind, namespace and name of the key, and reconcileID. */
  readonly log: Log;
  /** Aborts when the controller stops: pass it on to every call, and write nothing after it. */
  readonly signal: AbortSignal;
  readonly reconcileId: string;
}

export interface ControllerOptions<K extends string> {
  /** Label of metrics and logs. */
  readonly name: string;
  /** The kind whose objects the keys name, `namespace/name` or `name`, for the logs. */
  readonly kind?: { readonly group: string; readonly kind: string };
  readonly reconcile: (key: K, context: ReconcileContext) => Promise<Outcome>;
  /** How many keys are worked on at once; 1 if absent. */
  readonly workers?: number;
  /** Cap of the back-off, in milliseconds; controller-runtime's 1,000 s if absent. */
  readonly maxBackoffMs?: number;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  readonly metrics?: Metrics | undefined;
}

/** A stopped controller stays stopped; whoever leads again makes a new one. */
export class Controller<K extends string = string> {
  readonly name: string;
  readonly queue: WorkQueue<K>;
  readonly #reconcile: ControllerOptions<K>['reconcile'];
  readonly #workers: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: Metrics | undefined;
  #measured: ControllerMetrics | undefined;
  readonly #stop = new AbortController();
  #running: Promise<void>[] = [];

  constructor(options: ControllerOptions<K>) {
    this.name = options.name;
    this.#reconcile = options.reconcile;
    this.#workers = options.workers ?? 1;
    this.#clock = options.clock ?? realClock;
    this.#log = (options.log ?? silentLog).child({ controller: options.name, ...fieldsOfKind(options.kind) });
    this.#metrics = options.metrics;
    this.queue = new WorkQueue<K>({
      name: options.name,
      clock: this.#clock,
      maxDelayMs: options.maxBackoffMs ?? 1_000_000,
      metrics: options.metrics,
    });
  }

  enqueue(key: K): void {
    this.queue.add(key);
  }

  enqueueAfter(key: K, delayMs: number): void {
    this.queue.addAfter(key, delayMs);
  }

  start(): void {
    if (this.#running.length > 0 || this.#stop.signal.aborted) {
      return;
    }
    this.#measured = this.#metrics && new ControllerMetrics(this.#metrics, this.name, this.#workers);
    this.#running = Array.from({ length: this.#workers }, () => this.#work());
  }

  /** Resolves when what is being worked on has ended. What waits is left: whoever starts next sees the world afresh. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error(`controller ${this.name} stops`));
    this.queue.shutDown();
    await Promise.all(this.#running);
  }

  async #work(): Promise<void> {
    for (;;) {
      const key = await this.queue.get();
      if (key === undefined) {
        return;
      }
      if (!this.#stop.signal.aborted) {
        await this.#step(key);
      }
      this.queue.done(key);
    }
  }

  async #step(key: K): Promise<void> {
    const reconcileId = randomUUID();
    const log = this.#log.child({ ...fieldsOfKey(key), reconcileID: reconcileId });
    const startMs = this.#clock.monotonicMs();
    this.#measured?.began();
    try {
      const outcome = await this.#reconcile(key, { log, signal: this.#stop.signal, reconcileId });
      this.#settle(key, outcome, log);
    } catch (error) {
      this.#fail(key, error, log);
    } finally {
      this.#measured?.ended((this.#clock.monotonicMs() - startMs) / 1000);
    }
  }

  #settle(key: K, outcome: Outcome, log: Log): void {
    this.queue.forget(key);
    if (outcome.outcome === 'retryAfter') {
      this.#measured?.count('requeue_after');
      this.queue.addAfter(key, outcome.ms);
      log.debug({ retryAfterMs: outcome.ms, because: outcome.because }, 'to be looked at again');
    } else if (outcome.outcome === 'giveUp') {
      this.#measured?.count('error', 'terminal');
      log.warn({ because: outcome.because }, 'given up until something changes');
    } else {
      this.#measured?.count('success');
      log.debug({}, 'reconciled');
    }
  }

  #fail(key: K, error: unknown, log: Log): void {
    if (this.#stop.signal.aborted) {
      log.debug({ err: error }, 'cut off by the stop');
      return;
    }
    this.#measured?.count('error', isFaultOfCode(error) ? 'panic' : undefined);
    const failures = this.queue.failures(key) + 1;
    const retryMs = this.queue.addRateLimited(key);
    log.error({ err: error, failures, retryMs }, 'reconcile failed');
  }
}

/** The fields that controller-runtime logs. */
function fieldsOfKind(kind: ControllerOptions<string>['kind']): object {
  return kind === undefined ? {} : { controllerGroup: kind.group, controllerKind: kind.kind };
}

function fieldsOfKey(key: string): object {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** What the language throws of itself: Go would have panicked. What the world refuses is an error of our own making. */
function isFaultOfCode(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}
