// SPDX-License-Identifier: Apache-2.0
// Records in memory, through the interface that the informer has.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { InformerEvent } from '../../src/kube/informer.ts';
import { Store } from '../../src/kube/store.ts';
import { recordIndexes, type RecordSource } from '../../src/node/records.ts';

/** A pod's record, the pod's name being its uid. */
export function record(address: string, uid: string, change: Partial<IpAllocation['spec']> = {}): IpAllocation {
  const spec: IpAllocation['spec'] = {
    address,
    ips: 'sample-ips',
    gateway: '10.244.0.1',
    prefixLength: 32,
    nodeName: 'one',
    nodeUID: 'node-one',
    owner: { kind: 'Pod', namespace: 'default', name: uid, uid },
    state: 'Bound',
    stateSince: '2026-01-01T00:00:00Z',
    ...change,
  };
  return { metadata: { name: address, uid: `record-${address}` }, spec };
}

/** Records as the API server would show them, with events on every change. */
export class MemoryRecords implements RecordSource {
  readonly hasSynced = true;
  readonly #store = new Store<IpAllocation>(recordIndexes);
  readonly #handlers = new Set<(event: InformerEvent<IpAllocation>) => void>();
  #version = 0;

  get(name: string): IpAllocation | undefined {
    return this.#store.get(name);
  }

  list(): IpAllocation[] {
    return this.#store.list();
  }

  byIndex(index: string, value: string): IpAllocation[] {
    return this.#store.byIndex(index, value);
  }

  on(handler: (event: InformerEvent<IpAllocation>) => void): () => void {
    this.#handlers.add(handler);
    for (const object of this.list()) handler({ type: 'added', object });
    return () => this.#handlers.delete(handler);
  }

  put(record: IpAllocation): IpAllocation {
    this.#version += 1;
    const object = { ...record, metadata: { ...record.metadata, resourceVersion: String(this.#version) } };
    const old = this.#store.put(object);
    const event: InformerEvent<IpAllocation> =
      old === undefined ? { type: 'added', object } : { type: 'updated', object, old };
    for (const handler of this.#handlers) handler(event);
    return object;
  }

  remove(name: string): void {
    const object = this.#store.remove(name);
    if (object === undefined) return;
    for (const handler of this.#handlers) handler({ type: 'deleted', object });
  }
}
