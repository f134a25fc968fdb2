// SPDX-License-Identifier: Apache-2.0
// A StatefulSet's pod whose former address is still being let go of waits for it, as long as it would be kept.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { formatAddress, parseAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import { timestamp } from './allocation.ts';
import type { Pool } from './pool.ts';
import type { Promised, Wish } from './promises.ts';
import { isInHands } from './record-index.ts';

/**
 * The pools that keep an address of the owner's ordinal. One that it rests in, that lost it by an edit, or whose node
 * was waited for in vain, keeps none.
 */
export function keepingPools(wish: Wish, book: AddressBook, nowMs: number): string[] {
  const { reservedFor } = wish;
  if (reservedFor === undefined) return [];
  const records = book.byOrdinal(reservedFor).filter((record) => {
    const { state, ips, address } = record.spec;
    const pool = book.pool(ips);
    if (pool === undefined || !book.isUsable(ips, parseAddress(address))) return false;
    return state === 'Reserved' || (isInHands(record) && sentence(record, pool, nowMs) !== undefined);
  });
  const pools = [...records.map(({ spec }) => spec.ips), ...passing(wish, book).map(({ pool }) => pool)];
  return pools.filter((name) => (book.pool(name)?.reservedMs ?? 0) > 0);
}

/** Why the pod has to wait for its address; undefined if it does not. */
export function awaited(pool: Pool, wish: Wish, book: AddressBook, nowMs: number): string | undefined {
  const { owner, fixed, reservedFor } = wish;
  if (reservedFor === undefined || fixed !== undefined || pool.reservedMs === 0) return undefined;
  const given = passing(wish, book).find((promised) => promised.pool === pool.name);
  if (given !== undefined) return `the pod's address ${formatAddress(given.address)} is just changing hands`;
  const former = book.byOrdinal(reservedFor).filter((record) => {
    const { spec } = record;
    const isSame = spec.ips === pool.name && book.isUsable(pool.name, parseAddress(spec.address));
    const isHeld = isInHands(record) || (spec.state === 'Reserved' && book.isChanging(record));
    return isHeld && isSame && spec.owner.uid !== owner.uid;
  });
  // One that was waited for in vain may be there beside the one that took its place.
  return former.map((record) => sentence(record, pool, nowMs)).find((text) => text !== undefined);
}

/** What the predecessor has been given by writes that the watch has not shown yet. */
function passing({ owner }: Wish, book: AddressBook): Promised[] {
  return book.promised.ofNamesakes(owner);
}

/** A node that never speaks again keeps its addresses, but nobody waits for one longer than it would be kept. */
function sentence({ spec }: IpAllocation, pool: Pool, nowMs: number): string | undefined {
  const { address, nodeName, state } = spec;
  const is = state === 'Reserved' ? 'just changing hands' : `still held by node ${nodeName} for its predecessor`;
  const text = `the pod's address ${address} is ${is}`;
  if (state === 'Bound') return text;
  const untilMs = Date.parse(spec.stateSince) + pool.reservedMs;
  return untilMs <= nowMs ? undefined : `${text}; it takes another if that lasts until ${timestamp(untilMs)}`;
}
