// SPDX-License-Identifier: Apache-2.0
// The rest of an address between two pods: Cooling, so that nobody's late packet reaches the next one, or Reserved for
// a StatefulSet's ordinal. Both are counted from the time in the record, which outlives any leader.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { inState } from './allocation.ts';
import type { ReleaseAction, ReleaseFacts } from './release.ts';

/** A set is read this often while addresses are kept for it; nothing tells when it is deleted. */
const SET_RECHECK_MS = 300_000;

export function restOrDelete(record: IpAllocation, { coolDownMs, nowMs }: ReleaseFacts): ReleaseAction {
  return coolDownMs > 0 ? { action: 'replace', record: inState(record, 'Cooling', nowMs) } : { action: 'delete' };
}

/**
 * Counted twice over: from the recorded time, and from when this process first saw it, for the leader that wrote the
 * time may have had another clock. A pool that has nothing else left does not wait for it.
 */
export function decideCooling(record: IpAllocation, facts: ReleaseFacts): ReleaseAction {
  const { coolDownMs, inStateMs } = facts;
  const leftMs = coolDownMs - Math.min(sinceMs(record, facts), inStateMs);
  if (leftMs <= 0) return { action: 'delete' };
  return { action: 'lookAgain', afterMs: leftMs, because: 'the address rests' };
}

export function decideReserved(record: IpAllocation, facts: ReleaseFacts): ReleaseAction {
  const leftMs = facts.reservedMs - sinceMs(record, facts);
  if (leftMs <= 0 || facts.isSuperseded || facts.set === 'gone') return afterReservation(record, facts);
  if (facts.set === 'unread') return { action: 'confirmSet' };
  return { action: 'lookAgain', afterMs: Math.min(leftMs, SET_RECHECK_MS), because: 'the address is kept' };
}

/** It has rested while it was kept. */
function afterReservation(record: IpAllocation, facts: ReleaseFacts): ReleaseAction {
  return sinceMs(record, facts) >= facts.coolDownMs ? { action: 'delete' } : restOrDelete(record, facts);
}

/** By the wall clock. A time that lies ahead was written by a clock that goes wrong, and is no time at all. */
function sinceMs({ spec: { stateSince } }: IpAllocation, { nowMs, inStateMs }: ReleaseFacts): number {
  const elapsedMs = nowMs - Date.parse(stateSince);
  return elapsedMs >= 0 ? elapsedMs : inStateMs;
}
