// SPDX-License-Identifier: Apache-2.0
// Pods that are bound at a steady rate, and how long each waits for its record.
import { percentile } from '../bench.ts';
import { cpuSeconds } from '../hollow/api-meter.ts';
import type { HollowBench } from '../hollow/hollow-bench.ts';
import { bind } from './bind.ts';
import type { Lives } from './lives.ts';
import type { Observer } from './observer.ts';

const tickMs = 5;
const patienceMs = 60_000;

export interface Steady {
  /** Pods bound a second, as asked for. */
  readonly rate: number;
  /** From when the binding was sent until the record was seen. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** From when the binding was sent until it was answered: what the API server takes for a write of that moment. */
  readonly bindP99Ms: number;
  /** Cores in use meanwhile. */
  readonly controllerCores: number;
  readonly serverCores: number;
}

export async function arriveSteadily(
  { bench, lives, observer }: { bench: HollowBench; lives: Lives; observer: Observer },
  { rate, seconds, pool }: { rate: number; seconds: number; pool: string },
): Promise<Steady> {
  const pods = await lives.make(Math.round(rate * seconds), pool);
  const sentAtMs: number[] = [];
  const answeredAtMs: number[] = [];
  const calls: Promise<void>[] = [];
  const cpu = () => ({ controller: cpuSeconds(bench.controller?.pid ?? 0), server: cpuSeconds(bench.server.pid) });
  const before = cpu();
  const startMs = performance.now();
  const bindNext = async (at: number): Promise<void> => {
    sentAtMs[at] = performance.now();
    await bind(bench.client, pods[at]?.metadata.name ?? '', lives.nodeOf(at));
    answeredAtMs[at] = performance.now();
  };
  while (calls.length < pods.length) {
    // By the clock: a tick that comes late makes up for it, since whoever is bound does not wait for us either.
    const due = Math.min(pods.length, Math.ceil(((performance.now() - startMs) / 1000) * rate));
    while (calls.length < due) calls.push(bindNext(calls.length));
    await new Promise((resolve) => setTimeout(resolve, tickMs));
  }
  await Promise.all(calls);
  const uids = pods.map(({ metadata }) => metadata.uid ?? '');
  await observer.seen(uids, patienceMs);
  const tookSeconds = (performance.now() - startMs) / 1000;
  const after = cpu();
  const waitedMs = uids.map((uid, at) => (observer.boundAtMs.get(uid) ?? Number.NaN) - (sentAtMs[at] ?? Number.NaN));
  return {
    rate,
    p50Ms: percentile(waitedMs, 0.5),
    p99Ms: percentile(waitedMs, 0.99),
    bindP99Ms: percentile(
      answeredAtMs.map((answered, at) => answered - (sentAtMs[at] ?? Number.NaN)),
      0.99,
    ),
    controllerCores: (after.controller - before.controller) / tookSeconds,
    serverCores: (after.server - before.server) / tookSeconds,
  };
}
