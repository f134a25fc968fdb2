// SPDX-License-Identifier: Apache-2.0
// How many records of a pool are in which state, kept as they change: a recount walks every record of the pool, and a
// pool is looked at each second. And which of its addresses rest, the longest-rested first.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { type Address, parseAddress } from '../ip/address.ts';
import { RangeSet } from '../ip/range-set.ts';

/** How full a pool is, in addresses. `bound` counts Bound and Releasing; `outOfRange` is a part of the others. */
export interface PoolCounts {
  readonly total: number;
  readonly bound: number;
  readonly cooling: number;
  readonly reserved: number;
  readonly free: number;
  readonly outOfRange: number;
}

interface Rest {
  readonly sinceMs: number;
  readonly address: Address;
}

export class PoolTally {
  readonly #count = { Bound: 0, Releasing: 0, Cooling: 0, Reserved: 0 };
  /** Sorted by `before`. */
  readonly #resting: Rest[] = [];
  /** What the pool can give out now; records outside of it drain. */
  #usable = RangeSet.empty;
  #outOfRange = 0;

  get counts(): Omit<PoolCounts, 'total' | 'free'> {
    const { Bound, Releasing, Cooling, Reserved } = this.#count;
    return { bound: Bound + Releasing, cooling: Cooling, reserved: Reserved, outOfRange: this.#outOfRange };
  }

  /** The pool can give out other addresses now. `records` are all of its own. */
  setUsable(usable: RangeSet, records: readonly IpAllocation[]): void {
    this.#usable = usable;
    this.#outOfRange = records.filter((record) => !usable.contains(parseAddress(record.metadata.name))).length;
  }

  add(record: IpAllocation): void {
    this.#tell(record, 1);
    if (record.spec.state !== 'Cooling') return;
    const rest = restOf(record);
    this.#resting.splice(this.#indexOf(rest), 0, rest);
  }

  remove(record: IpAllocation): void {
    this.#tell(record, -1);
    if (record.spec.state === 'Cooling') this.#resting.splice(this.#indexOf(restOf(record)), 1);
  }

  /** The addresses that rest, the longest-rested first, of those that rest equally long the lowest. */
  *resting(): Generator<Address> {
    for (const { address } of this.#resting) yield address;
  }

  #tell(record: IpAllocation, by: 1 | -1): void {
    this.#count[record.spec.state] += by;
    if (!this.#usable.contains(parseAddress(record.metadata.name))) this.#outOfRange += by;
  }

  /** Where the rest stands, or belongs. */
  #indexOf(rest: Rest): number {
    let low = 0;
    let high = this.#resting.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const each = this.#resting[middle];
      if (each !== undefined && isBefore(each, rest)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function restOf({ metadata, spec }: IpAllocation): Rest {
  return { sinceMs: Date.parse(spec.stateSince), address: parseAddress(metadata.name) };
}

function isBefore(a: Rest, b: Rest): boolean {
  return a.sinceMs < b.sinceMs || (a.sinceMs === b.sinceMs && a.address < b.address);
}
