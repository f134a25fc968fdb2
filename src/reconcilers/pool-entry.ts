// SPDX-License-Identifier: Apache-2.0
// A pool of the address book with what it can give out, and what of that nobody has.
import type { Address } from '../ip/address.ts';
import { FreeAddresses } from '../ip/free-addresses.ts';
import { RangeSet } from '../ip/range-set.ts';
import type { KeptAddresses } from './kept-addresses.ts';
import type { Pool } from './pool.ts';

export interface PoolEntry {
  readonly pool: Pool;
  /** What the pool can give out: declared, less every gateway, node's and Service's address. */
  readonly usable: RangeSet;
  readonly free: FreeAddresses;
}

/** `taken` are held by anybody, in this pool or not. */
export function poolEntry(pool: Pool, kept: KeptAddresses, taken: Iterable<Address>): PoolEntry {
  const usable = kept.usable(pool.declared);
  const free = new FreeAddresses(usable);
  for (const address of taken) free.take(address);
  return { pool, usable, free };
}

/** As sets, for whoever only looks. */
export interface PoolSets {
  readonly usable: RangeSet;
  readonly free: RangeSet;
}

export function poolSets(entry: PoolEntry | undefined): PoolSets {
  return { usable: entry?.usable ?? RangeSet.empty, free: RangeSet.of(entry?.free.ranges ?? []) };
}
