// SPDX-License-Identifier: Apache-2.0
// The comparison of what belongs to the node itself: the tunnel's device, the map of other nodes' pods, the routes and
// the masquerading rules.
import type { Ips } from '../api/generated/ips.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Log } from '../kube/log.ts';
import { type Overlay, overlayOf } from '../wiring/overlay.ts';
import type { Part } from './comparison.ts';
import { ensureDevice, ensureOverlayAddress, findUplink, networksOf, podMtu } from './device.ts';
import { ensureSysctl, type Host } from './host.ts';
import { syncClusterPods, syncLocalDev } from './maps.ts';
import { Masquerade } from './masquerade.ts';
import type { NodeFacts } from './node-facts.ts';
import { syncOverlayRoutes } from './overlay-routes.ts';
import type { Datapath, OverlayPrograms } from './programs.ts';

export interface NodePartsOptions {
  readonly host: Host;
  readonly datapath: Datapath;
  readonly overlayPrograms: OverlayPrograms;
  readonly uplink: string;
  readonly ownName: string;
  readonly endpoints: () => readonly NodeEndpoint[];
  readonly own: () => NodeEndpoint | undefined;
  readonly pools: () => readonly Ips[];
  readonly log: Log;
}

export class NodeParts {
  readonly #o: NodePartsOptions;
  readonly #masquerade: Masquerade;
  #facts: NodeFacts | undefined;
  /** Other nodes' addresses in the map, as of the last run. */
  clusterEntries = 0;
  #saidProblems = '';
  /** As of the last list in which this node itself stood. */
  #overlaySeen: Overlay | undefined;

  constructor(options: NodePartsOptions) {
    this.#o = options;
    this.#masquerade = new Masquerade(options.host);
  }

  /** @throws Error before the first run of the part `device` has succeeded */
  facts(): NodeFacts {
    if (this.#facts === undefined) throw new Error('the tunnel device is not there yet; the agent log says why');
    return this.#facts;
  }

  overlayAddress(): string {
    return this.#facts?.overlayAddress ?? '';
  }

  mtu(): number {
    return this.#facts?.mtu ?? 0;
  }

  parts(): Part[] {
    return [
      { name: 'device', run: () => this.#device() },
      { name: 'cluster-pods', run: () => this.#clusterPods() },
      { name: 'routes', run: () => this.#routes() },
      { name: 'masquerade', run: (full) => this.#rules(full) },
    ];
  }

  #device(): number {
    const { host, datapath, overlayPrograms, own, uplink: uplinkName } = this.#o;
    const { tunnelAddress, overlayAddress } = own()?.spec ?? {};
    if (tunnelAddress === undefined || overlayAddress === undefined) {
      throw new Error(`NodeEndpoint ${this.#o.ownName} has no overlay address; fast-controller-manager gives it one`);
    }
    ensureSysctl(host, 'net/ipv4/ip_forward', '1');
    const uplink = findUplink(host, uplinkName, tunnelAddress);
    const mtu = podMtu(uplink);
    const { link, changed } = ensureDevice(host, mtu, overlayAddress);
    let changes = changed ? 1 : 0;
    if (overlayPrograms.ensure(link.index)) changes += 1;
    if (ensureOverlayAddress(host, link.index, overlayAddress)) changes += 1;
    const dev = {
      vxlanIfindex: link.index,
      uplinkIfindex: uplink.index,
      overlayAddress,
      overlayMtu: mtu,
      uplinkMtu: uplink.mtu,
      fastPath: true,
    };
    if (syncLocalDev(datapath.localDev, dev)) changes += 1;
    this.#facts = {
      nodeAddress: tunnelAddress,
      overlayAddress,
      mtu,
      deviceIndex: link.index,
      uplinkIndex: uplink.index,
      uplinkNetworks: networksOf(host, uplink.index),
    };
    return changes;
  }

  #clusterPods(): number {
    const { datapath, endpoints, ownName, log } = this.#o;
    const { changes, entries, refused } = syncClusterPods(datapath.clusterPods, endpoints(), ownName);
    this.clusterEntries = entries;
    if (changes > 0) {
      for (const one of refused) log.warn(one, 'an address of another node gets no entry');
    }
    return changes;
  }

  /** A list without the own NodeEndpoint is not the cluster's: no route and no rule goes because of one. */
  #overlay(): Overlay {
    if (this.#overlaySeen !== undefined && this.#o.own() === undefined) return this.#overlaySeen;
    const overlay = overlayOf(this.#o.pools(), this.#o.endpoints(), this.#facts?.uplinkNetworks);
    const problems = overlay.problems.join('; ');
    if (problems !== this.#saidProblems) {
      if (problems !== '') this.#o.log.warn({ problems: overlay.problems }, 'parts of pools are not routed');
      this.#saidProblems = problems;
    }
    this.#overlaySeen = overlay;
    return overlay;
  }

  #routes(): number {
    const { deviceIndex, overlayAddress } = this.facts();
    return syncOverlayRoutes(this.#o.host, deviceIndex, this.#overlay().routes, overlayAddress);
  }

  async #rules(full: boolean): Promise<number> {
    return (await this.#masquerade.ensure(this.#overlay().addresses, full)) ? 1 : 0;
  }
}
