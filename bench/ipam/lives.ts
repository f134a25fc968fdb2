// SPDX-License-Identifier: Apache-2.0
// A thousand pods' lives, from the moment at which all of them are bound to the last trace of them.
import type { Pod } from '../../src/api/workloads.ts';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { nodeKind, poolKind } from '../../src/operator/kinds.ts';
import { boundRecord } from '../../src/reconcilers/allocation.ts';
import { parsePool } from '../../src/reconcilers/pool.ts';
import { atOnce } from '../api/at-once.ts';
import { percentile } from '../bench.ts';
import { cpuSeconds, readRequests, type RequestCounts, requestsBetween } from '../hollow/api-meter.ts';
import type { Child } from '../hollow/child.ts';
import { type HollowBench, width } from '../hollow/hollow-bench.ts';
import { bind } from './bind.ts';
import type { LimitMethods } from './limit.ts';
import type { Observer } from './observer.ts';

const patienceMs = 120_000;
/** After the last record: what was to be written behind it has been. */
const restMs = 1000;

/** How one thousand pods came to their addresses. */
export interface Burst {
  /** Per second: pods over the time from the start to the last record. */
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU milliseconds per pod, until the last record. */
  readonly controllerMs: number;
  readonly serverMs: number;
  /** Writes of NodeEndpoints per pod, until the last record. */
  readonly endpointWrites: number;
}

export interface Life extends Burst {
  /** The API server's count before the first pod was bound and after the last trace was gone. */
  readonly before: RequestCounts;
  readonly after: RequestCounts;
}

interface Stage {
  readonly bench: HollowBench;
  readonly observer: Observer;
  readonly limit: Child<LimitMethods>;
}

export class Lives {
  readonly #stage: Stage;
  #made = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Pods that no node has yet. */
  async make(count: number, pool: string): Promise<Pod[]> {
    const { cluster } = this.#stage.bench;
    const pods: Pod[] = [];
    await atOnce(Array.from({ length: count }), width, async () => {
      this.#made += 1;
      pods.push(await cluster.addPod(`pod-${this.#made}`, undefined, pool));
    });
    return pods;
  }

  async bind(pods: readonly Pod[]): Promise<void> {
    const { bench } = this.#stage;
    await atOnce(pods, width, (pod, at) => bind(bench.client, pod.metadata.name, this.nodeOf(at)));
  }

  nodeOf(at: number): string {
    const { nodes } = this.#stage.bench;
    return nodes[at % nodes.length] ?? '';
  }

  /**
   * All pods are bound while the controller is stopped (SIGSTOP), so that it finds them bound at once; the clock starts
   * when it goes on, or when the plain loop starts in its place. The agents speak when the last record is there, in both:
   * whoever is slower would else have more of their writes beside his own. A kubelet's ADD takes about as long to come.
   */
  async live(count: number, pool: string, by: 'controller' | 'limit'): Promise<Life> {
    const { bench, observer, limit } = this.#stage;
    const pods = await this.make(count, pool);
    const records = by === 'limit' ? await this.#recordsOf(pods, pool) : [];
    bench.controller?.pause();
    await bench.fleet.ask('hold', true);
    await this.bind(pods);
    const before = await readRequests(bench.client);
    const cpuBefore = this.#cpu();
    const startMs = performance.now();
    if (by === 'limit') await limit.ask('create', records);
    else bench.controller?.resume();
    const burst = await this.#burst(pods, startMs, cpuBefore);
    const { done } = await readRequests(bench.client);
    bench.controller?.resume();
    await bench.fleet.ask('hold', false);
    await observer.attached(patienceMs);
    await this.end(pods);
    const endpointWrites = requestsBetween(before.done, done, /^(POST|PUT) nodeendpoints$/) / count;
    return { ...burst, endpointWrites, before, after: await readRequests(bench.client) };
  }

