// SPDX-License-Identifier: Apache-2.0
// The first sync of an informer as the controller has it, against the bare list of the same objects, both ways.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { Informer, type InformerOptions } from '../../src/kube/informer.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import { recordKind, stripOwn } from '../../src/operator/kinds.ts';
import { type BenchRun, interleaved } from '../bench.ts';
import type { Contestants } from './contestants.ts';

const pageSize = 500;
const syncTimeoutMs = 120_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export interface SyncTimes {
  /** Milliseconds. */
  readonly ours: number[];
  readonly pages: number[];
  readonly whole: number[];
  /** Heap that the informer's objects, keys and store take, per object. */
  readonly bytesPerObject: number[];
  /** The longest time for which ours let nothing else run: no renewal of a lease, no answer to a probe. Milliseconds. */
  readonly pauseMs: number[];
}

/** An informer with what the controller's has. `more.client` may stand between it and the server. */
export function recordInformer(
  more: Pick<InformerOptions<IpAllocation>, 'client' | 'backoff'>,
): Informer<IpAllocation> {
  return new Informer({ ...more, resource: recordKind, transform: stripOwn, metrics: new Metrics() });
}

export async function synced(informer: Informer<IpAllocation>): Promise<void> {
  informer.start();
  await informer.synced(syncTimeoutMs);
}

function check(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`a list of ${wanted} objects has ${found}`);
}

/** At least three rounds: one alone says little of what a collector of garbage and a cache take part in. */
export async function syncTimes(contestants: Contestants, count: number, run: BenchRun): Promise<SyncTimes> {
  const bytesPerObject: number[] = [];
  const pauseMs: number[] = [];
  const ours = async (): Promise<number> => {
    const informer = recordInformer(contestants);
    collect();
    const before = process.memoryUsage().heapUsed;
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const startMs = performance.now();
    await synced(informer);
    const ms = performance.now() - startMs;
    delay.disable();
    pauseMs.push(delay.max / 1e6);
    collect();
    bytesPerObject.push((process.memoryUsage().heapUsed - before) / count);
    check(informer.size, count);
    await informer.stop();
    return ms;
  };
  const bare = (size: number) => async (): Promise<number> => {
    collect();
    const startMs = performance.now();
    const { items } = await contestants.bare.list(size);
    const ms = performance.now() - startMs;
    check(items.length, count);
    return ms;
  };
  const all = { ours, pages: bare(pageSize), whole: bare(0) };
  const times = await interleaved(all, { ...run, rounds: Math.max(run.rounds, 3) });
  return { ...times, bytesPerObject, pauseMs };
}
