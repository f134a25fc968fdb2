// SPDX-License-Identifier: Apache-2.0
// The maps made equal to what the API server and the wires say. Upserts come first, so an address that moves is never
// without an entry.
import type { BpfMap } from 'ebpf-native';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import {
  decodeLocalDev,
  decodeLocalPod,
  encodeAddressKey,
  encodeClusterPods,
  encodeLocalDev,
  encodeLocalPod,
  type RawEntry,
} from '../datapath/codecs.ts';
import type { ClusterDifference } from '../datapath/cluster-changes.ts';
import { desiredLocalEntries, desiringClusterEntries, type Refused } from '../datapath/desired.ts';
import { differenceOf, differing } from '../datapath/diff.ts';
import type { LocalDev, LocalPodEntry } from '../datapath/entries.ts';
import { inPieces } from '../datapath/pieces.ts';
import { byTunnel, type Way } from '../datapath/way.ts';
import { realClock } from '../kube/clock.ts';
import { Slices } from '../kube/slices.ts';
import { podMacOf, type Wire } from '../wiring/wire.ts';
import { hostVethMac } from './constants.ts';

export interface SyncResult {
  readonly changes: number;
  readonly entries: number;
  readonly refused: readonly Refused[];
}

/** Takes some 5 ms to write. */
const entriesOfPiece = 4096;

/**
 * Other nodes' addresses. Removals need the own NodeEndpoint in the list as a witness: a list without it is not the
 * cluster's, and a map is never emptied because a list came back empty. In slices: a big cluster's map takes most of a
 * second, and ADD and DEL are answered between them.
 */
export async function syncClusterPods(
  map: BpfMap,
  endpoints: readonly NodeEndpoint[],
  ownName: string,
  way: (other: NodeEndpoint) => Way = () => byTunnel,
  slices: Slices = new Slices(realClock),
): Promise<SyncResult> {
  return await slices.through(syncingClusterPods(map, endpoints, ownName, way));
}

function* syncingClusterPods(
  map: BpfMap,
  endpoints: readonly NodeEndpoint[],
  ownName: string,
  way: (other: NodeEndpoint) => Way,
): Generator<undefined, SyncResult> {
  const { entries, refused } = yield* desiringClusterEntries(endpoints, ownName, way);
  const wanted = inPieces([...entries.values()], entriesOfPiece).map(encodeClusterPods);
  const { upserts, removals } = yield* differing(wanted, map.pieces());
  for (const piece of inPieces(upserts, entriesOfPiece)) {
    map.updateBatch(piece);
    yield;
  }
  const isWitnessed = endpoints.some((one) => one.metadata.name === ownName);
  if (isWitnessed) {
    map.deleteBatch(removals);
  }
  return {
    changes: upserts.length + (isWitnessed ? removals.length : 0),
    entries: entries.size + (isWitnessed ? 0 : removals.length),
    refused,
  };
}

/** Writes a difference that is known without a look at the map. */
export function writeClusterPods(map: BpfMap, { upserts, removals }: ClusterDifference): number {
  if (upserts.length > 0) map.updateBatch(encodeClusterPods(upserts));
  for (const address of removals) map.delete(encodeAddressKey(address));
  return upserts.length + removals.length;
}

function localEntry(wire: Wire): LocalPodEntry {
  const podMac = podMacOf(wire.address);
  return {
    address: wire.address,
    ifindex: wire.ifindex,
    podMac,
    hostMac: hostVethMac,
    stackOnly: wire.isLimited === true,
  };
}

/** Puts the wire's entry, from which moment on the fast path knows its pod. */
export function putLocalPod(map: BpfMap, wire: Wire): void {
  map.update(...encodeLocalPod(localEntry(wire)));
}

/** The interface that the address has in the map; undefined without an entry. */
export function mappedIfindex(map: BpfMap, address: string): number | undefined {
  const key = encodeAddressKey(address);
  const value = map.lookup(key);
  return value === undefined ? undefined : decodeLocalPod([key, value]).ifindex;
}

/** Takes the wire's entry away, unless the address is another wire's by now. */
export function dropLocalPod(map: BpfMap, wire: Wire): boolean {
  if (mappedIfindex(map, wire.address) !== wire.ifindex) return false;
  return map.delete(encodeAddressKey(wire.address));
}

/** Makes the map hold exactly these wires. */
export function syncLocalPods(map: BpfMap, wires: readonly Wire[]): SyncResult {
  const desired = desiredLocalEntries(wires.map(localEntry));
  const wanted = [...desired.entries.values()].map(encodeLocalPod);
  const { upserts, removals } = differenceOf(wanted, map.entries());
  if (upserts.length > 0) map.updateBatch(upserts);
  map.deleteBatch(removals);
  return { changes: upserts.length + removals.length, entries: wanted.length, refused: desired.refused };
}

/** Writes the node's facts where they differ. Whether the fast path is on is a person's choice, and kept. */
export function syncLocalDev(map: BpfMap, facts: Omit<LocalDev, 'fastPath'>): boolean {
  const key = new Uint8Array(map.keySize);
  const present = map.lookup(key);
  const fastPath = present === undefined || decodeLocalDev([key, present]).fastPath;
  const [, value]: RawEntry = encodeLocalDev({ ...facts, fastPath });
  if (present !== undefined && Buffer.compare(present, value) === 0) return false;
  map.update(key, value);
  return true;
}
