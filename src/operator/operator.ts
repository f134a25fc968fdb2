// SPDX-License-Identifier: Apache-2.0
// The controller as a whole: informers run in every replica, so that a new leader knows the cluster already; queues and
// writes live and die with the leadership.
import { randomUUID } from 'node:crypto';
import operatorBase from '@dot-i/k8s-operator';
import { controllerName } from '../api/names.ts';
import { connect, type KubeClient } from '../kube/client.ts';
import { realClock } from '../kube/clock.ts';
import { isReason } from '../kube/errors.ts';
import { EventRecorder } from '../kube/events.ts';
import { HealthServer } from '../kube/health.ts';
import { LeaderElector } from '../kube/leader.ts';
import type { Log } from '../kube/log.ts';
import { Metrics } from '../kube/metrics.ts';
import type { KubeObject, Resource } from '../kube/object.ts';
import { Core } from '../reconcilers/core.ts';
import type { OperatorConfig } from './config.ts';
import { Controllers, QueueSwitch } from './controllers.ts';
import { crdKind, crdNameOf, problemOfCrd } from './crds.ts';
import { Informers } from './informers.ts';
import { InstallReconciler } from './install.ts';
import { IpamMetrics } from './ipam-metrics.ts';
import { endpointKind, poolKind, recordKind } from './kinds.ts';
import { PoolMetrics } from './pool-metrics.ts';
import { ServicesReader } from './services-reader.ts';
import { TenureClient } from './tenure.ts';
import { eventsOn, writesOn } from './writes.ts';

/** Why the operator came to its end. */
export type Ending = 'stopped' | 'leadershipLost';

const SWEEP_MS = 5_000;
const CRD_RECHECK_MS = 2_000;
/** What is being written when the stop comes may end within this; the next leader waits for it. */
const STOP_GRACE_MS = 1_000;

