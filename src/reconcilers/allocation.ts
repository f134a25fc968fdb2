// SPDX-License-Identifier: Apache-2.0
// One address for one owner: the create of a record named by the lowest free address is the lock, and the API server
// lets one create win. Whoever loses takes the next address.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { apiVersion } from '../api/names.ts';
import { type Address, formatAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import type { Pool } from './pool.ts';
import type { Clock, RecordPort } from './ports.ts';

export type Owner = IpAllocation['spec']['owner'];

/** Who shall have an address, and the node that will route it. */
export interface Claim {
  readonly owner: Owner;
  readonly nodeName: string;
  readonly nodeUID: string;
}

export type Allocated =
  | { outcome: 'allocated'; record: IpAllocation }
  | { outcome: 'exhausted' }
  | { outcome: 'refused'; because: string }
  | { outcome: 'crowded'; because: string };

/** Losing this often in a row means that our view is far behind; then it is better to let it catch up. */
const MAX_LOST_RACES = 256;

/** The record, Bound, that makes the address the claim's. All that must be there from the first write is in spec. */
export function boundRecord(claim: Claim, pool: Pool, address: Address, nowMs: number): IpAllocation {
  const name = formatAddress(address);
  return {
    apiVersion,
    kind: 'IpAllocation',
    metadata: { name },
    spec: {
      address: name,
      ips: pool.name,
      gateway: formatAddress(pool.gateway.address),
      prefixLength: pool.gateway.prefixLength,
      nodeName: claim.nodeName,
      nodeUID: claim.nodeUID,
      owner: claim.owner,
      state: 'Bound',
      stateSince: timestamp(nowMs),
    },
  };
}

/** RFC 3339 in UTC with whole seconds, as metav1.Time is written. */
export function timestamp(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
}

export interface AllocationPorts {
  readonly book: AddressBook;
  readonly records: RecordPort;
  readonly clock: Clock;
}

/**
 * Creates the claim's record in the pool. An exception means that the outcome is unknown: the promise in the book then
 * stands, so that the next try asks for the same address and finds out.
 */
export async function allocate(claim: Claim, pool: Pool, ports: AllocationPorts): Promise<Allocated> {
  const { book, records, clock } = ports;
  const { uid } = claim.owner;
  for (let lost = 0; lost < MAX_LOST_RACES; lost += 1) {
    const address = book.promise(pool.name, uid);
    if (address === undefined) return { outcome: 'exhausted' };
    const created = await records.create(boundRecord(claim, pool, address, clock.now()));
    if (created.outcome === 'refused') {
      book.withdraw(uid);
      return created;
    }
    const record = created.outcome === 'created' ? created.object : await records.read(formatAddress(address));
    // Gone between create and read: the same address is tried again.
    if (record === undefined) continue;
    book.observeAhead(record, clock.monotonicMs());
    book.withdraw(uid);
    if (record.spec.owner.uid === uid) return { outcome: 'allocated', record };
  }
  return { outcome: 'crowded', because: `lost ${MAX_LOST_RACES} addresses of pool ${pool.name} in a row to others` };
}