  /**
   * Pods a second where a plain loop binds each and creates its record, until the agents have reported the last wire: what
   * this API server gives with all writes that a pod needs and no controller.
   */
  async plainRate(count: number, pool: string): Promise<number> {
    const { bench, observer, limit } = this.#stage;
    const pods = await this.make(count, pool);
    const records = await this.#recordsOf(pods, pool);
    bench.controller?.pause();
    const startMs = performance.now();
    await limit.ask('bindAndCreate', records);
    await observer.seen(pods.map(uidOf), patienceMs);
    await observer.attached(patienceMs);
    const tookMs = performance.now() - startMs;
    bench.controller?.resume();
    await this.end(pods);
    return (count / tookMs) * 1000;
  }

  async #burst(
    pods: readonly Pod[],
    startMs: number,
    cpuBefore: { controller: number; server: number },
  ): Promise<Omit<Burst, 'endpointWrites'>> {
    const { observer } = this.#stage;
    const uids = pods.map(uidOf);
    await observer.seen(uids, patienceMs);
    const cpu = this.#cpu();
    const waitedMs = uids.map((uid) => (observer.boundAtMs.get(uid) ?? Number.NaN) - startMs);
    return {
      rate: (pods.length / Math.max(...waitedMs)) * 1000,
      p50Ms: percentile(waitedMs, 0.5),
      p99Ms: percentile(waitedMs, 0.99),
      controllerMs: ((cpu.controller - cpuBefore.controller) * 1000) / pods.length,
      serverMs: ((cpu.server - cpuBefore.server) * 1000) / pods.length,
    };
  }

  /** The pods go, the nodes let go of their wires, the addresses rest, and no record is left. */
  async end(pods: readonly Pod[]): Promise<void> {
    const { bench, observer } = this.#stage;
    await bench.removePods(pods.map(({ metadata }) => metadata.name));
    await observer.empty(patienceMs);
    await new Promise((resolve) => setTimeout(resolve, restMs));
  }

  /** Writes of records per pod until an agent could have wired it: no agent speaks before all records are there. */
  async writesBeforeAdd(count: number, pool: string): Promise<{ done: number; refused: number }> {
    const { bench, observer } = this.#stage;
    await bench.fleet.ask('hold', true);
    const pods = await this.make(count, pool);
    const before = await readRequests(bench.client);
    await this.bind(pods);
    await observer.seen(pods.map(uidOf), patienceMs);
    await new Promise((resolve) => setTimeout(resolve, restMs));
    const after = await readRequests(bench.client);
    await bench.fleet.ask('hold', false);
    await observer.attached(patienceMs);
    await this.end(pods);
    return {
      done: recordWrites(before.done, after.done) / count,
      refused: recordWrites(before.refused, after.refused) / count,
    };
  }

  /** What the controller would write for these pods, with the lowest addresses of the pool. */
  async #recordsOf(pods: readonly Pod[], poolName: string): Promise<IpAllocation[]> {
    const { client } = this.#stage.bench;
    const parsed = parsePool(await client.get(poolKind, poolName));
    if (parsed.kind === 'problem') throw new Error(parsed.problem.message);
    const { pool } = parsed;
    const first = pool.declared.ranges[0]?.first ?? 0;
    const nodes = new Map(
      (await client.list(nodeKind)).items.map(({ metadata }) => [metadata.name, metadata.uid ?? '']),
    );
    return pods.map(({ metadata }, at) => {
      const owner = { kind: 'Pod' as const, namespace: 'default', name: metadata.name, uid: metadata.uid ?? '' };
      const nodeName = this.nodeOf(at);
      const claim = { owner, nodeName, nodeUID: nodes.get(nodeName) ?? '' };
      return boundRecord(claim, pool, first + at, Date.now());
    });
  }

  #cpu(): { controller: number; server: number } {
    const { controller, server } = this.#stage.bench;
    return { controller: controller === undefined ? 0 : cpuSeconds(controller.pid), server: cpuSeconds(server.pid) };
  }
}

function uidOf({ metadata }: Pod): string {
  return metadata.uid ?? '';
}

function recordWrites(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number {
  return requestsBetween(before, after, /^(POST|PUT|PATCH|DELETE) ipallocations/);
}
