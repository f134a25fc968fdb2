// SPDX-License-Identifier: Apache-2.0
// Sees records come and go by a watch of its own, as an agent does, and notes when.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { Informer } from '../../src/kube/informer.ts';
import { recordKind } from '../../src/operator/kinds.ts';
import { eventually } from '../../test/api/hollow-cluster.ts';

export class Observer {
  /** A pod's uid → when its record was seen first, in milliseconds of performance.now(). */
  readonly boundAtMs = new Map<string, number>();
  readonly #informer: Informer<IpAllocation>;
  #missing = new Set<string>();
  #onAll: () => void = () => undefined;

  constructor(client: KubeClient) {
    this.#informer = new Informer({ client, resource: recordKind });
    this.#informer.on(({ type, object: { spec } }) => {
      if (type === 'deleted' || spec.state !== 'Bound' || this.boundAtMs.has(spec.owner.uid)) return;
      this.boundAtMs.set(spec.owner.uid, performance.now());
      if (this.#missing.delete(spec.owner.uid) && this.#missing.size === 0) this.#onAll();
    });
  }

  async start(): Promise<void> {
    this.#informer.start();
    await this.#informer.synced();
  }

  stop(): Promise<void> {
    return this.#informer.stop();
  }

  /** Resolves when all of them have been seen with a record. @throws Error when that takes too long */
  async seen(uids: readonly string[], timeoutMs: number): Promise<void> {
    this.#missing = new Set(uids.filter((uid) => !this.boundAtMs.has(uid)));
    if (this.#missing.size === 0) return;
    const all = Promise.withResolvers<void>();
    this.#onAll = () => all.resolve();
    const late = (): void =>
      all.reject(new Error(`${this.#missing.size} of ${uids.length} pods have no record after ${timeoutMs} ms`));
    const timer = setTimeout(late, timeoutMs);
    await all.promise.finally(() => clearTimeout(timer));
  }

  /** Resolves when every Bound record of a pod has its wire. */
  async attached(timeoutMs: number): Promise<void> {
    const isAttached = ({ spec, status }: IpAllocation): boolean =>
      spec.state !== 'Bound' || status?.attached?.owner.uid === spec.owner.uid;
    await eventually('every wire', async () => this.#ofPods().every(isAttached), timeoutMs);
  }

  /** Resolves when no record is of a pod any more. */
  async empty(timeoutMs: number): Promise<void> {
    await eventually('the end of all records', async () => this.#ofPods().length === 0, timeoutMs);
  }

  #ofPods(): IpAllocation[] {
    return this.#informer.list().filter(({ spec }) => spec.owner.kind === 'Pod');
  }
}
