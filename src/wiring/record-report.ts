// SPDX-License-Identifier: Apache-2.0
// What the agent says of a record in its status, decided from the record and the wires of its owner.
import type { IpAllocation, IpAllocationStatus } from '../api/generated/ip-allocation.ts';
import type { Wire } from './wire.ts';

/** How long the runtime's DEL may take to come before the agent cuts a released pod's wire itself. */
export const delGraceMs = 30_000;

/**
 * A pod's DEL comes a moment before its object is gone, and what is said of its release then says all. Only where the
 * record stays Bound so long, as between two sandboxes, is it said that no wire is attached.
 */
export const detachGraceMs = 10_000;

/** A veth's removal takes some 20 ms; its end is told, and this is for the case that it is not. */
const removalMs = 500;

/** How often it is asked whether the device has given up an overlay address that is another's soon. */
const overlayMs = 2_000;

export type RecordDecision =
  | { readonly decision: 'nothing' }
  /** Look again after `ms`: the runtime may still send its DEL. */
  | { readonly decision: 'wait'; readonly ms: number }
  | { readonly decision: 'cut'; readonly wires: readonly Wire[] }
  | { readonly decision: 'write'; readonly status: IpAllocationStatus };

export interface RecordWorld {
  readonly record: IpAllocation;
  /** The wires in use with the record's address, whoever's they are. */
  readonly wires: readonly Wire[];
  /** Those with that address whose removal is under way. */
  readonly leaving: readonly Wire[];
  /** How long this agent has seen the record as Releasing; the clocks of two machines are never compared. */
  readonly releasingForMs: number;
  /** How long it has seen the owner without the wire that the record tells of. */
  readonly detachedForMs: number;
  /** Whether the owner is a node whose tunnel device still has the address. */
  readonly isOverlayAddress: boolean;
}

function isReleased(record: IpAllocation): boolean {
  return record.status?.released?.owner.uid === record.spec.owner.uid;
}

function decideRelease(world: RecordWorld): RecordDecision {
  const { record, wires, releasingForMs } = world;
  if (isReleased(record)) return { decision: 'nothing' };
  const { uid } = record.spec.owner;
  // A wire of somebody else with this address would answer for it; it is not released before that is gone too.
  if (wires.length > 0) {
    const leftMs = delGraceMs - releasingForMs;
    return leftMs > 0 ? { decision: 'wait', ms: leftMs } : { decision: 'cut', wires };
  }
  if (world.leaving.length > 0) return { decision: 'wait', ms: removalMs };
  // The device gets its new address in the next comparison, which tells no record.
  if (world.isOverlayAddress) return { decision: 'wait', ms: overlayMs };
  const { attached: _attached, ...rest } = record.status ?? {};
  return { decision: 'write', status: { ...rest, released: { owner: { uid } } } };
}

/** `released` is said only of an owner whose wires are gone; `attached` follows the wire that is there. */
export function decideRecord(world: RecordWorld): RecordDecision {
  const { record, wires } = world;
  if (record.spec.state === 'Releasing') return decideRelease(world);
  if (record.spec.state !== 'Bound' || record.spec.owner.kind === 'Node') return { decision: 'nothing' };
  const { uid } = record.spec.owner;
  const wire = wires.filter((one) => one.identity === uid).toSorted((a, b) => b.ifindex - a.ifindex)[0];
  const said = record.status?.attached;
  if (wire === undefined) {
    if (said === undefined) return { decision: 'nothing' };
    const leftMs = detachGraceMs - world.detachedForMs;
    if (leftMs > 0) return { decision: 'wait', ms: leftMs };
    const { attached: _attached, ...rest } = record.status ?? {};
    return { decision: 'write', status: rest };
  }
  if (said?.owner.uid === uid && said.containerID === wire.containerId && said.interface === wire.interface) {
    return { decision: 'nothing' };
  }
  const attached = { owner: { uid }, containerID: wire.containerId, interface: wire.interface };
  return { decision: 'write', status: { ...record.status, attached } };
}
