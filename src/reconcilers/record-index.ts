// SPDX-License-Identifier: Apache-2.0
// Records by what they are asked for: owner, node, pool, a StatefulSet's ordinal. A linear scan for each pod would make
// a full cluster quadratic.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { ordinalKey } from './stateful-set.ts';

type Facet = 'owner' | 'node' | 'pool' | 'ordinal';

/** A record that rests or is reserved is in nobody's hands: its owner and its node are former ones. */
const facets: Record<Facet, (record: IpAllocation) => string | undefined> = {
  owner: (record) => (isInHands(record) ? record.spec.owner.uid : undefined),
  node: (record) => (isInHands(record) ? record.spec.nodeName : undefined),
  pool: (record) => record.spec.ips,
  ordinal: ({ spec: { reservedFor } }) => (reservedFor === undefined ? undefined : ordinalKey(reservedFor)),
};

const facetNames = Object.keys(facets) as Facet[];

export class RecordIndex {
  readonly #records = new Map<string, IpAllocation>();
  readonly #by: Record<Facet, Map<string, Set<string>>> = {
    owner: new Map(),
    node: new Map(),
    pool: new Map(),
    ordinal: new Map(),
  };

  get(address: string): IpAllocation | undefined {
    return this.#records.get(address);
  }

  addresses(): Iterable<string> {
    return this.#records.keys();
  }

  /** The records of one owner uid, node name, pool name or ordinal, in no order. */
  by(facet: Facet, key: string): IpAllocation[] {
    const found: IpAllocation[] = [];
    for (const address of this.#by[facet].get(key) ?? []) {
      const record = this.#records.get(address);
      if (record !== undefined) found.push(record);
    }
    return found;
  }

  has(facet: Facet, key: string): boolean {
    return this.#by[facet].has(key);
  }

  set(record: IpAllocation): void {
    this.delete(record.metadata.name);
    this.#records.set(record.metadata.name, record);
    for (const facet of facetNames) {
      const key = facets[facet](record);
      if (key === undefined) continue;
      const addresses = this.#by[facet].get(key) ?? new Set();
      addresses.add(record.metadata.name);
      this.#by[facet].set(key, addresses);
    }
  }

  delete(address: string): void {
    const record = this.#records.get(address);
    if (record === undefined) return;
    this.#records.delete(address);
    for (const facet of facetNames) {
      const key = facets[facet](record) ?? '';
      const addresses = this.#by[facet].get(key);
      addresses?.delete(address);
      if (addresses?.size === 0) this.#by[facet].delete(key);
    }
  }
}

/** Whether somebody holds the address, or has not let go of it yet. */
export function isInHands({ spec: { state } }: IpAllocation): boolean {
  return state === 'Bound' || state === 'Releasing';
}
