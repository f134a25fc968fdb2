// SPDX-License-Identifier: Apache-2.0
// What changes of cluster_pod_ips from one list of NodeEndpoints to the next. In a big cluster some node always changes,
// and to compare 150,000 entries for each of its pods would make every new pod wait. It only ever shortens the way to
// what desired.ts says: wherever two nodes claim one address it answers nothing, and the whole is compared.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { ClusterPodEntry } from './entries.ts';
import { claimsOf, objection } from './desired.ts';
import { maps } from './generated/layout.ts';
import { atOnce } from './pieces.ts';
import { byTunnel, type Way } from './way.ts';

export interface ClusterDifference {
  upserts: ClusterPodEntry[];
  /** Addresses. */
  removals: string[];
}

interface Known {
  endpoint: NodeEndpoint;
  way: Way;
}

interface Change {
  name: string;
  before: Known | undefined;
  now: Known | undefined;
}

function isSameWay(a: Way, b: Way): boolean {
  return a.direct === b.direct && a.adjacent === b.adjacent;
}

export class ClusterChanges {
  readonly #ownName: string;
  /** By node; undefined while the map is not known to hold what these endpoints say. */
  #known: Map<string, Known> | undefined;
  /** The node that holds an address, the own one too. */
  readonly #holders = new Map<string, string>();

  constructor(ownName: string) {
    this.#ownName = ownName;
  }

  /** The map holds what these endpoints say and nothing else, and every claim could stand. */
  remember(endpoints: readonly NodeEndpoint[], way: (other: NodeEndpoint) => Way): void {
    atOnce(this.remembering(endpoints, way));
  }

  /** The same, a node a piece. Nothing is known before the last. */
  *remembering(endpoints: readonly NodeEndpoint[], way: (other: NodeEndpoint) => Way): Generator<undefined, void> {
    this.forget();
    this.#holders.clear();
    const known = new Map<string, Known>();
    for (const endpoint of endpoints) {
      const { name } = endpoint.metadata;
      known.set(name, this.#knownOf(endpoint, way));
      for (const { address } of claimsOf(endpoint)) this.#holders.set(address, name);
      yield;
    }
    this.#known = known;
  }

  /** How many entries the map has, as far as it is known. */
  get entries(): number {
    const own = this.#known?.get(this.#ownName)?.endpoint;
    return this.#holders.size - (own === undefined ? 0 : claimsOf(own).length);
  }

  /** It is not known what the map holds. */
  forget(): void {
    this.#known = undefined;
  }

  /** What to write, and from now on the map is taken to hold it; undefined where only a whole comparison can tell. */
  next(endpoints: readonly NodeEndpoint[], way: (other: NodeEndpoint) => Way): ClusterDifference | undefined {
    const changed = this.#changed(endpoints, way);
    const difference = changed === undefined ? undefined : this.#take(changed);
    if (difference === undefined) this.forget();
    return difference;
  }

  #knownOf(endpoint: NodeEndpoint, way: (other: NodeEndpoint) => Way): Known {
    return { endpoint, way: endpoint.metadata.name === this.#ownName ? byTunnel : way(endpoint) };
  }

  /** Undefined where nothing is known, or the list is not the cluster's: this node itself is missing. */
  #changed(endpoints: readonly NodeEndpoint[], way: (other: NodeEndpoint) => Way): Change[] | undefined {
    const known = this.#known;
    if (known === undefined) return undefined;
    const changed: Change[] = [];
    const names = new Set<string>();
    for (const endpoint of endpoints) {
      const { name } = endpoint.metadata;
      const [before, now] = [known.get(name), this.#knownOf(endpoint, way)];
      names.add(name);
      if (before?.endpoint !== endpoint || !isSameWay(before.way, now.way)) changed.push({ name, before, now });
    }
    for (const [name, before] of known) if (!names.has(name)) changed.push({ name, before, now: undefined });
    return names.has(this.#ownName) ? changed : undefined;
  }

  #take(changed: readonly Change[]): ClusterDifference | undefined {
    const removals = this.#release(changed);
    const upserts: ClusterPodEntry[] = [];
    for (const { name, before, now } of changed) {
      if (now === undefined) {
        this.#known?.delete(name);
        continue;
      }
      this.#known?.set(name, now);
      const isMoved =
        before?.endpoint.spec.tunnelAddress !== now.endpoint.spec.tunnelAddress || !isSameWay(before.way, now.way);
      for (const claim of claimsOf(now.endpoint, now.way)) {
        const { address, nodeAddress } = claim;
        if (objection(claim, this.#holders.get(address)) !== undefined) return undefined;
        this.#holders.set(address, name);
        if (name === this.#ownName) continue;
        if (isMoved || removals.get(address) !== name) upserts.push({ address, nodeAddress, ...now.way });
        removals.delete(address);
      }
    }
    if (this.#holders.size > maps.clusterPodIps.maxEntries) return undefined;
    return { upserts, removals: [...removals.keys()] };
  }

  /** Takes from the changed nodes what they held; answers what of it is in the map, with the node that held it. */
  #release(changed: readonly Change[]): Map<string, string> {
    const released = new Map<string, string>();
    for (const { name, before } of changed) {
      if (before === undefined) continue;
      for (const { address } of claimsOf(before.endpoint)) {
        if (this.#holders.get(address) !== name) continue;
        this.#holders.delete(address);
        if (name !== this.#ownName) released.set(address, name);
      }
    }
    return released;
  }
}
