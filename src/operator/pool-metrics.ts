// SPDX-License-Identifier: Apache-2.0
// How full the pools are, and how long pods wait for their addresses. Read off the informers, by every replica alike: the
// figures are the cluster's and not the leader's.
import { Gauge, Histogram, type Registry } from 'prom-client';
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Ips } from '../api/generated/ips.ts';
import type { Pod } from '../api/workloads.ts';

/** Around the objective, 99.9 % below half a second. */
const waitBucketsSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** Pods that start at once; beyond it some are not measured. */
const maxStarting = 50_000;

const states = ['total', 'bound', 'cooling', 'reserved', 'free', 'outOfRange'] as const;

export class PoolMetrics {
  readonly #wait: Histogram;
  readonly #isBound: (identity: string) => boolean;
  readonly #nowMs: () => number;
  /** Pods on the way to their start, by identity: since when they wait for a record, undefined once it was seen. */
  readonly #starting = new Map<string, number | undefined>();

  /** `isBound` tells whether the pod of an identity is known to have its record. */
  constructor(
    registry: Registry,
    pools: () => readonly Ips[],
    isBound: (identity: string) => boolean,
    nowMs: () => number,
  ) {
    this.#isBound = isBound;
    this.#nowMs = nowMs;
    const addresses: Gauge<'pool' | 'usage' | 'state'> = new Gauge({
      name: 'fast_pool_addresses',
      help: 'Addresses of a pool by state; total is all that it can give out',
      labelNames: ['pool', 'usage', 'state'],
      registers: [registry],
      collect: () => {
        addresses.reset();
        for (const { metadata, spec, status } of pools()) {
          for (const state of states) {
            const value = status?.[state];
            const labels = { pool: metadata.name, usage: spec.usage ?? 'Pod', state };
            if (value !== undefined) addresses.set(labels, value);
          }
        }
      },
    });
    this.#wait = new Histogram({
      name: 'fast_allocation_wait_seconds',
      help: 'From when a pod is seen bound to a node until its IpAllocation is seen',
      buckets: waitBucketsSeconds,
      registers: [registry],
    });
    const waiting: Gauge = new Gauge({
      name: 'fast_pods_waiting',
      help: 'Pods that are bound to a node and have no address yet',
      registers: [registry],
      collect: () => {
        waiting.set([...this.#starting.values()].filter((since) => since !== undefined).length);
      },
    });
  }

  /** A pod as the informer shows it, with the identity that its record names it by. */
  sawPod(identity: string, pod: Pod): void {
    const isStarting =
      pod.spec.nodeName !== undefined &&
      pod.spec.hostNetwork !== true &&
      pod.status?.podIP === undefined &&
      isLive(pod);
    if (!isStarting) this.#starting.delete(identity);
    else if (!this.#starting.has(identity) && this.#starting.size < maxStarting) {
      // After a start the list of records may come before that of pods.
      this.#starting.set(identity, this.#isBound(identity) ? undefined : this.#nowMs());
    }
  }

  podGone(identity: string): void {
    this.#starting.delete(identity);
  }

  sawRecord({ spec }: IpAllocation): void {
    const sinceMs = this.#starting.get(spec.owner.uid);
    if (sinceMs === undefined || spec.state !== 'Bound') return;
    this.#starting.set(spec.owner.uid, undefined);
    this.#wait.observe((this.#nowMs() - sinceMs) / 1000);
  }
}

function isLive({ metadata, status }: Pod): boolean {
  const isOver = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  return metadata.deletionTimestamp === undefined && !isOver;
}
