// SPDX-License-Identifier: Apache-2.0
// One of several replicas acts, by a Lease as client-go's leaderelection has it. No clock is ever compared with another
// machine's: a candidate waits until it has itself seen the Lease unchanged for its whole duration, and a leader counts
// from before it sent its last renewal and stops well before that.
//
// No lease can recall a request that is on the wire, and a process may be paused between its last look at the clock and
// the send. So whoever writes as a leader asks `isLeader` right before each write, and fences the write by what it read
// before it asked: by a resourceVersion, or by a name that only one create can take. Then a write of a former leader
// either comes before every write of the next one to that object, or is refused.

import type { KubeClient } from './client.ts';
import { type Clock, realClock } from './clock.ts';
import { isReason } from './errors.ts';
import { type Log, silentLog } from './log.ts';
import type { Metrics } from './metrics.ts';
import { type Lease, leases } from './resources.ts';

export interface LeaderOptions {
  readonly client: Pick<KubeClient, 'find' | 'create' | 'replace'>;
  readonly namespace: string;
  /** The Lease's name. */
  readonly name: string;
  /** Unique per process, not only per pod: two processes of one identity would both lead. */
  readonly identity: string;
  /** How long the others wait after the last change that they saw; 15 s if absent, all replicas alike. */
  readonly leaseDurationMs?: number;
  /** A leader that has not renewed for this long stops; 10 s if absent. Less than leaseDurationMs. */
  readonly renewDeadlineMs?: number;
  /** The pause between a leader's renewals; 2 s if absent. The others look at the Lease four times as often. */
  readonly retryPeriodMs?: number;
  /** The work of a leader. Once `signal` aborts, it writes nothing more and its promise settles soon. */
  readonly onStarted?: (signal: AbortSignal) => void | Promise<void>;
  readonly onStopped?: () => void;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
  readonly metrics?: Metrics | undefined;
  /** A number in [0, 1), for jitter. */
  readonly random?: () => number;
}

interface Term {
  readonly abort: AbortController;
  /** On our monotonic clock. Before it nobody else can have taken the Lease. */
  validUntilMs: number;
  cancelDeadline: () => void;
  work: Promise<void>;
}

/**
 * Looks of a waiting candidate per retry period. client-go looks once, up to 20 % late: after a clean stop nobody would
 * lead for 2.4 s. A read of one small object twice a second is a fair price.
 */
const LOOKS_PER_PERIOD = 4;

/** In place of the spec of a Lease that was there and is no more. */
const DELETED = 'deleted';

/** After a loss it stands for election again, when the work of its former term has ended. */
export class LeaderElector {
  readonly #o: LeaderOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  readonly #life = new AbortController();
  #running: Promise<void> | undefined;
  #term: Term | undefined;
  /** The Lease as last read or written, and when, on our clock, its spec was first seen so, or DELETED. */
  #observed: { lease: Lease; spec: string; sinceMs: number } | undefined;

  constructor(options: LeaderOptions) {
    this.#o = options;
    this.#clock = options.clock ?? realClock;
    this.#log = (options.log ?? silentLog).child({ lease: `${options.namespace}/${options.name}` });
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 2000;
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = this.#times();
    if (!(leaseDurationMs > renewDeadlineMs && renewDeadlineMs > retryPeriodMs && retryPeriodMs > 0)) {
      throw new Error(
        `leaseDurationMs ${leaseDurationMs} > renewDeadlineMs ${renewDeadlineMs} > retryPeriodMs ${retryPeriodMs} > 0 must hold`,
      );
    }
  }

  /** Asks the clock, so it is right even where a paused process has not run its timers yet. */
  get isLeader(): boolean {
    const term = this.#term;
    return term !== undefined && !term.abort.signal.aborted && this.#clock.monotonicMs() < term.validUntilMs;
  }

  /** Who held the Lease when it was last seen; empty when free or not seen yet. */
  get holder(): string {
    return this.#observed?.lease.spec?.holderIdentity ?? '';
  }

  start(): void {
    this.#o.metrics?.leader.set({ name: this.#o.name }, 0);
    this.#running ??= this.#run();
  }

