// SPDX-License-Identifier: Apache-2.0
// A StatefulSet's pod whose former address is still being let go of waits for it, as long as it would be kept.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { parseAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import { timestamp } from './allocation.ts';
import type { Pool } from './pool.ts';
import type { Wish } from './promises.ts';

/** Why the pod has to wait for its address; undefined if it does not. */
export function awaited(pool: Pool, wish: Wish, book: AddressBook, nowMs: number): string | undefined {
  const { owner, fixed, reservedFor } = wish;
  if (reservedFor === undefined || fixed !== undefined || pool.reservedMs === 0) return undefined;
  const former = book.byOrdinal(reservedFor).find(({ spec }) => {
    const isHeld = spec.state === 'Bound' || spec.state === 'Releasing';
    const isSame = spec.ips === pool.name && book.isUsable(pool.name, parseAddress(spec.address));
    return isHeld && isSame && spec.owner.uid !== owner.uid;
  });
  return former === undefined ? undefined : sentence(former, pool, nowMs);
}

/** A node that never speaks again keeps its addresses, but nobody waits for one longer than it would be kept. */
function sentence({ spec }: IpAllocation, pool: Pool, nowMs: number): string | undefined {
  const text = `the pod's address ${spec.address} is still held by node ${spec.nodeName} for its predecessor`;
  if (spec.state === 'Bound') return text;
  const untilMs = Date.parse(spec.stateSince) + pool.reservedMs;
  return untilMs <= nowMs ? undefined : `${text}; it takes another if that lasts until ${timestamp(untilMs)}`;
}
