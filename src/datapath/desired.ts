// SPDX-License-Identifier: Apache-2.0
// What the maps should hold, computed whole from the API server's objects and the node's wires. Nothing here remembers
// an event, so a missed one leaves no trace.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { isAddress } from '../ip/address.ts';
import type { ClusterPodEntry, LocalPodEntry } from './entries.ts';
import { maps } from './generated/layout.ts';
import { atOnce } from './pieces.ts';
import { byTunnel, type Way } from './way.ts';

/** An entry that was asked for and is not in the map, with the reason in a sentence. */
export interface Refused {
  address: string;
  nodeName?: string;
  because: string;
}

export interface Desired<E> {
  /** By address. */
  entries: Map<string, E>;
  refused: Refused[];
}

export interface Claim {
  address: string;
  nodeName: string;
  nodeAddress: string;
  way: Way;
}

/** What a node's endpoint claims: its pods' addresses and its own on the overlay. */
export function claimsOf(endpoint: NodeEndpoint, way: Way = byTunnel): Claim[] {
  const { tunnelAddress: nodeAddress, overlayAddress, podAddresses = [] } = endpoint.spec;
  const addresses = overlayAddress === undefined ? podAddresses : [overlayAddress, ...podAddresses];
  return addresses.map((address) => ({ address, nodeName: endpoint.metadata.name, nodeAddress, way }));
}

/** Why a claim cannot stand; undefined where it can. `holder` is who has the address already. */
export function objection(claim: Claim, holder: string | undefined): string | undefined {
  if (!isAddress(claim.address)) return `"${claim.address}" is no IPv4 address`;
  if (!isAddress(claim.nodeAddress)) return `the node's tunnelAddress "${claim.nodeAddress}" is no IPv4 address`;
  if (holder !== undefined) return `node ${holder} claims it too and comes first; one of the two must let it go`;
  return undefined;
}

/** The entries of cluster_pod_ips on `ownNodeName`: what the other nodes' endpoints hold, and never what is its own. An
 * endpoint is a view, so for a moment two may name one address; the first name in alphabetical order wins on every node
 * alike, and the other is refused in words. */
export function desiredClusterEntries(
  endpoints: Iterable<NodeEndpoint>,
  ownNodeName: string,
  way: (other: NodeEndpoint) => Way = () => byTunnel,
): Desired<ClusterPodEntry> {
  return atOnce(desiringClusterEntries(endpoints, ownNodeName, way));
}

/** The same, a node a piece. */
export function* desiringClusterEntries(
  endpoints: Iterable<NodeEndpoint>,
  ownNodeName: string,
  way: (other: NodeEndpoint) => Way,
): Generator<undefined, Desired<ClusterPodEntry>> {
  const sorted = [...endpoints].toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const own = sorted.find((endpoint) => endpoint.metadata.name === ownNodeName);
  const holders = new Map(own === undefined ? [] : claimsOf(own).map(({ address }) => [address, ownNodeName]));
  const entries = new Map<string, ClusterPodEntry>();
  const refused: Refused[] = [];
  for (const endpoint of sorted.filter((one) => one !== own)) {
    for (const claim of claimsOf(endpoint, way(endpoint))) {
      const { address, nodeName, nodeAddress } = claim;
      const full = entries.size >= maps.clusterPodIps.maxEntries;
      const because = full ? fullMap(maps.clusterPodIps) : objection(claim, holders.get(address));
      if (because === undefined) {
        holders.set(address, nodeName);
        entries.set(address, { address, nodeAddress, ...claim.way });
      } else {
        refused.push({ address, nodeName, because });
      }
    }
    yield;
  }
  return { entries, refused };
}

function fullMap(map: { name: string; maxEntries: number }): string {
  return `${map.name} is full: it has room for ${map.maxEntries} entries`;
}

/** The entries of local_pod_ips: the node's wires. Where two have one address, which is so while a pod's new sandbox
 * replaces the old one, the later in the list wins. */
export function desiredLocalEntries(attachments: Iterable<LocalPodEntry>): Desired<LocalPodEntry> {
  const entries = new Map<string, LocalPodEntry>();
  const refused: Refused[] = [];
  for (const attachment of attachments) {
    const { address } = attachment;
    if (!isAddress(address)) {
      refused.push({ address, because: `"${address}" is no IPv4 address` });
    } else if (!entries.has(address) && entries.size >= maps.localPodIps.maxEntries) {
      refused.push({ address, because: fullMap(maps.localPodIps) });
    } else {
      entries.set(address, attachment);
    }
  }
  return { entries, refused };
}
