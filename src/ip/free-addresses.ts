// SPDX-License-Identifier: Apache-2.0
// Which addresses of a pool nobody holds. The free ones are kept as sorted ranges: the lowest is the first end of the
// first range, and taking or giving back one address moves an end, however big the pool is.
import type { Address } from './address.ts';
import type { Range } from './range.ts';
import { indexAtOrBelow, type RangeSet } from './range-set.ts';

/** The free addresses of one pool. A call that changes nothing says so by its word. */
export class FreeAddresses {
  readonly #all: RangeSet;
  /** Ascending, disjoint, not touching; always a part of #all. */
  readonly #free: Range[];
  #count: number;

  constructor(all: RangeSet) {
    this.#all = all;
    this.#free = [...all.ranges];
    this.#count = all.size;
  }

  /** How many addresses are free. */
  get count(): number {
    return this.#count;
  }

  /** Ascending, disjoint and not touching. */
  get ranges(): readonly Range[] {
    return this.#free;
  }

  /** How many addresses the pool has, free and taken. */
  get total(): number {
    return this.#all.size;
  }

  /** The lowest free address; undefined when all are taken. */
  lowest(): Address | undefined {
    return this.#free[0]?.first;
  }

  has(address: Address): boolean {
    const range = this.#free[indexAtOrBelow(this.#free, address)];
    return range !== undefined && address <= range.last;
  }

  take(address: Address): 'taken' | 'alreadyTaken' | 'notHere' {
    if (!this.#all.contains(address)) {
      return 'notHere';
    }
    const index = indexAtOrBelow(this.#free, address);
    const range = this.#free[index];
    if (range === undefined || range.last < address) {
      return 'alreadyTaken';
    }
    const left: Range[] = [];
    if (range.first < address) {
      left.push({ first: range.first, last: address - 1 });
    }
    if (address < range.last) {
      left.push({ first: address + 1, last: range.last });
    }
    this.#free.splice(index, 1, ...left);
    this.#count -= 1;
    return 'taken';
  }

  giveBack(address: Address): 'free' | 'alreadyFree' | 'notHere' {
    if (!this.#all.contains(address)) {
      return 'notHere';
    }
    const index = indexAtOrBelow(this.#free, address);
    const below = this.#free[index];
    if (below !== undefined && address <= below.last) {
      return 'alreadyFree';
    }
    const above = this.#free[index + 1];
    const joinsBelow = below !== undefined && below.last + 1 === address;
    const joinsAbove = above !== undefined && above.first === address + 1;
    const merged = { first: joinsBelow ? below.first : address, last: joinsAbove ? above.last : address };
    const start = joinsBelow ? index : index + 1;
    this.#free.splice(start, (joinsBelow ? 1 : 0) + (joinsAbove ? 1 : 0), merged);
    this.#count += 1;
    return 'free';
  }
}
