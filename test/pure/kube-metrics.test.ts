// SPDX-License-Identifier: Apache-2.0
// The names, types and labels that dashboards and alerts for controller-runtime ask for, against what Fast shows.
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { Controller, done, giveUp, retryAfter } from '../../src/kube/controller.ts';
import { Metrics } from '../../src/kube/metrics.ts';

/**
 * All that a manager of controller-runtime v0.23.3 registers, webhooks, certificates and the Go runtime aside:
 * pkg/internal/controller/metrics/metrics.go, pkg/internal/metrics/workqueue.go, pkg/metrics/client_go_adapter.go and
 * leaderelection.go, and client_golang's process collector.
 */
const controllerRuntime = [
  'counter controller_runtime_reconcile_errors_total{controller}',
  'counter controller_runtime_reconcile_panics_total{controller}',
  'counter controller_runtime_reconcile_timeouts_total{controller}',
  'counter controller_runtime_reconcile_total{controller,result}',
  'counter controller_runtime_terminal_reconcile_errors_total{controller}',
  'counter process_cpu_seconds_total{}',
  'counter rest_client_requests_total{code,host,method}',
  'counter workqueue_adds_total{controller,name}',
  'counter workqueue_retries_total{controller,name}',
  'gauge controller_runtime_active_workers{controller}',
  'gauge controller_runtime_max_concurrent_reconciles{controller}',
  'gauge leader_election_master_status{name}',
  'gauge process_max_fds{}',
  'gauge process_open_fds{}',
  'gauge process_resident_memory_bytes{}',
  'gauge process_start_time_seconds{}',
  'gauge process_virtual_memory_bytes{}',
  // workqueue_depth has a third label there, priority, which is empty without priorities: to Prometheus, absent.
  'gauge workqueue_depth{controller,name}',
  'gauge workqueue_longest_running_processor_seconds{controller,name}',
  'gauge workqueue_unfinished_work_seconds{controller,name}',
  'histogram controller_runtime_reconcile_time_seconds{controller}',
  'histogram workqueue_queue_duration_seconds{controller,name}',
  'histogram workqueue_work_duration_seconds{controller,name}',
];

/** The exposition format as Prometheus reads it: `TYPE name` lines, and the labels of the samples under them. */
function seriesOf(exposition: string): string[] {
  const types = new Map<string, string>();
  const labels = new Map<string, Set<string>>();
  for (const line of exposition.split('\n')) {
    const [, name = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (name !== '') types.set(name, type);
    const [, sample = '', text = ''] = /^([a-z_]+)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    const family = types.has(sample) ? sample : sample.replace(/_(?:bucket|sum|count)$/, '');
    const found = labels.get(family) ?? new Set();
    for (const [, label = ''] of text.matchAll(/([a-z_]+)="/g)) if (label !== 'le') found.add(label);
    labels.set(family, found);
  }
  return [...types].map(([name, type]) => `${type} ${name}{${[...(labels.get(name) ?? [])].sort().join(',')}}`).sort();
}

describe('the metrics', () => {
  it("have controller-runtime's names, types and labels, from the start and before anything has happened", async () => {
    const metrics = new Metrics();
    metrics.collectProcess();
    metrics.leader.set({ name: 'one' }, 0);
    metrics.client.requests.inc({ code: '200', method: 'GET', host: 'a' });
    const controller = new Controller({ name: 'pod', clock: new FakeClock(), metrics, reconcile: async () => done });
    controller.start();
    await controller.stop();
    const shown = seriesOf(await metrics.registry.metrics());
    expect(controllerRuntime.filter((each) => !shown.includes(each))).toEqual([]);
    const foreign = shown.filter((each) => /^\S+ (?:controller_runtime|workqueue|leader_election)_/.test(each));
    expect(foreign.filter((each) => !controllerRuntime.includes(each))).toEqual([]);
  });

  it('count each way in which a reconcile ends as controller-runtime does', async () => {
    const clock = new FakeClock();
    const metrics = new Metrics();
    const controller = new Controller({
      name: 'ips',
      clock,
      metrics,
      workers: 2,
      reconcile: async (key) => {
        if (key === 'error') throw new Error('planned');
        if (key === 'panic') throw new TypeError('planned');
        if (key === 'terminal') return giveUp('planned');
        return key === 'later' ? retryAfter(1000, 'planned') : done;
      },
    });
    controller.start();
    for (const key of ['good', 'error', 'panic', 'terminal', 'later']) controller.enqueue(key);
    await clock.advance(1);
    await controller.stop();
    const text = await metrics.registry.metrics();
    const counts = [...text.matchAll(/^controller_runtime_(\w+)\{controller="ips"(?:,result="(\w+)")?\} (\d+)$/gm)];
    expect(Object.fromEntries(counts.map(([, name, result, count]) => [result ?? name, Number(count)]))).toEqual({
      success: 1,
      error: 3,
      requeue: 0,
      requeue_after: 1,
      reconcile_errors_total: 3,
      terminal_reconcile_errors_total: 1,
      reconcile_panics_total: 1,
      reconcile_timeouts_total: 0,
      active_workers: 0,
      max_concurrent_reconciles: 2,
      reconcile_time_seconds_count: 5,
      reconcile_time_seconds_sum: 0,
    });
    expect(text).toContain('workqueue_adds_total{name="ips",controller="ips"} 5');
    // Both errors and the one that is to be looked at again.
    expect(text).toContain('workqueue_retries_total{name="ips",controller="ips"} 3');
  });

  it('show how long the oldest work and all work in progress have lasted, at the moment somebody looks', async () => {
    const clock = new FakeClock();
    const metrics = new Metrics();
    const reconcile = async (): Promise<typeof done> => clock.sleep(10_000).then(() => done);
    const controller = new Controller({ name: 'pod', clock, metrics, workers: 2, reconcile });
    controller.start();
    controller.enqueue('one');
    await clock.advance(3000);
    controller.enqueue('two');
    controller.enqueue('three');
    await clock.advance(1000);
    const text = await metrics.registry.metrics();
    expect(text).toContain('workqueue_unfinished_work_seconds{name="pod",controller="pod"} 5\n');
    expect(text).toContain('workqueue_longest_running_processor_seconds{name="pod",controller="pod"} 4\n');
    expect(text).toContain('workqueue_depth{name="pod",controller="pod"} 1\n');
    expect(text).toContain('controller_runtime_active_workers{controller="pod"} 2\n');
    await clock.advance(20_000);
    await controller.stop();
  });
});

describe('the metrics of the process', () => {
  it('leave an idle process asleep', () => {
    const script = `
      import { Metrics } from ${JSON.stringify(new URL('../../src/kube/metrics.ts', import.meta.url).href)};
      const metrics = new Metrics();
      metrics.collectProcess();
      const rounds = () => performance.nodeTiming.uvMetricsInfo.loopCount;
      setTimeout(() => {
        const before = rounds();
        setTimeout(async () => {
          console.log(JSON.stringify({ rounds: rounds() - before, text: await metrics.registry.metrics() }));
          process.exit();
        }, 1000);
      }, 200);`;
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    const { rounds, text } = JSON.parse(said) as { rounds: number; text: string };
    expect(rounds).toBeLessThan(20);
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
    expect(text).not.toMatch(/nodejs_eventloop_lag_\w+_seconds/);
  });
});
