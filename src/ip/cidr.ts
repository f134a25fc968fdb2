// SPDX-License-Identifier: Apache-2.0
// Ranges as CIDRs, for routes and rules: the kernel takes blocks, a pool is written as ranges. The blocks hold exactly
// the addresses of the ranges, since a route for one address too many steals it from somebody.
import type { Cidr, Range } from './range.ts';
import { RangeSet } from './range-set.ts';

/** The fewest blocks that hold exactly these addresses, ascending; at most 62 for one range. */
export function toCidrs(ranges: Iterable<Range>): Cidr[] {
  return RangeSet.of(ranges).ranges.flatMap(blocksOf);
}

function blocksOf(range: Range): Cidr[] {
  const blocks: Cidr[] = [];
  let address = range.first;
  while (address <= range.last) {
    const hostBits = Math.min(trailingZeros(address), Math.floor(Math.log2(range.last - address + 1)));
    blocks.push({ address, prefixLength: 32 - hostBits });
    address += 2 ** hostBits;
  }
  return blocks;
}

/** How many low bits of the address are zero; 32 for 0.0.0.0. */
function trailingZeros(address: number): number {
  return address === 0 ? 32 : 31 - Math.clz32(address & -address);
}
