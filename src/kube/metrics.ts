// SPDX-License-Identifier: Apache-2.0
// Metrics under the names that controller-runtime and client-go use, so that the dashboards and alerts people already
// have work for Fast. One set per program, passed to its parts.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** client-go's buckets for queue and work durations, in seconds. */
const QUEUE_BUCKETS_SECONDS = [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10];
const RECONCILE_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** How a reconcile ended, in controller-runtime's words. */
export type ReconcileResult = 'success' | 'error' | 'requeue_after';

function counter<L extends string>(registry: Registry, name: string, help: string, labelNames: L[]): Counter<L> {
  return new Counter({ name, help, labelNames, registers: [registry] });
}

function gauge<L extends string>(registry: Registry, name: string, help: string, labelNames: L[]): Gauge<L> {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}

function histogram<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: L[],
  buckets: number[],
): Histogram<L> {
  return new Histogram({ name, help, labelNames, buckets, registers: [registry] });
}

function queueMetrics(r: Registry) {
  const b = QUEUE_BUCKETS_SECONDS;
  return {
    depth: gauge(r, 'workqueue_depth', 'Current depth of the queue', ['name']),
    adds: counter(r, 'workqueue_adds_total', 'Keys added to the queue', ['name']),
    retries: counter(r, 'workqueue_retries_total', 'Keys added again with back-off', ['name']),
    waitSeconds: histogram(r, 'workqueue_queue_duration_seconds', 'How long a key waits', ['name'], b),
    workSeconds: histogram(r, 'workqueue_work_duration_seconds', 'How long a key is worked on', ['name'], b),
  };
}

function controllerMetrics(r: Registry) {
  const buckets = RECONCILE_BUCKETS_SECONDS;
  const c = ['controller'] as ['controller'];
  return {
    total: counter(r, 'controller_runtime_reconcile_total', 'Reconciles', ['controller', 'result']),
    errors: counter(r, 'controller_runtime_reconcile_errors_total', 'Reconciles that failed', c),
    active: gauge(r, 'controller_runtime_active_workers', 'Workers at work', c),
    max: gauge(r, 'controller_runtime_max_concurrent_reconciles', 'Workers at most', c),
    seconds: histogram(r, 'controller_runtime_reconcile_time_seconds', 'Time per reconcile', c, buckets),
  };
}

function clientMetrics(r: Registry) {
  const b = RECONCILE_BUCKETS_SECONDS;
  return {
    requests: counter(r, 'rest_client_requests_total', 'Requests by status', ['code', 'method', 'host']),
    seconds: histogram(r, 'rest_client_request_duration_seconds', 'Time to the answer', ['verb', 'host'], b),
  };
}

function informerMetrics(r: Registry) {
  return {
    objects: gauge(r, 'fast_informer_objects', 'Objects in the store', ['resource']),
    lists: counter(r, 'fast_informer_lists_total', 'Lists, by why', ['resource', 'reason']),
    events: counter(r, 'fast_informer_events_total', 'Events out of the watch', ['resource', 'type']),
  };
}

/** The registry of one program, and what src/kube measures in it. */
export class Metrics {
  readonly registry: Registry = new Registry();
  readonly queue = queueMetrics(this.registry);
  readonly controller = controllerMetrics(this.registry);
  readonly client = clientMetrics(this.registry);
  readonly informer = informerMetrics(this.registry);
  readonly leader = gauge(this.registry, 'leader_election_master_status', '1 while this process leads', ['name']);

  /** Adds what the process itself says: memory, CPU, event loop lag. Once per process. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry });
  }
}
