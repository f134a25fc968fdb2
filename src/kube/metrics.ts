// SPDX-License-Identifier: Apache-2.0
// Metrics under the names that controller-runtime and client-go use, so that the dashboards and alerts people already
// have work for Fast. One set per program, passed to its parts.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** client-go's buckets for queue and work durations, in seconds: 10 ns to 1,000 s. */
const QUEUE_BUCKETS_SECONDS = Array.from({ length: 12 }, (_, power) => 10 ** (power - 8));
/** controller-runtime's, in seconds. */
const RECONCILE_BUCKETS_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75,
  2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
const REQUEST_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * prom-client samples the event loop's lag by a timer of 10 ms, which woke an idle process 200 times a second and was most of
 * what it used. The sampling cannot be left out, only be made rare, and says nothing then.
 */
const SAMPLING_MS = 3_600_000;
const SAMPLED_LAG = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'];

/**
 * How a reconcile ended, in controller-runtime's words. `requeue`, its answer without a delay, is always 0: ours says
 * how long.
 */
export type ReconcileResult = 'success' | 'error' | 'requeue' | 'requeue_after';

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

/** A queue's keys at work: for how long each, in seconds. Asked when somebody reads the metrics, so that no timer runs. */
type WorkAges = () => readonly number[];

function ageGauge(registry: Registry, name: string, help: string, of: (agesSeconds: readonly number[]) => number) {
  const queues = new Map<string, WorkAges>();
  const labelNames = ['name', 'controller'] as const;
  const made = new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      for (const [queue, ages] of queues) {
        this.set({ name: queue, controller: queue }, of(ages()));
      }
    },
  });
  return { gauge: made, queues };
}

/** controller-runtime has the name twice, as `name` and as `controller`. Its third label of the depth, `priority`, is
 * empty where a queue has no priorities, which to Prometheus is the same as no label. */
function queueMetrics(r: Registry) {
  const [b, l] = [QUEUE_BUCKETS_SECONDS, ['name', 'controller'] as ('name' | 'controller')[]];
  return {
    depth: gauge(r, 'workqueue_depth', 'Current depth of the queue', l),
    adds: counter(r, 'workqueue_adds_total', 'Keys added to the queue', l),
    retries: counter(r, 'workqueue_retries_total', 'Keys added again after a delay', l),
    waitSeconds: histogram(r, 'workqueue_queue_duration_seconds', 'How long a key waits', l, b),
    workSeconds: histogram(r, 'workqueue_work_duration_seconds', 'How long a key is worked on', l, b),
    unfinished: ageGauge(r, 'workqueue_unfinished_work_seconds', 'Ages of all work in progress together', (ages) =>
      ages.reduce((sum, age) => sum + age, 0),
    ),
    longest: ageGauge(r, 'workqueue_longest_running_processor_seconds', 'Age of the oldest work in progress', (ages) =>
      Math.max(0, ...ages),
    ),
  };
}

/** What one queue measures. */
export class QueueMetrics {
  readonly #all: Metrics['queue'];
  readonly #labels: { name: string; controller: string };

  constructor(metrics: Metrics, name: string, ages: WorkAges) {
    this.#all = metrics.queue;
    this.#labels = { name, controller: name };
    // A series that is not there yet cannot be told from one that nobody reports: all begin at 0.
    this.#all.adds.inc(this.#labels, 0);
    this.#all.retries.inc(this.#labels, 0);
    this.#all.waitSeconds.zero(this.#labels);
    this.#all.workSeconds.zero(this.#labels);
    this.depth(0);
    this.#all.unfinished.queues.set(name, ages);
    this.#all.longest.queues.set(name, ages);
  }

  depth(keys: number): void {
    this.#all.depth.set(this.#labels, keys);
  }

  added(): void {
    this.#all.adds.inc(this.#labels);
  }

  retried(): void {
    this.#all.retries.inc(this.#labels);
  }

  waited(seconds: number): void {
    this.#all.waitSeconds.observe(this.#labels, seconds);
  }

  worked(seconds: number): void {
    this.#all.workSeconds.observe(this.#labels, seconds);
  }
}

function controllerMetrics(r: Registry) {
  const buckets = RECONCILE_BUCKETS_SECONDS;
  const c = ['controller'] as ['controller'];
  return {
    total: counter(r, 'controller_runtime_reconcile_total', 'Reconciles', ['controller', 'result']),
    errors: counter(r, 'controller_runtime_reconcile_errors_total', 'Reconciles that failed', c),
    terminal: counter(r, 'controller_runtime_terminal_reconcile_errors_total', 'Reconciles that gave up', c),
    panics: counter(r, 'controller_runtime_reconcile_panics_total', 'Reconciles that failed by a fault of the code', c),
    // Every call has a time limit of its own, so no reconcile has one over all and this one stays 0.
    timeouts: counter(r, 'controller_runtime_reconcile_timeouts_total', 'Reconciles that took too long', c),
    active: gauge(r, 'controller_runtime_active_workers', 'Workers at work', c),
    max: gauge(r, 'controller_runtime_max_concurrent_reconciles', 'Workers at most', c),
    seconds: histogram(r, 'controller_runtime_reconcile_time_seconds', 'Time per reconcile', c, buckets),
  };
}

/** What one controller measures. */
export class ControllerMetrics {
  readonly #all: Metrics['controller'];
  readonly #labels: { controller: string };

  constructor(metrics: Metrics, controller: string, workers: number) {
    this.#all = metrics.controller;
    this.#labels = { controller };
    const { errors, terminal, panics, timeouts } = this.#all;
    for (const each of [errors, terminal, panics, timeouts]) {
      each.inc(this.#labels, 0);
    }
    for (const result of ['success', 'error', 'requeue', 'requeue_after'] satisfies ReconcileResult[]) {
      this.#all.total.inc({ controller, result }, 0);
    }
    this.#all.active.set(this.#labels, 0);
    this.#all.max.set(this.#labels, workers);
    this.#all.seconds.zero(this.#labels);
  }

  began(): void {
    this.#all.active.inc(this.#labels);
  }

  ended(seconds: number): void {
    this.#all.active.dec(this.#labels);
    this.#all.seconds.observe(this.#labels, seconds);
  }

  /** `why` tells errors apart: one that giving it up ended, one that the code is at fault for. */
  count(result: ReconcileResult, why?: 'terminal' | 'panic'): void {
    this.#all.total.inc({ ...this.#labels, result });
    if (result === 'error') this.#all.errors.inc(this.#labels);
    if (why === 'terminal') this.#all.terminal.inc(this.#labels);
    if (why === 'panic') this.#all.panics.inc(this.#labels);
  }
}

function clientMetrics(r: Registry) {
  const b = REQUEST_BUCKETS_SECONDS;
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
  readonly eventsDropped = counter(this.registry, 'fast_events_dropped_total', 'Events never written', ['because']);
  readonly leader = gauge(this.registry, 'leader_election_master_status', '1 while this process leads', ['name']);

  /** Adds what the process itself says: memory, CPU, event loop lag as it is when somebody asks. Once per process. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: SAMPLING_MS });
    for (const name of SAMPLED_LAG) this.registry.removeSingleMetric(`nodejs_eventloop_lag_${name}_seconds`);
  }
}
