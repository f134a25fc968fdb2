// SPDX-License-Identifier: Apache-2.0
// What does not fit together, found by a look at everything. Most of it is only on its way: a suspicion that stands a
// second look, some time later, is what no event has told.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Pod } from '../api/workloads.ts';
import { formatAddress, isAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import { identityOf, isFinished, needOf, podKey, runningAddressOf } from './pod.ts';
import type { Views } from './ports.ts';
import { isReleased } from './release.ts';
import type { WaitingRoom } from './waiting-room.ts';

export interface Orphan {
  readonly node: string;
  readonly address: string;
  readonly ownerUid: string;
  readonly interface: string;
}

export type Suspect =
  /** Bound, and its owner is not seen. */
  | { readonly kind: 'record'; readonly address: string; readonly recordUid: string }
  /** An owner with several Bound records, of which one is in use. */
  | { readonly kind: 'spare'; readonly ownerUid: string }
  /** A pod that needs an address, has none and does not wait for one. */
  | { readonly kind: 'pod'; readonly key: string; readonly ownerUid: string }
  /** A wire without a record. */
  | { readonly kind: 'orphan'; readonly orphan: Orphan }
  /** A pod that runs with an address which is another's by its record. */
  | { readonly kind: 'robbed'; readonly key: string; readonly address: string; readonly ownerUid: string };

export interface SuspectWorld {
  readonly views: Views;
  readonly book: AddressBook;
  readonly waiting: WaitingRoom;
}

/** Two looks find the same thing if its text is the same. */
export function textOf(suspect: Suspect): string {
  return JSON.stringify(suspect);
}

export function findSuspects(world: SuspectWorld): Suspect[] {
  return [...ofRecords(world), ...ofPods(world), ...ofEndpoints(world)];
}

function ofRecords({ views, book }: SuspectWorld): Suspect[] {
  const suspects: Suspect[] = [];
  const boundOf = new Map<string, number>();
  for (const record of book.records()) {
    const { owner, state, address } = record.spec;
    if (state !== 'Bound' || isReleased(record)) continue;
    boundOf.set(owner.uid, (boundOf.get(owner.uid) ?? 0) + 1);
    const uid = record.metadata.uid ?? '';
    if (!isOwnerSeen(record, views)) suspects.push({ kind: 'record', address, recordUid: uid });
  }
  for (const [ownerUid, bound] of boundOf) if (bound > 1) suspects.push({ kind: 'spare', ownerUid });
  return suspects;
}

function isOwnerSeen({ spec: { owner } }: IpAllocation, views: Views): boolean {
  if (owner.kind === 'Node') return views.nodes.get(owner.name)?.metadata.uid === owner.uid;
  const pod = views.pods.get(owner.name, owner.namespace);
  return pod !== undefined && identityOf(pod) === owner.uid && !isFinished(pod);
}

function ofPods({ views, book, waiting }: SuspectWorld): Suspect[] {
  const seated = new Set(waiting.all().map((waiter) => waiter.uid));
  return views.pods.list().flatMap((pod): Suspect[] => {
    const ownerUid = identityOf(pod);
    const own = book.byOwner(ownerUid);
    const key = podKey(pod.metadata);
    const robbed = robbedOf(pod, own, book);
    if (robbed !== undefined) return [{ kind: 'robbed', key, address: robbed, ownerUid }];
    const isServed = own.length > 0 || seated.has(ownerUid) || book.promised.of(ownerUid)?.pool !== undefined;
    return needOf(pod) === 'address' && !isServed ? [{ kind: 'pod', key, ownerUid }] : [];
  });
}

/** The address that the pod runs with, where a record says that it is another's. A wire of its own excuses the rest. */
function robbedOf(pod: Pod, own: readonly IpAllocation[], book: AddressBook): string | undefined {
  const running = runningAddressOf(pod);
  if (running === undefined || own.some(isAttached)) return undefined;
  const address = formatAddress(running);
  const holder = book.record(address);
  const isOthers = holder?.spec.state === 'Bound' && holder.spec.owner.uid !== identityOf(pod);
  return isOthers ? address : undefined;
}

/** Whether the owner's wire is there, as its node says. */
export function isAttached({ spec, status }: IpAllocation): boolean {
  return status?.attached?.owner.uid === spec.owner.uid;
}

function ofEndpoints({ views, book }: SuspectWorld): Suspect[] {
  return views.endpoints.list().flatMap(({ metadata, status }) =>
    (status?.orphans ?? [])
      .filter(({ address }) => isAddress(address) && book.record(address) === undefined)
      .map(({ address, ownerUID, interface: device }) => {
        const orphan = { node: metadata.name, address, ownerUid: ownerUID, interface: device };
        return { kind: 'orphan' as const, orphan };
      }),
  );
}