  /** Ends the term, waits for its work, and hands the Lease back so that another may lead at once. */
  async stop(): Promise<void> {
    this.#life.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#life.signal.aborted) {
      await this.#round();
      await this.#clock.sleep(this.#pauseMs(), this.#life.signal);
      if (this.#term?.abort.signal.aborted) {
        await this.#afterLoss(this.#term);
      }
    }
    await this.#resign();
  }

  #pauseMs(): number {
    if (this.#term !== undefined) {
      return this.#retryPeriodMs;
    }
    // Jitter, so that candidates that wait for one expiry do not all write at the same moment.
    return (this.#retryPeriodMs / LOOKS_PER_PERIOD) * (1 + (this.#o.random ?? Math.random)() * 0.2);
  }

  /** One try to take or keep the Lease. */
  async #round(): Promise<void> {
    const startMs = this.#clock.monotonicMs();
    try {
      if (await this.#takeOrRenew()) {
        this.#renewed(startMs);
      }
    } catch (error) {
      // Nobody can say whether a write that failed has happened: the next round reads before it writes again.
      this.#observed &&= { ...this.#observed, lease: withoutVersion(this.#observed.lease) };
      const level = isReason(error, 'conflict', 'alreadyExists', 'aborted') ? 'debug' : 'warn';
      this.#log[level]({ err: error }, 'cannot take or renew the lease');
    }
  }

  async #takeOrRenew(): Promise<boolean> {
    const known = this.#observed?.lease;
    const leading = this.isLeader;
    // A leader knows what is there, and the resourceVersion fences it against being wrong.
    const lease = leading && known?.metadata.resourceVersion !== undefined ? known : await this.#read();
    if (lease === undefined && !leading && !this.#mayMakeAnew()) {
      return false;
    }
    if (lease !== undefined && !this.#mayWrite(lease)) {
      if (this.#term !== undefined && !this.#term.abort.signal.aborted) {
        this.#end(this.#term, `the lease is now held by ${this.holder}`);
      }
      return false;
    }
    const next = this.#next(lease);
    const written = await (lease === undefined
      ? this.#o.client.create(leases, next, this.#call())
      : this.#o.client.replace(leases, next, this.#call()));
    this.#observe(written);
    return true;
  }

  async #read(): Promise<Lease | undefined> {
    const lease = await this.#o.client.find(leases, this.#o.name, this.#o.namespace, this.#call());
    if (lease !== undefined) {
      this.#observe(lease);
    } else if (this.#observed !== undefined && this.#observed.spec !== DELETED) {
      this.#observed = { lease: this.#observed.lease, spec: DELETED, sinceMs: this.#clock.monotonicMs() };
    }
    return lease;
  }

  #observe(lease: Lease): void {
    const spec = JSON.stringify(lease.spec ?? {});
    const sinceMs = this.#observed?.spec === spec ? this.#observed.sinceMs : this.#clock.monotonicMs();
    this.#observed = { lease, spec, sinceMs };
  }

  /** Whoever held a Lease that somebody deleted has not heard of that; a candidate that never saw one cannot know. */
  #mayMakeAnew(): boolean {
    const observed = this.#observed;
    return observed === undefined || this.#clock.monotonicMs() - observed.sinceMs >= this.#leaseDurationMs;
  }

  #mayWrite(lease: Lease): boolean {
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder === '' || holder === this.#o.identity) {
      return true;
    }
    // The holder may have been told a longer duration than we; a shorter one does not bind us.
    const toldMs = (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    const roundedMs = Math.ceil(this.#leaseDurationMs / 1000) * 1000;
    const validMs = toldMs > roundedMs ? toldMs : this.#leaseDurationMs;
    return this.#clock.monotonicMs() - (this.#observed?.sinceMs ?? this.#clock.monotonicMs()) >= validMs;
  }

  #next(lease: Lease | undefined): Lease {
    const now = microTime(this.#clock.now());
    // The count of transitions survives a deletion in the memory of whoever makes the Lease anew.
    const former = (lease ?? this.#observed?.lease)?.spec;
    const kept = former?.holderIdentity === this.#o.identity;
    return {
      metadata: lease?.metadata ?? { name: this.#o.name, namespace: this.#o.namespace },
      spec: {
        holderIdentity: this.#o.identity,
        leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
        acquireTime: kept && former.acquireTime !== undefined ? former.acquireTime : now,
        renewTime: now,
        leaseTransitions: (former?.leaseTransitions ?? 0) + (former === undefined || kept ? 0 : 1),
      },
    };
  }

  /** A write that began at `startMs` went through: we lead until the deadline from there on. */
  #renewed(startMs: number): void {
    const validUntilMs = startMs + this.#renewDeadlineMs;
    const leftMs = validUntilMs - this.#clock.monotonicMs();
    if (leftMs <= 0 || this.#life.signal.aborted) {
      return;
    }
    const former = this.#term;
    if (former?.abort.signal.aborted) {
      return;
    }
    const term = former ?? {
      abort: new AbortController(),
      validUntilMs,
      cancelDeadline: noop,
      work: Promise.resolve(),
    };
    term.cancelDeadline();
    term.validUntilMs = validUntilMs;
    term.cancelDeadline = this.#clock.after(leftMs, () => this.#end(term, 'the lease could not be renewed in time'));
    if (former === undefined) {
      this.#begin(term);
    }
  }

  #begin(term: Term): void {
    this.#term = term;
    this.#o.metrics?.leader.set({ name: this.#o.name }, 1);
    this.#log.info({ identity: this.#o.identity }, 'leading');
    const work = async (): Promise<void> => this.#o.onStarted?.(term.abort.signal);
    term.work = work().catch((error: unknown) => {
      this.#log.error({ err: error }, "the leader's work failed");
      this.#end(term, "the leader's work failed");
    });
  }

  #end(term: Term, because: string): void {
    if (term.abort.signal.aborted) {
      return;
    }
    term.cancelDeadline();
    term.abort.abort(new Error(`no longer leading: ${because}`));
    this.#o.metrics?.leader.set({ name: this.#o.name }, 0);
    this.#log.warn({ identity: this.#o.identity, because }, 'no longer leading');
    try {
      this.#o.onStopped?.();
    } catch (error) {
      this.#log.error({ err: error }, 'onStopped failed');
    }
  }

  /** Two terms of one process never overlap either. */
  async #afterLoss(term: Term): Promise<void> {
    await term.work;
    this.#term = undefined;
  }

  async #resign(): Promise<void> {
    const term = this.#term;
    if (term !== undefined) {
      this.#end(term, 'asked to stop');
      await term.work;
      this.#term = undefined;
    }
    try {
      // Also without a term: the stop may have cut off the very request that took the Lease.
      await this.#release();
    } catch (error) {
      this.#log.warn({ err: error }, 'cannot release the lease; the others wait until it expires');
    }
  }

  async #release(): Promise<void> {
    const timeoutMs = this.#renewDeadlineMs / 4;
    // Two tries: a renewal that the stop cut off may have moved the Lease on, and a read tells.
    for (let tries = 0; tries < 2; tries += 1) {
      const known = this.#observed?.lease;
      const lease =
        known?.metadata.resourceVersion !== undefined
          ? known
          : await this.#o.client.find(leases, this.#o.name, this.#o.namespace, { timeoutMs });
      if (lease?.spec?.holderIdentity !== this.#o.identity) {
        return;
      }
      this.#observed = undefined;
      const now = microTime(this.#clock.now());
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now };
      try {
        this.#observe(await this.#o.client.replace(leases, { ...lease, spec }, { timeoutMs }));
        return;
      } catch (error) {
        if (!isReason(error, 'conflict')) {
          throw error;
        }
      }
    }
  }

  #call(): { timeoutMs: number; signal: AbortSignal } {
    // Half of the deadline: a request that hangs leaves time for another.
    return { timeoutMs: this.#renewDeadlineMs / 2, signal: this.#life.signal };
  }

  #times(): { leaseDurationMs: number; renewDeadlineMs: number; retryPeriodMs: number } {
    return {
      leaseDurationMs: this.#leaseDurationMs,
      renewDeadlineMs: this.#renewDeadlineMs,
      retryPeriodMs: this.#retryPeriodMs,
    };
  }
}

function noop(): void {}

function withoutVersion(lease: Lease): Lease {
  const { resourceVersion: _, ...metadata } = lease.metadata;
  return { ...lease, metadata };
}

/** metav1.MicroTime: exactly six digits of a second. */
export function microTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('Z', '000Z');
}
