// SPDX-License-Identifier: Apache-2.0
// The records of this node as the parts of the agent ask for them: by address, by the owner's identity, by the pod's
// name; and a way to wait for the next word about a pod.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { type Clock, realClock } from '../kube/clock.ts';
import type { Informer } from '../kube/informer.ts';
import type { PodIdentity } from '../protocol/messages.ts';
import { isUsable } from '../wiring/add-plan.ts';

/** What is used of the informer, so that a test may keep its records in memory. */
export type RecordSource = Pick<Informer<IpAllocation>, 'get' | 'list' | 'byIndex' | 'on' | 'hasSynced'>;

export const recordIndexes = {
  owner: (record: IpAllocation) => [record.spec.owner.uid],
  pod: (record: IpAllocation) => [podName(record.spec.owner)],
};

function podName(pod: { namespace?: string; name: string }): string {
  return `${pod.namespace ?? ''}/${pod.name}`;
}

export interface PodRecords {
  /** The pod's identity: what the runtime gave, else what the records know; '' where neither does. */
  readonly identity: string;
  readonly records: readonly IpAllocation[];
}

export class Records {
  readonly source: RecordSource;
  readonly #clock: Clock;
  readonly #waiters = new Map<string, Set<() => void>>();

  constructor(source: RecordSource, clock: Clock = realClock) {
    this.source = source;
    this.#clock = clock;
    source.on(({ object }) => {
      this.#wake(object.spec.owner.uid);
      this.#wake(podName(object.spec.owner));
    });
  }

  get(address: string): IpAllocation | undefined {
    return this.source.get(address);
  }

  /** What work for this pod is queued under. */
  keyOf(pod: PodIdentity): string {
    return pod.uid === '' ? podName(pod) : pod.uid;
  }

  ofPod(pod: PodIdentity): PodRecords {
    if (pod.uid !== '') {
      return { identity: pod.uid, records: this.source.byIndex('owner', pod.uid) };
    }
    const records = this.source.byIndex('pod', podName(pod));
    const record = records.find(isUsable) ?? records[0];
    return { identity: record?.spec.owner.uid ?? '', records };
  }

  /** Resolves at the next event of a record of this pod, at the latest after `limitMs`. */
  next(pod: PodIdentity, limitMs: number): Promise<void> {
    const key = this.keyOf(pod);
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(key) ?? new Set();
      this.#waiters.set(key, waiters);
      const end = (): void => {
        cancel();
        waiters.delete(end);
        if (waiters.size === 0 && this.#waiters.get(key) === waiters) this.#waiters.delete(key);
        resolve();
      };
      const cancel = this.#clock.after(limitMs, end);
      waiters.add(end);
    });
  }

  /** Whoever waits for a word about this pod looks again. */
  wake(pod: PodIdentity): void {
    this.#wake(this.keyOf(pod));
  }

  /** Whoever waits for a word about any pod looks again. */
  wakeAll(): void {
    for (const key of this.#waiters.keys()) this.#wake(key);
  }

  #wake(key: string): void {
    for (const waiter of this.#waiters.get(key) ?? []) waiter();
  }
}
