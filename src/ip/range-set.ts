// SPDX-License-Identifier: Apache-2.0
// A set of addresses as sorted ranges. All arithmetic is on the ends, never on the addresses between them, so that a /8
// costs what a /29 costs.
import type { Address } from './address.ts';
import { type Range, rangeSize } from './range.ts';

/** The index of the last range that begins at or below `address`, or -1. */
export function indexAtOrBelow(ranges: readonly Range[], address: Address): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    if (range !== undefined && range.first <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

/** An immutable set of addresses. */
export class RangeSet {
  static readonly empty = new RangeSet([]);

  /** Ascending, disjoint, and never touching each other: a set has one spelling. */
  readonly ranges: readonly Range[];
  /** How many addresses are in the set. */
  readonly size: number;

  private constructor(ranges: readonly Range[]) {
    this.ranges = ranges;
    this.size = ranges.reduce((sum, range) => sum + rangeSize(range), 0);
  }

  /** The set of all addresses in the ranges, which may overlap and come in any order. */
  static of(ranges: Iterable<Range>): RangeSet {
    const sorted = [...ranges].sort((a, b) => a.first - b.first);
    const merged: Range[] = [];
    for (const range of sorted) {
      const before = merged.at(-1);
      if (before !== undefined && range.first <= before.last + 1) {
        merged[merged.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
      } else {
        merged.push(range);
      }
    }
    return new RangeSet(merged);
  }

  contains(address: Address): boolean {
    const range = this.ranges[indexAtOrBelow(this.ranges, address)];
    return range !== undefined && address <= range.last;
  }

  union(other: RangeSet): RangeSet {
    return RangeSet.of([...this.ranges, ...other.ranges]);
  }

  /** The addresses of this set that are not in the other. */
  subtract(other: RangeSet): RangeSet {
    const left: Range[] = [];
    let next = 0;
    for (const range of this.ranges) {
      let first = range.first;
      let hole = other.ranges[next];
      while (hole !== undefined && hole.last < first) {
        next += 1;
        hole = other.ranges[next];
      }
      for (let at = next; hole !== undefined && hole.first <= range.last; at += 1, hole = other.ranges[at]) {
        if (hole.first > first) {
          left.push({ first, last: hole.first - 1 });
        }
        first = Math.max(first, hole.last + 1);
      }
      if (first <= range.last) {
        left.push({ first, last: range.last });
      }
    }
    return new RangeSet(left);
  }

  /** The addresses that are in both sets. */
  intersect(other: RangeSet): RangeSet {
    const shared: Range[] = [];
    let mine = 0;
    let theirs = 0;
    for (;;) {
      const a = this.ranges[mine];
      const b = other.ranges[theirs];
      if (a === undefined || b === undefined) {
        return new RangeSet(shared);
      }
      const first = Math.max(a.first, b.first);
      const last = Math.min(a.last, b.last);
      if (first <= last) {
        shared.push({ first, last });
      }
      if (a.last <= b.last) {
        mine += 1;
      } else {
        theirs += 1;
      }
    }
  }
}
