// SPDX-License-Identifier: Apache-2.0
// docs/metrics.md against what the programs register.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';
import { silentLog } from '../../src/kube/log.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import { CniMetrics } from '../../src/node/cni-metrics.ts';
import { NodeMetrics } from '../../src/node/node-metrics.ts';
import { InstallReconciler } from '../../src/operator/install.ts';
import { IpamMetrics } from '../../src/operator/ipam-metrics.ts';
import { PoolMetrics } from '../../src/operator/pool-metrics.ts';

interface Registered {
  name: string;
  type: string;
  help: string;
}

/** What both programs register, but for the process's own. */
async function registered(): Promise<Registered[]> {
  const metrics = new Metrics();
  const { registry } = metrics;
  const install = { metrics, log: silentLog } as unknown as ConstructorParameters<typeof InstallReconciler>[0];
  const made = [
    new IpamMetrics(registry),
    new PoolMetrics(
      registry,
      () => [],
      () => false,
      () => 0,
    ),
    new InstallReconciler(install),
    new NodeMetrics(registry, { report: () => undefined, counters: () => undefined }),
    new CniMetrics(registry),
  ];
  expect(made).toHaveLength(5);
  const all = (await registry.getMetricsAsJSON()) as unknown as Registered[];
  return all.map((one) => ({ ...one }));
}

const page = readFileSync(join(root, 'docs/metrics.md'), 'utf8');
const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (\w+) \|[^|]*\| .+ \|$/gm)].map(
  ([, name, type]) => `${name} ${type}`,
);

describe('the page of metrics', () => {
  it('has every metric with its type, and none that is not there', async () => {
    const all = await registered();
    expect(rows.toSorted()).toEqual(all.map(({ name, type }) => `${name} ${type}`).toSorted());
  });
});

describe('the metrics of pools', () => {
  it('show every state of every pool, and how long a pod waited', async () => {
    const { registry } = new Metrics();
    let nowMs = 1000;
    const status = { total: 10, bound: 3, cooling: 1, reserved: 0, free: 6, outOfRange: 0 };
    const pools = [{ metadata: { name: 'p' }, spec: { subnet: '10.0.0.1/32', ips: ['10.0.0.2'] }, status }];
    const measured = new PoolMetrics(
      registry,
      () => pools,
      () => false,
      () => nowMs,
    );
    const pod = { metadata: { name: 'a', uid: 'u' }, spec: { nodeName: 'n' } };
    measured.sawPod('u', { ...pod, spec: {} });
    measured.sawPod('u', pod);
    expect(await registry.metrics()).toContain('fast_pods_waiting 1');
    nowMs += 20;
    const record = { metadata: { name: '10.0.0.2' }, spec: { state: 'Bound', owner: { uid: 'u' } } };
    measured.sawRecord(record as Parameters<PoolMetrics['sawRecord']>[0]);
    measured.sawPod('u', pod);
    const text = await registry.metrics();
    expect(text).toContain('fast_pool_addresses{pool="p",usage="Pod",state="free"} 6');
    expect(text).toContain('fast_allocation_wait_seconds_bucket{le="0.025"} 1');
    expect(text).toContain('fast_allocation_wait_seconds_bucket{le="0.01"} 0');
    expect(text).toContain('fast_pods_waiting 0');
  });

  it('count no pod as waiting whose record was listed before it, as after a restart', async () => {
    const { registry } = new Metrics();
    const measured = new PoolMetrics(
      registry,
      () => [],
      (identity) => identity === 'served',
      () => 0,
    );
    for (const name of ['served', 'waiting']) measured.sawPod(name, { metadata: { name }, spec: { nodeName: 'n' } });
    const text = await registry.metrics();
    expect(text).toContain('fast_pods_waiting 1');
    expect(text).toContain('fast_allocation_wait_seconds_count 0');
  });

  it('measure no pod of the host network, none that has its address, and none that is over', async () => {
    const { registry } = new Metrics();
    const measured = new PoolMetrics(
      registry,
      () => [],
      () => false,
      () => 0,
    );
    const metadata = { name: 'a', uid: 'u' };
    measured.sawPod('a', { metadata, spec: { nodeName: 'n', hostNetwork: true } });
    measured.sawPod('b', { metadata, spec: { nodeName: 'n' }, status: { podIP: '10.0.0.2' } });
    measured.sawPod('c', { metadata, spec: { nodeName: 'n' }, status: { phase: 'Failed' } });
    measured.sawPod('d', { metadata: { ...metadata, deletionTimestamp: 'now' }, spec: { nodeName: 'n' } });
    measured.sawPod('e', { metadata, spec: { nodeName: 'n' } });
    measured.podGone('e');
    expect(await registry.metrics()).toContain('fast_pods_waiting 0');
  });
});
