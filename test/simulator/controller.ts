// SPDX-License-Identifier: Apache-2.0
// One process of fast-controller-manager: the parts of src/operator put together as operator.ts does it, with a clock, a
// network and an API server of the simulation's.
import { controllerName, installNamespace } from '../../src/api/names.ts';
import type { Clock } from '../../src/kube/clock.ts';
import { LeaderElector } from '../../src/kube/leader.ts';
import type { Log } from '../../src/kube/log.ts';
import type { Metrics } from '../../src/kube/metrics.ts';
import { Controllers, QueueSwitch } from '../../src/operator/controllers.ts';
import { Informers } from '../../src/operator/informers.ts';
import { ServicesReader } from '../../src/operator/services-reader.ts';
import { TenureClient } from '../../src/operator/tenure.ts';
import { writesOn } from '../../src/operator/writes.ts';
import { Core } from '../../src/reconcilers/core.ts';
import { done, type EventNote } from '../../src/reconcilers/ports.ts';
import type { MemoryClient } from './memory-client.ts';

/** Longer than in a cluster, so that an idle minute is few steps; the proportions are the same. */
const lease = { leaseDurationMs: 45_000, renewDeadlineMs: 30_000, retryPeriodMs: 10_000 };
const sweepMs = 5_000;
const relistRetryMs = 1_000;

export interface ControllerOptions {
  readonly identity: string;
  readonly client: MemoryClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** It leads whatever the Lease says: the worst that can come of pauses and clocks. */
  readonly isForced: boolean;
  readonly onEvent: (event: EventNote) => void;
  /** The lead is lost, and with it the process. */
  readonly onEnd: () => void;
}

/** Metrics cost more than all else together, and nobody reads them here. */
const noMetrics = undefined satisfies Metrics | undefined;

export class SimulatedController {
  readonly core: Core;
  readonly informers: Informers;
  readonly #o: ControllerOptions;
  readonly #queues = new QueueSwitch();
  readonly #tenure = new AbortController();
  readonly #elector: LeaderElector;

  constructor(options: ControllerOptions) {
    this.#o = options;
    const { client, clock, random, log, identity, isForced } = options;
    this.informers = new Informers({ client, namespace: installNamespace, log, played: { clock, random } });
    this.#elector = new LeaderElector({
      client,
      namespace: installNamespace,
      name: controllerName,
      identity,
      ...lease,
      onStarted: (signal) => this.#lead(signal),
      clock,
      random,
      log,
      metrics: noMetrics,
    });
    const isLeading = (): boolean => isForced || this.#elector.isLeader;
    const leading = new TenureClient(client, { signal: this.#tenure.signal, isLeading });
    this.core = new Core({
      ...writesOn(leading, this.#tenure.signal),
      views: this.informers.views,
      collector: { refresh: () => this.informers.relist(), repaired: () => undefined, failed: () => undefined },
      events: { record: options.onEvent },
      queues: this.#queues,
      clock,
    });
  }

  start(): void {
    this.informers.connect(this.core.router, () => undefined);
    this.informers.start();
    if (this.#o.isForced) void this.#lead(new AbortController().signal);
    else this.#elector.start();
  }

  async #lead(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#loseLead(), { once: true });
    const services = new ServicesReader({
      client: this.#o.client,
      kubernetes: undefined,
      tell: (range) => this.core.router.onServices(range),
      log: this.#o.log,
    });
    await this.#relistUntilDone(signal, services);
    if (signal.aborted) return;
    const { log, clock } = this.#o;
    const install = { reconcile: async () => done };
    const controllers = new Controllers({
      core: this.core,
      install,
      services,
      log,
      clock,
      signal: this.#tenure.signal,
    });
    this.#queues.connect(controllers);
    this.core.router.wakeAll();
    controllers.start();
    for (;;) {
      await clock.sleep(sweepMs, signal);
      if (signal.aborted) return;
      await this.core.sweep().catch((error: unknown) => log.warn({ err: error }, 'sweep failed'));
    }
  }

  async #relistUntilDone(signal: AbortSignal, services: ServicesReader): Promise<void> {
    while (!signal.aborted) {
      try {
        await Promise.all([this.informers.relist(), services.reconcile(signal)]);
        return;
      } catch (error) {
        this.#o.log.warn({ err: error }, 'cannot list the cluster yet');
        await this.#o.clock.sleep(relistRetryMs, signal);
      }
    }
  }

  #loseLead(): void {
    this.#tenure.abort(new Error('leadership lost'));
    this.#o.onEnd();
  }
}
