// SPDX-License-Identifier: Apache-2.0
// The controller as a whole: informers run in every replica, so that a new leader knows the cluster already; queues and
// writes live and die with the leadership.
import operatorBase from '@dot-i/k8s-operator';
import { controllerName } from '../api/names.ts';
import { connect, type KubeClient } from '../kube/client.ts';
import { realClock } from '../kube/clock.ts';
import { EventRecorder } from '../kube/events.ts';
import { HealthServer } from '../kube/health.ts';
import { LeaderElector } from '../kube/leader.ts';
import type { Log } from '../kube/log.ts';
import { Metrics } from '../kube/metrics.ts';
import { Core } from '../reconcilers/core.ts';
import type { OperatorConfig } from './config.ts';
import { Controllers, QueueSwitch } from './controllers.ts';
import { Informers } from './informers.ts';
import { InstallReconciler } from './install.ts';
import { IpamMetrics } from './ipam-metrics.ts';
import { eventsOn, writesOn } from './writes.ts';

/** Why the operator came to its end. */
export type Ending = 'stopped' | 'leadershipLost';

const SWEEP_MS = 5_000;

/** The base class gives start and init; its watch is not used, since it neither lists nor resumes. */
export class FastOperator extends operatorBase.default {
  /** Resolves when the operator has stopped, or has to. */
  readonly ended: Promise<Ending>;
  readonly #config: OperatorConfig;
  readonly #log: Log;
  readonly #metrics = new Metrics();
  readonly #ipam = new IpamMetrics(this.#metrics.registry);
  readonly #queues = new QueueSwitch();
  readonly #client: KubeClient;
  readonly #informers: Informers;
  readonly #core: Core;
  readonly #events: EventRecorder;
  readonly #elector: LeaderElector;
  readonly #health: HealthServer;
  /** Aborted when this process may write no more. */
  readonly #tenure = new AbortController();
  readonly #end: (ending: Ending) => void;
  #controllers: Controllers | undefined;
  #isStopping = false;

  constructor(config: OperatorConfig, log: Log) {
    super();
    const ended = Promise.withResolvers<Ending>();
    this.ended = ended.promise;
    this.#end = ended.resolve;
    this.#config = config;
    this.#log = log;
    const { kubeconfig, namespace, identity, health } = config;
    const metrics = this.#metrics;
    const client = connect({
      fieldManager: controllerName,
      log,
      metrics,
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
    });
    this.#client = client;
    this.#informers = new Informers({ client, namespace, log, metrics });
    this.#events = new EventRecorder({ client, component: controllerName, instance: identity, log });
    this.#core = new Core({
      ...writesOn(client, this.#tenure.signal),
      views: this.#informers.views,
      collector: { refresh: () => this.#informers.relist(), repaired: (repair) => this.#ipam.repaired(repair) },
      events: eventsOn(this.#events),
      queues: this.#queues,
      clock: realClock,
    });
    this.#elector = this.#makeElector();
    this.#health = new HealthServer({ ...health, metrics, log });
  }

  /** The port that health and metrics are served on. */
  healthPort = 0;

  get isLeading(): boolean {
    return this.#controllers !== undefined && !this.#tenure.signal.aborted;
  }

  /** Called by the base class's start. */
  protected override async init(): Promise<void> {
    this.#metrics.collectProcess();
    this.#health.healthz('ping', () => undefined);
    this.#health.readyz('informers', () => this.#informers.unready());
    this.healthPort = await this.#health.start();
    this.#informers.connect(this.#core.router, () => this.#queues.install());
    this.#informers.start();
    this.#elector.start();
    this.#log.info({ identity: this.#config.identity, healthPort: this.healthPort }, 'started; standing for election');
  }

  /** Ends the writes, gives the lease back, then closes everything. */
  override stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#close()
      .catch((error: unknown) => this.#log.error({ err: error }, 'did not stop cleanly'))
      .finally(() => this.#end('stopped'));
  }

  async #close(): Promise<void> {
    await this.#controllers?.stop();
    this.#tenure.abort(new Error('the operator stops'));
    await this.#elector.stop();
    await this.#events.stop();
    await this.#informers.stop();
    await this.#health.stop();
    await this.#client.close();
  }

  #makeElector(): LeaderElector {
    const { namespace, identity, lease } = this.#config;
    return new LeaderElector({
      client: this.#client,
      namespace,
      name: controllerName,
      identity,
      leaseDurationMs: lease.durationMs,
      renewDeadlineMs: lease.renewDeadlineMs,
      retryPeriodMs: lease.retryPeriodMs,
      onStarted: (signal) => this.#lead(signal),
      log: this.#log,
      metrics: this.#metrics,
    });
  }

  /** A new leader decides on nothing older than its leadership: everything is listed afresh first. */
  async #lead(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#loseLead(), { once: true });
    await this.#relistUntilDone(signal);
    if (signal.aborted || this.#isStopping) return;
    const { client, log, metrics } = { client: this.#client, log: this.#log, metrics: this.#metrics };
    const install = new InstallReconciler({
      client,
      namespace: this.#config.namespace,
      knobs: () => this.#informers.knobs(),
      pool: (name) => this.#informers.views.pools.get(name),
      log,
      ...(this.#config.agentImage === undefined ? {} : { agentImage: this.#config.agentImage }),
    });
    const controllers = new Controllers({ core: this.#core, install, log, metrics, signal: this.#tenure.signal });
    this.#queues.connect(controllers);
    this.#controllers = controllers;
    this.#core.router.wakeAll();
    this.#queues.install();
    controllers.start();
    log.info({ identity: this.#config.identity }, 'leading');
    await this.#sweepUntil(signal);
  }

  async #relistUntilDone(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#isStopping) {
      try {
        await this.#informers.relist();
        return;
      } catch (error) {
        this.#log.warn({ err: error }, 'cannot list the cluster yet; trying again');
        await realClock.sleep(1_000, signal);
      }
    }
  }

  async #sweepUntil(signal: AbortSignal): Promise<void> {
    for (;;) {
      await realClock.sleep(SWEEP_MS, signal);
      if (signal.aborted || this.#tenure.signal.aborted) return;
      try {
        await this.#core.sweep();
      } catch (error) {
        this.#log.warn({ err: error }, 'sweep failed; the next one tries again');
      }
    }
  }

  /** Whoever leads next may be at work already, so nothing of ours is written from here on. */
  #loseLead(): void {
    this.#tenure.abort(new Error('leadership lost'));
    if (!this.#isStopping) this.#end('leadershipLost');
  }
}