/**
 * The base class gives the frame: start calls init, and stop ends it. The rest of it is not used, for reasons in its source
 * (1.3.9): it reads the environment's kubeconfig whatever the flags say; watchResource neither lists nor resumes, and exits
 * the process on an error; its one queue works on all kinds one after another and swallows what handlers throw;
 * setResourceStatus, patchResourceStatus and setResourceFinalizers log a 403 or a 409 and answer as if all were well, the
 * last without any fence; and with client-node 2 getCustomResourceApiUri, on which they stand, begins with "undefined".
 * Their places are taken by Informer, Controller and KubeClient of src/kube. A test holds that nothing here calls them.
 */
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
  /** Who loses the lead ends, so that a process has one term. */
  readonly #term: string;
  readonly #events: EventRecorder;
  readonly #elector: LeaderElector;
  readonly #health: HealthServer;
  /** Aborted when this process may write no more. */
  readonly #tenure = new AbortController();
  /** What only a leader may do goes through it. */
  readonly #leading: TenureClient;
  readonly #end: (ending: Ending) => void;
  #controllers: Controllers | undefined;
  #isStopping = false;
  #crdProblem: string | undefined = 'not looked at yet';

  constructor(config: OperatorConfig, log: Log) {
    super();
    const ended = Promise.withResolvers<Ending>();
    this.ended = ended.promise;
    this.#end = ended.resolve;
    this.#config = config;
    this.#log = log;
    const { kubeconfig, namespace, identity, health } = config;
    this.#term = `${identity}_${randomUUID()}`;
    const metrics = this.#metrics;
    const client = connect({
      fieldManager: controllerName,
      log,
      metrics,
      ...(kubeconfig === undefined ? {} : { kubeconfig }),
    });
    this.#client = client;
    this.#leading = new TenureClient(client, {
      signal: this.#tenure.signal,
      isLeading: () => this.#elector.isLeader,
    });
    this.#informers = new Informers({ client, namespace, log, metrics });
    this.#events = new EventRecorder({ client, component: controllerName, instance: identity, log, metrics });
    this.#core = new Core({
      ...writesOn(this.#leading, this.#tenure.signal),
      views: this.#informers.views,
      collector: {
        refresh: () => this.#informers.relist(),
        repaired: (repair) => this.#ipam.repaired(repair),
        failed: (suspect, error) => this.#log.error({ err: error, suspect }, 'the collector could not repair it'),
      },
      events: eventsOn(this.#events),
      queues: this.#queues,
      clock: realClock,
    });
    this.#elector = this.#makeElector();
    this.#health = new HealthServer({ ...health, metrics, log });
  }

  /** Called by the base class's start. */
  protected override async init(): Promise<void> {
    this.#metrics.collectProcess();
    this.#health.healthz('ping', () => undefined);
    this.#health.readyz('crds', () => this.#crdProblem);
    this.#health.readyz('informers', () => this.#informers.unready());
    const healthPort = await this.#health.start();
    this.#log.info({ healthPort }, 'serving health and metrics');
    for (const kind of [poolKind, recordKind, endpointKind]) {
      await this.registerCustomResourceDefinition(crdNameOf(kind));
    }
    if (this.#isStopping) return;
    const measured = new PoolMetrics(
      this.#metrics.registry,
      () => this.#informers.views.pools.list(),
      (identity) => this.#core.book.byOwner(identity).some((record) => record.spec.state === 'Bound'),
      () => performance.now(),
    );
    this.#informers.connect(this.#core.router, () => this.#queues.install(), measured);
    this.#informers.start();
    this.#elector.start();
    this.#log.info({ identity: this.#config.identity }, 'standing for election');
  }

  /**
   * The base creates the CRD out of a file: that asks for rights over all CRDs, and takes client-node 2's answer "exists" for
   * a failure. Ours come with the manifests, so this one takes a name and waits until the API server serves that CRD.
   */
  protected override async registerCustomResourceDefinition(name: string) {
    const kind = [poolKind, recordKind, endpointKind].find((each) => crdNameOf(each) === name);
    if (kind === undefined) throw new Error(`${name} is no CRD of Fast`);
    for (;;) {
      const { crd, problem } = await this.#lookAtCrd(kind);
      if (problem === undefined || this.#isStopping) {
        this.#crdProblem = problem;
        return { group: kind.group, versions: crd?.spec.versions ?? [], plural: kind.plural };
      }
      if (problem !== this.#crdProblem) this.#log.warn({ crd: name }, problem);
      this.#crdProblem = problem;
      await realClock.sleep(CRD_RECHECK_MS, this.#tenure.signal);
    }
  }

  async #lookAtCrd(kind: Resource<KubeObject>) {
    try {
      const crd = await this.#client.find(crdKind, crdNameOf(kind), undefined, { signal: this.#tenure.signal });
      return { crd, problem: problemOfCrd(kind, crd) };
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      // Who may not look goes on as if all were well: the watches will tell.
      if (isReason(error, 'forbidden')) this.#log.warn({ crd: crdNameOf(kind) }, problem);
      return { crd: undefined, problem: isReason(error, 'forbidden') ? undefined : problem };
    }
  }

  /** The base aborts watches that we never open. Ours ends the writes, gives the lease back, then closes everything. */
  override stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#close()
      .catch((error: unknown) => this.#log.error({ err: error }, 'did not stop cleanly'))
      .finally(() => this.#end('stopped'));
  }

  async #close(): Promise<void> {
    const grace = new AbortController();
    const ended = this.#controllers?.stop().finally(() => grace.abort());
    if (ended !== undefined) await realClock.sleep(STOP_GRACE_MS, grace.signal);
    this.#tenure.abort(new Error('the operator stops'));
    await ended;
    await this.#elector.stop();
    await this.#events.stop();
    await this.#informers.stop();
    await this.#health.stop();
    await this.#client.close();
  }

  #makeElector(): LeaderElector {
    const { namespace, lease } = this.#config;
    return new LeaderElector({
      client: this.#client,
      namespace,
      name: controllerName,
      // The pod's name is not enough: a container that is started again has it too, and would take itself for the leader.
      identity: this.#term,
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
    const services = new ServicesReader({
      client: this.#client,
      kubernetes: this.#config.kubernetesAddress,
      tell: (range) => this.#core.router.onServices(range),
      log: this.#log,
    });
    await this.#relistUntilDone(signal, services);
    if (signal.aborted || this.#isStopping) return;
    const { log, metrics } = { log: this.#log, metrics: this.#metrics };
    const install = new InstallReconciler({
      client: this.#leading,
      namespace: this.#config.namespace,
      knobs: () => this.#informers.knobs(),
      agents: () => this.#informers.agents(),
      term: this.#term,
      pool: (name) => this.#informers.views.pools.get(name),
      events: this.#events,
      metrics,
      log,
      ...(this.#config.agentImage === undefined ? {} : { agentImage: this.#config.agentImage }),
    });
    const controllers = new Controllers({
      core: this.#core,
      install,
      services,
      log,
      metrics,
      signal: this.#tenure.signal,
    });
    this.#queues.connect(controllers);
    this.#controllers = controllers;
    this.#core.router.wakeAll();
    this.#queues.install();
    controllers.start();
    log.info({ identity: this.#config.identity }, 'listed the cluster; reconciling');
    await this.#sweepUntil(signal);
  }

  async #relistUntilDone(signal: AbortSignal, services: ServicesReader): Promise<void> {
    while (!signal.aborted && !this.#isStopping) {
      try {
        // A list of many records takes seconds; who stops or loses the lead meanwhile does not wait for it.
        const lists = Promise.all([this.#informers.relist(), services.reconcile(signal)]);
        await Promise.race([lists, aborted(signal)]);
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
