// SPDX-License-Identifier: Apache-2.0
// What became of a pool's addresses: its own records', those of a pool that overlaps it, and what is free, in the whole
// and range by range.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { parseAddress } from '../ip/address.ts';
import { formatRange, type Range, rangeSize } from '../ip/range.ts';
import { RangeSet } from '../ip/range-set.ts';
import type { AddressBook } from '../reconcilers/address-book.ts';
import { isInHands } from '../reconcilers/record-index.ts';
import type { Fill } from './fill.ts';

/** Another pool that declares some of the same addresses. */
export interface Overlap {
  readonly pool: string;
  /** How many addresses both declare. */
  readonly sharedAddresses: number;
  /** How many of these that pool's records hold. */
  readonly heldThere: number;
}

export function overlapsOf(book: AddressBook, poolName: string): Overlap[] {
  const declared = book.pool(poolName)?.declared ?? RangeSet.empty;
  return book
    .pools()
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .filter(({ name }) => name !== poolName)
    .flatMap((other) => {
      const shared = declared.intersect(other.declared);
      if (shared.size === 0) return [];
      const heldThere = book.byPool(other.name).filter((record) => isWithin(shared, record)).length;
      return [{ pool: other.name, sharedAddresses: shared.size, heldThere }];
    });
}

function isWithin(set: RangeSet, { metadata }: IpAllocation): boolean {
  return set.contains(parseAddress(metadata.name));
}

/** Of the pool, or of a part of it. */
export function fillOf(book: AddressBook, poolName: string, part?: RangeSet): Fill & { readonly free: number } {
  const sets = book.sets(poolName);
  const usable = part === undefined ? sets.usable : sets.usable.intersect(part);
  const own = book.byPool(poolName).filter((record) => isWithin(usable, record));
  const used = own.filter(isInHands).length;
  const free = sets.free.intersect(usable).size;
  const resting = own.length - used;
  return { used, usedElsewhere: usable.size - free - own.length, resting, total: usable.size, free };
}

/** The share taken of each cell of the range; a range of fewer addresses has a cell for each. */
export function sharesOf(book: AddressBook, poolName: string, range: Range, most: number): Array<number | undefined> {
  const cells = Math.min(most, rangeSize(range));
  const sets = book.sets(poolName);
  const usable = perCell(sets.usable, range, cells);
  const free = perCell(sets.free, range, cells);
  return usable.map((count, cell) => (count === 0 ? undefined : 1 - (free[cell] ?? 0) / count));
}

/** How many addresses of the set each cell of the range has. */
function perCell(set: RangeSet, range: Range, cells: number): number[] {
  const size = rangeSize(range);
  const firstOf = (cell: number): number => range.first + Math.ceil((cell * size) / cells);
  const cellOf = (address: number): number => Math.floor(((address - range.first) * cells) / size);
  const counts = Array.from({ length: cells }, () => 0);
  for (const { first, last } of set.intersect(RangeSet.of([range])).ranges) {
    for (let cell = cellOf(first); cell <= cellOf(last); cell += 1) {
      const [low, high] = [Math.max(first, firstOf(cell)), Math.min(last, firstOf(cell + 1) - 1)];
      counts[cell] = (counts[cell] ?? 0) + high - low + 1;
    }
  }
  return counts;
}

/** The ranges as people and manifests write them. */
export function textsOf(set: RangeSet): string[] {
  return set.ranges.map(formatRange);
}
