// SPDX-License-Identifier: Apache-2.0
// The work queues of a leader. Until there are any, wakes go nowhere: a new leader looks at everything anyway.
import type { Clock } from '../kube/clock.ts';
import { Controller, type Outcome } from '../kube/controller.ts';
import type { Log } from '../kube/log.ts';
import type { Metrics } from '../kube/metrics.ts';
import type { KubeObject, Resource } from '../kube/object.ts';
import type { Core } from '../reconcilers/core.ts';
import type { Queues } from '../reconcilers/ports.ts';
import type { InstallReconciler } from './install.ts';
import { nodeKind, podKind, poolKind, recordKind } from './kinds.ts';
import type { ServicesReader } from './services-reader.ts';

/** Nothing waits longer than this for another try: what is broken may be mended by a person at any moment. */
const MAX_BACKOFF_MS = 30_000;
/** Writes at once: enough to keep one API server busy, few enough to leave it to others as well. */
const POD_WORKERS = 32;
const RECORD_WORKERS = 16;
/** Views come after records: the fewer are written at once in a burst, the more changes each of them carries. */
const NODE_WORKERS = 2;
const POOL_WORKERS = 2;
/** The one key of the install's queue. */
const INSTALL = 'install';
/** The one key of the Services' range. */
const SERVICES = 'services';
/** The one key of the collector's. */
const EVERYTHING = 'everything';

export interface ControllerParts {
  readonly core: Core;
  readonly install: Pick<InstallReconciler, 'reconcile'>;
  readonly services: Pick<ServicesReader, 'reconcile'>;
  readonly log: Log;
  readonly metrics?: Metrics | undefined;
  readonly clock?: Clock | undefined;
  /** Aborted when this process leads no more. */
  readonly signal: AbortSignal;
}

interface Reconciler {
  reconcile(key: string): Promise<Outcome>;
}

/** Queues that can be handed out before there is anybody to work on them. */
export class QueueSwitch implements Queues {
  #controllers: Controllers | undefined;

  connect(controllers: Controllers): void {
    this.#controllers = controllers;
  }

  pod(key: string): void {
    this.#controllers?.pods.enqueue(key);
  }

  record(address: string): void {
    this.#controllers?.records.enqueue(address);
  }

  node(name: string, delayMs = 0): void {
    this.#controllers?.nodes.enqueueAfter(name, delayMs);
  }

  pool(name: string, delayMs = 0): void {
    this.#controllers?.pools.enqueueAfter(name, delayMs);
  }

  install(): void {
    this.#controllers?.install.enqueue(INSTALL);
  }
}

export class Controllers {
  readonly pods: Controller;
  readonly records: Controller;
  readonly nodes: Controller;
  readonly pools: Controller;
  readonly install: Controller;
  /** Asks for itself again after each of its steps, as the collector does. */
  readonly services: Controller;
  readonly collector: Controller;

  constructor({ core, install, services, log, metrics, clock, signal }: ControllerParts) {
    const shared = { maxBackoffMs: MAX_BACKOFF_MS, log, metrics, clock };
    const make = (name: string, kind: Resource<KubeObject>, workers: number, of: Reconciler): Controller =>
      new Controller({ ...shared, name, kind, workers, reconcile: (key) => of.reconcile(key) });
    this.pods = make('pod', podKind, POD_WORKERS, core.pods);
    this.records = make('record', recordKind, RECORD_WORKERS, core.records);
    this.nodes = make('node', nodeKind, NODE_WORKERS, core.nodes);
    this.pools = make('pool', poolKind, POOL_WORKERS, core.pools);
    this.install = new Controller({ ...shared, name: 'install', reconcile: () => install.reconcile(signal) });
    this.services = new Controller({ ...shared, name: 'services', reconcile: () => services.reconcile(signal) });
    this.collector = new Controller({ ...shared, name: 'collector', reconcile: () => core.collector.reconcile() });
  }

  start(): void {
    this.collector.enqueue(EVERYTHING);
    this.services.enqueue(SERVICES);
    for (const controller of this.#all()) controller.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((controller) => controller.stop()));
  }

  #all(): Controller[] {
    return [this.pods, this.records, this.nodes, this.pools, this.install, this.services, this.collector];
  }
}
