// SPDX-License-Identifier: Apache-2.0
// The second half of an address's life: from "the owner is gone" to a free address. Every step is decided from the
// record alone and what is known of its owner, node and pool; nothing is inferred from the absence of a field.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { inState } from './allocation.ts';
import { decideCooling, decideReserved, restOrDelete } from './rest.ts';

/**
 * What is known of the record's owner. `unseen`: the view shows none, and only a live read tells whether it is gone.
 * `mirrorless`: a static pod without its mirror, which says nothing yet of the pod.
 */
export type OwnerState = 'alive' | 'finished' | 'unseen' | 'mirrorless' | 'gone';

/**
 * Whether the node of the record can still speak for itself. `agentless`: no agent has ever said a word on it, of itself or
 * of the record's owner.
 */
export type NodeState = 'present' | 'agentless' | 'outOfService' | 'gone';

/** What is known of the StatefulSet that an address may be kept for: only a live read tells. */
export type SetState = 'unread' | 'alive' | 'gone';

export interface ReleaseFacts {
  readonly owner: OwnerState;
  /** How long this process has seen a static pod without its mirror, in milliseconds. */
  readonly mirrorlessMs: number;
  /** Whether the record's node says that the owner's wire is there. */
  readonly isAttached: boolean;
  /** Whether another record of the same owner is the one in use. */
  readonly isSpare: boolean;
  readonly node: NodeState;
  /** Whether a NodeEndpoint still lists the address, so that other nodes send there. */
  readonly isListed: boolean;
  /** How long this process has seen the node in that state, in milliseconds. */
  readonly nodeStateMs: number;
  /** How long an address of the pool rests and is kept, in milliseconds; 0 for not at all. */
  readonly coolDownMs: number;
  readonly reservedMs: number;
  readonly set: SetState;
  /** Whether the ordinal that it would be kept for has another address by now. */
  readonly isSuperseded: boolean;
  /** How long this process has seen the record in its state, in milliseconds; 0 for Bound. */
  readonly inStateMs: number;
  /** The wall clock. */
  readonly nowMs: number;
}

export type ReleaseAction =
  | { action: 'keep' }
  | { action: 'confirmOwner' }
  | { action: 'confirmSet' }
  | { action: 'replace'; record: IpAllocation }
  | { action: 'speakForNode'; record: IpAllocation }
  | { action: 'delete' }
  | { action: 'lookAgain'; afterMs: number; because: string };

/**
 * How long a node that is gone or out of service may still be wiring pods: its kubelet and agent notice within the
 * node lease's 40 s, and 60 s leaves them room. An agent that starts says how its datapath is long before that, and wires
 * no pod whose record it sees as Releasing. One that nobody reaches goes on with what it knows, static pods above all; the
 * others are safe from what it sends, since they ask their maps who holds the source.
 */
export const FENCE_MS = 60_000;

/**
 * A kubelet makes the mirror of a pod that still runs again, within its sync period of seconds; who deletes a mirror
 * deletes nothing else.
 */
export const MIRROR_GRACE_MS = 30_000;

/** Its node tells when the wire of a static pod goes; this is the net under its word. */
const MIRROR_RECHECK_MS = 60_000;

/** The next step of a record's life. */
export function decideRelease(record: IpAllocation, facts: ReleaseFacts): ReleaseAction {
  switch (record.spec.state) {
    case 'Bound':
      return decideBound(record, facts);
    case 'Releasing':
      return decideReleasing(record, facts);
    case 'Cooling':
      return decideCooling(record, facts);
    case 'Reserved':
      return decideReserved(record, facts);
  }
}

function decideBound(record: IpAllocation, facts: ReleaseFacts): ReleaseAction {
  if (facts.owner === 'alive' && !facts.isSpare) return { action: 'keep' };
  if (facts.owner === 'unseen') return { action: 'confirmOwner' };
  const leftMs = facts.owner === 'mirrorless' ? wiredForMs(facts) : 0;
  if (leftMs > 0) {
    const because = `static pod ${record.spec.owner.name} has its wire, and runs on without its mirror`;
    return { action: 'lookAgain', afterMs: leftMs, because };
  }
  if (facts.owner === 'mirrorless' && facts.mirrorlessMs < MIRROR_GRACE_MS) {
    const because = `the mirror of static pod ${record.spec.owner.name} is gone, and may be made again`;
    return { action: 'lookAgain', afterMs: MIRROR_GRACE_MS - facts.mirrorlessMs, because };
  }
  return { action: 'replace', record: inState(record, 'Releasing', facts.nowMs) };
}

/**
 * How long at least the wire of a static pod says that it runs, whatever became of its mirror: what it runs by is a file, and
 * its sandbox's end is told by the runtime. Without a Node object the node's word holds for the fence time, in which a machine
 * that registers anew is back; one that is out of service has nothing to say.
 */
function wiredForMs({ isAttached, node, nodeStateMs }: ReleaseFacts): number {
  if (!isAttached || node === 'outOfService') return 0;
  return node === 'gone' ? FENCE_MS - nodeStateMs : MIRROR_RECHECK_MS;
}

const silence = { agentless: 'never had an agent', outOfService: 'is out of service', gone: 'is gone' } as const;

function decideReleasing(record: IpAllocation, facts: ReleaseFacts): ReleaseAction {
  // The endpoint follows the record, and its change wakes this decision: nobody gets the address before.
  if (isReleased(record)) return facts.isListed ? { action: 'keep' } : afterRelease(record, facts);
  if (facts.node === 'present') return { action: 'keep' };
  // Its machine may live on, however long the Node object has been gone: from the pod's end it has the fence time to end the
  // containers and to cut the wire, as it does within half of it. One that is out of service is off, by a person's word.
  const silentMs = facts.node === 'gone' ? Math.min(facts.nodeStateMs, facts.inStateMs) : facts.nodeStateMs;
  const leftMs = FENCE_MS - silentMs;
  if (leftMs > 0) {
    const because = `node ${record.spec.nodeName} ${silence[facts.node]}; its addresses are freed after the fence`;
    return { action: 'lookAgain', afterMs: leftMs, because };
  }
  const released = { owner: { uid: record.spec.owner.uid } };
  return { action: 'speakForNode', record: { ...record, status: { ...record.status, released } } };
}

/** Whether the node has said that this very owner's wire and entries are gone. */
export function isReleased(record: IpAllocation): boolean {
  return record.status?.released?.owner.uid === record.spec.owner.uid;
}

/** What becomes of an address whose node has let go of it: kept for its ordinal, else at rest, else free. */
function afterRelease(record: IpAllocation, facts: ReleaseFacts): ReleaseAction {
  const mayBeKept = record.spec.reservedFor !== undefined && facts.reservedMs > 0 && !facts.isSuperseded;
  if (mayBeKept && facts.set === 'unread') return { action: 'confirmSet' };
  if (mayBeKept && facts.set === 'alive') {
    return { action: 'replace', record: inState(record, 'Reserved', facts.nowMs) };
  }
  return restOrDelete(record, facts);
}
