// SPDX-License-Identifier: Apache-2.0
// The work queues of a leader. Until there are any, wakes go nowhere: a new leader looks at everything anyway.
import { Controller, type Outcome } from '../kube/controller.ts';
import type { Log } from '../kube/log.ts';
import type { Metrics } from '../kube/metrics.ts';
import type { Core } from '../reconcilers/core.ts';
import type { Queues } from '../reconcilers/ports.ts';
import type { InstallReconciler } from './install.ts';

/** Nothing waits longer than this for another try: what is broken may be mended by a person at any moment. */
const MAX_BACKOFF_MS = 30_000;
/** Writes at once: enough to keep one API server busy, few enough to leave it to others as well. */
const POD_WORKERS = 32;
const RECORD_WORKERS = 16;
const NODE_WORKERS = 4;
const POOL_WORKERS = 2;
/** The one key of the install's queue. */
const INSTALL = 'install';
/** The one key of the collector's. */
const EVERYTHING = 'everything';

export interface ControllerParts {
  readonly core: Core;
  readonly install: InstallReconciler;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Aborted when this process leads no more. */
  readonly signal: AbortSignal;
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
  /** Asks for itself again after each of its steps. */
  readonly collector: Controller;

  constructor({ core, install, log, metrics, signal }: ControllerParts) {
    const make = (name: string, workers: number, reconcile: (key: string) => Promise<Outcome>): Controller =>
      new Controller({ name, workers, reconcile, maxBackoffMs: MAX_BACKOFF_MS, log, metrics });
    this.pods = make('pod', POD_WORKERS, (key) => core.pods.reconcile(key));
    this.records = make('record', RECORD_WORKERS, (key) => core.records.reconcile(key));
    this.nodes = make('node', NODE_WORKERS, (key) => core.nodes.reconcile(key));
    this.pools = make('pool', POOL_WORKERS, (key) => core.pools.reconcile(key));
    this.install = make('install', 1, () => install.reconcile(signal));
    this.collector = make('collector', 1, () => core.collector.reconcile());
  }

  start(): void {
    this.collector.enqueue(EVERYTHING);
    for (const controller of this.#all()) controller.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((controller) => controller.stop()));
  }

  #all(): Controller[] {
    return [this.pods, this.records, this.nodes, this.pools, this.install, this.collector];
  }
}
