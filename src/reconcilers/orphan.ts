// SPDX-License-Identifier: Apache-2.0
// What becomes of a wire that no record explains, such as after a backup was brought back. Either way it gets a record,
// and the life of a record does the rest: Bound, its pod keeps it; Releasing, its node takes it away and says so.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { apiVersion, defaultPool } from '../api/names.ts';
import type { Pod } from '../api/workloads.ts';
import { isAddress, parseAddress } from '../ip/address.ts';
import { boundRecord, timestamp } from './allocation.ts';
import type { Orphan } from './collector-suspects.ts';
import { isAttached } from './collector-suspects.ts';
import { identityOf, needOf, ownerOf, staticRestartOf } from './pod.ts';
import type { Pool } from './pool.ts';
import { reservedForOf } from './stateful-set.ts';
import type { Wearer } from './worn-addresses.ts';

export interface OrphanFacts {
  readonly orphan: Orphan;
  /** The pod that the wire was made for, by a live read; undefined when it is gone. */
  readonly pod: Pod | undefined;
  /** The pod's other records. */
  readonly own: readonly IpAllocation[];
  /** The UID of the wire's node. */
  readonly nodeUID: string;
  /** The pools that hold the address, those first that the pod would choose. */
  readonly pools: readonly Pool[];
  /** The wall clock. */
  readonly nowMs: number;
}

export type OrphanAction =
  | { action: 'adopt'; record: IpAllocation }
  | { action: 'release'; record: IpAllocation }
  | { action: 'tell'; note: string };

export function decideOrphan(facts: OrphanFacts): OrphanAction {
  const { orphan, pod, own, nodeUID, pools, nowMs } = facts;
  const { address, node } = orphan;
  // Of two wires of one pod the one with a record is in use, and the other was left over by an ADD.
  if (pod === undefined || !livesOn(pod, orphan) || own.some(isAttached)) {
    return { action: 'release', record: releasingRecord(facts) };
  }
  const [pool] = pools;
  if (pool === undefined) {
    const restart = staticRestartOf(ownerOf(pod), node) ?? 'delete the pod';
    const cure = `make an Ips whose spec.ips holds ${address}, or ${restart} so that it gets another address`;
    return { action: 'tell', note: `the pod runs with ${address}, which no pool holds; ${cure}` };
  }
  const claim = { owner: ownerOf(pod), reservedFor: reservedForOf(pod), nodeName: node, nodeUID };
  const record = boundRecord(claim, pool, parseAddress(address), nowMs);
  return { action: 'adopt', record };
}

/** A pod that is being deleted uses its wire until its containers have ended. */
function livesOn(pod: Pod, { node, ownerUid }: Orphan): boolean {
  const need = needOf(pod);
  return identityOf(pod) === ownerUid && pod.spec.nodeName === node && (need === 'address' || need === 'terminating');
}

/** The pod is gone, and with it its name; a record may name a pool that holds the address no more. */
function releasingRecord({ orphan, nodeUID, pools, nowMs }: OrphanFacts): IpAllocation {
  const { address, node, ownerUid } = orphan;
  const owner = { kind: 'Pod' as const, name: ownerUid, uid: ownerUid };
  const [pool] = pools;
  const times = { state: 'Releasing' as const, stateSince: timestamp(nowMs) };
  if (pool !== undefined) {
    const record = boundRecord({ owner, nodeName: node, nodeUID }, pool, parseAddress(address), nowMs);
    return { ...record, spec: { ...record.spec, ...times } };
  }
  const from = { ips: defaultPool, gateway: address, prefixLength: 32 };
  const spec = { address, ...from, nodeName: node, nodeUID, owner, ...times };
  return { apiVersion, kind: 'IpAllocation', metadata: { name: address }, spec };
}

/** The wires that the node reports without a record, and whom they serve. */
export function orphansOf({ status }: NodeEndpoint): Wearer[] {
  return (status?.orphans ?? [])
    .filter(({ address }) => isAddress(address))
    .map(({ address, ownerUID }) => ({ address: parseAddress(address), ownerUid: ownerUID }));
}
