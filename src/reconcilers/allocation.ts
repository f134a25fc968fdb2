// SPDX-License-Identifier: Apache-2.0
// One address for one owner. Either the create of a record named by it is the lock, and the API server lets one create
// win; or the record is there, at rest, and changes hands by one fenced update. Whoever loses takes the next address.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { apiVersion } from '../api/names.ts';
import { type Address, formatAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import type { Pool } from './pool.ts';
import type { Clock, RecordPort } from './ports.ts';
import type { Promised, Wish } from './promises.ts';

/** Who shall have an address, and the node that will route it. */
export interface Claim extends Wish {
  readonly nodeName: string;
  readonly nodeUID: string;
}

export type Allocated =
  /** `before` is the record as it was, where it changed hands. */
  | { outcome: 'allocated'; record: IpAllocation; before?: IpAllocation }
  | { outcome: 'exhausted' }
  /** Another has taken the address, and the choice is to be made anew. */
  | { outcome: 'overtaken' }
  | { outcome: 'refused'; because: string }
  | { outcome: 'crowded'; because: string };

/** Losing this often in a row means that our view is far behind; then it is better to let it catch up. */
const MAX_LOST_RACES = 256;

/** The record, Bound, that makes the address the claim's. All that must be there from the first write is in spec. */
export function boundRecord(claim: Claim, pool: Pool, address: Address, nowMs: number): IpAllocation {
  const name = formatAddress(address);
  return { apiVersion, kind: 'IpAllocation', metadata: { name }, spec: boundSpec(claim, pool, name, nowMs) };
}

function boundSpec(claim: Claim, pool: Pool, address: string, nowMs: number): IpAllocation['spec'] {
  return {
    address,
    ips: pool.name,
    gateway: formatAddress(pool.gateway.address),
    prefixLength: pool.gateway.prefixLength,
    nodeName: claim.nodeName,
    nodeUID: claim.nodeUID,
    owner: claim.owner,
    state: 'Bound',
    stateSince: timestamp(nowMs),
    ...(claim.reservedFor === undefined ? {} : { reservedFor: claim.reservedFor }),
  };
}

/** RFC 3339 in UTC with whole seconds, as metav1.Time is written. */
export function timestamp(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
}

export function inState(record: IpAllocation, state: IpAllocation['spec']['state'], nowMs: number): IpAllocation {
  return { ...record, spec: { ...record.spec, state, stateSince: timestamp(nowMs) } };
}

export interface AllocationPorts {
  readonly book: AddressBook;
  readonly records: RecordPort;
  readonly clock: Clock;
}

/**
 * Makes an address of the pool the claim's. An exception means that the outcome is unknown: the promise in the book then
 * stands, so that the next try asks for the same address and finds out.
 */
export async function allocate(claim: Claim, pool: Pool, ports: AllocationPorts): Promise<Allocated> {
  for (let lost = 0; lost < MAX_LOST_RACES; lost += 1) {
    const promised = ports.book.promise(pool.name, claim);
    if (promised === undefined) return { outcome: 'exhausted' };
    const { base } = promised;
    const result =
      base === undefined ? await create(claim, pool, promised, ports) : await takeOver(claim, pool, base, ports);
    if (result !== 'lost') return result;
    // Its predecessor may have taken it: an ordinal's address is waited for.
    const isOver = ports.book.promised.of(claim.owner.uid) === undefined;
    if (claim.reservedFor !== undefined && isOver) return { outcome: 'overtaken' };
  }
  return { outcome: 'crowded', because: `lost ${MAX_LOST_RACES} addresses of pool ${pool.name} in a row to others` };
}

async function create(
  claim: Claim,
  pool: Pool,
  { address }: Promised,
  { book, records, clock }: AllocationPorts,
): Promise<Allocated | 'lost'> {
  const { uid } = claim.owner;
  const created = await records.create(boundRecord(claim, pool, address, clock.now()));
  if (created.outcome === 'refused') {
    book.withdraw(uid);
    return created;
  }
  const record = created.outcome === 'created' ? created.object : await records.read(formatAddress(address));
  // Gone between create and read: the same address is tried again.
  if (record === undefined) return 'lost';
  book.observeAhead(record, clock.monotonicMs());
  book.withdraw(uid);
  return record.spec.owner.uid === uid ? { outcome: 'allocated', record } : 'lost';
}

/** The status stays: it says of the former owner that it was released, which is why the API server lets the owner change. */
async function takeOver(
  claim: Claim,
  pool: Pool,
  base: IpAllocation,
  { book, records, clock }: AllocationPorts,
): Promise<Allocated | 'lost'> {
  const { uid } = claim.owner;
  const record = { ...base, spec: boundSpec(claim, pool, base.metadata.name, clock.now()) };
  const written = await records.replace(record);
  if (written === 'written') {
    book.changedHands(uid);
    return { outcome: 'allocated', record, before: base };
  }
  // It may be an earlier try of ours, whose answer was lost, that changed it.
  const live = written === 'stale' ? await records.read(base.metadata.name) : undefined;
  if (live?.spec.state === 'Bound' && live.spec.owner.uid === uid) {
    book.changedHands(uid);
    return { outcome: 'allocated', record: live, before: base };
  }
  book.spend(base);
  book.withdraw(uid);
  return 'lost';
}
