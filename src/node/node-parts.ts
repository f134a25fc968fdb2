// SPDX-License-Identifier: Apache-2.0
// The comparison of what belongs to the node itself: the tunnel's device, the map of other nodes' pods, the routes and
// the masquerading rules.
import type { Ips } from '../api/generated/ips.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Mode } from '../api/names.ts';
import { ClusterChanges } from '../datapath/cluster-changes.ts';
import { directCondition, type Way, wayTo } from '../datapath/way.ts';
import type { RangeSet } from '../ip/range-set.ts';
import type { Log } from '../kube/log.ts';
import type { ConditionFact } from '../wiring/endpoint-status.ts';
import { type Overlay, overlayOf } from '../wiring/overlay.ts';
import type { Clock } from '../kube/clock.ts';
import { Slices } from '../kube/slices.ts';
import type { Part } from './comparison.ts';
import {
  dropOverlayAddresses,
  ensureDevice,
  ensureOverlayAddress,
  findUplink,
  isEthernet,
  networksOf,
  podMtu,
} from './device.ts';
import { ensureSysctl, type Host } from './host.ts';
import { syncClusterPods, syncLocalDev, writeClusterPods } from './maps.ts';
import { Masquerade } from './masquerade.ts';
import type { NodeFacts } from './node-facts.ts';
import { syncOverlayRoutes } from './overlay-routes.ts';
import type { DevicePrograms } from './device-programs.ts';
import { type Datapath, ensureMapPins, removeOtherLayouts } from './programs.ts';

export interface NodePartsOptions {
  readonly host: Host;
  readonly datapath: Datapath;
  readonly programs: DevicePrograms;
  readonly pinFolder: string;
  /** The layout's version; this build's where nothing is said. */
  readonly layout?: number | undefined;
  readonly uplink: string;
  readonly mode: Mode;
  /** Destinations outside that see pods by their own addresses. */
  readonly masqueradeExclude: RangeSet;
  readonly mtu: number | 'auto';
  readonly tunnelPort: number;
  readonly ownName: string;
  readonly endpoints: () => readonly NodeEndpoint[];
  readonly own: () => NodeEndpoint | undefined;
  readonly pools: () => readonly Ips[];
  /** What keeps any other part from being right. */
  readonly problems: () => readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** For this long a node that was in mode direct listens on: the others must learn of it. */
const lingerMs = 60_000;

export class NodeParts {
  readonly #o: NodePartsOptions;
  readonly #masquerade: Masquerade;
  readonly #bornMs: number;
  #facts: NodeFacts | undefined;
  /** The addresses that the device was made for by the last run; undefined where that failed. */
  #deviceOf: string | undefined;
  /** What routes and programs were made for by the last runs of theirs. */
  #routesOf: { readonly facts: NodeFacts; readonly overlay: Overlay } | undefined;
  #programsOf: NodeFacts | undefined;
  readonly #clusterChanges: ClusterChanges;
  /** Other nodes' addresses in the map, as of the last run. */
  clusterEntries = 0;
  #saidProblems = '';
  /** As of the last list in which this node itself stood. */
  #overlaySeen: Overlay | undefined;
  #poolsSeen: readonly Ips[] = [];

  constructor(options: NodePartsOptions) {
    this.#o = options;
    this.#masquerade = new Masquerade(options.host, options.masqueradeExclude, options.tunnelPort);
    this.#bornMs = options.clock.monotonicMs();
    this.#clusterChanges = new ClusterChanges(options.ownName);
  }

  /** @throws Error before the first run of the part `device` has succeeded */
  facts(): NodeFacts {
    if (this.#facts === undefined) throw new Error('the tunnel device is not there yet; the agent log says why');
    return this.#facts;
  }

  mtu(): number {
    return this.#facts?.mtu ?? 0;
  }

  /** What the programs stand upon; to be made before them, or packets would meet programs with empty maps. */
  foundation(): Part[] {
    return [
      { name: 'device', run: (full) => this.#device(full) },
      { name: 'cluster-pods', run: (full) => this.#clusterPods(full) },
      { name: 'routes', run: (full) => this.#routes(full) },
      { name: 'masquerade', run: (full) => this.#rules(full) },
    ];
  }

  /** To be run when all maps are filled and the wires have their programs. */
  programs(): Part[] {
    return [
      { name: 'programs', run: (full) => this.#programs(full) },
      { name: 'pins', run: (full) => (full ? this.#pins() : 0) },
    ];
  }

  /** What neighbours must know before they send to this node's pods without a tunnel. Nothing in mode tunnel. */
  directFact(): Record<string, ConditionFact> {
    const { mode, problems } = this.#o;
    if (mode !== 'direct') return {};
    const because = problems()
      .filter((one) => /^(?:device|programs): /.test(one))
      .join('; ');
    const fact =
      because === ''
        ? {
            isTrue: true,
            reason: 'Listening',
            message: 'Pods of nodes in the same network are reached without a tunnel.',
          }
        : { isTrue: false, reason: 'Differs', message: because.slice(0, 1024) };
    return { [directCondition]: fact };
  }

  /** An event of the API server tells of the device's addresses alone; what others did to it a full run finds. */
  #device(full: boolean): number {
    const { tunnelAddress, overlayAddress } = this.#o.own()?.spec ?? {};
    const addresses = `${tunnelAddress} ${overlayAddress}`;
    if (!full && this.#deviceOf === addresses) return 0;
    this.#deviceOf = undefined;
    const changes = this.#ensureDevice(tunnelAddress, overlayAddress);
    this.#deviceOf = addresses;
    return changes;
  }

  #ensureDevice(tunnelAddress: string | undefined, overlayAddress: string | undefined): number {
    const { host, datapath, uplink: uplinkName } = this.#o;
    if (tunnelAddress === undefined || overlayAddress === undefined) {
      // The former one may be another node's soon. A list without the own NodeEndpoint does not say so.
      if (tunnelAddress !== undefined) dropOverlayAddresses(host);
      throw new Error(`NodeEndpoint ${this.#o.ownName} has no overlay address; fast-controller-manager gives it one`);
    }
    ensureSysctl(host, 'net/ipv4/ip_forward', '1');
    const uplink = findUplink(host, uplinkName, tunnelAddress);
    const mtu = this.#o.mtu === 'auto' ? podMtu(uplink) : this.#o.mtu;
    const { link, changed } = ensureDevice(host, { mtu, port: this.#o.tunnelPort }, overlayAddress);
    let changes = changed ? 1 : 0;
    if (ensureOverlayAddress(host, link.index, overlayAddress)) changes += 1;
    const dev = {
      vxlanIfindex: link.index,
      uplinkIfindex: uplink.index,
      overlayAddress,
      overlayMtu: mtu,
      uplinkMtu: uplink.mtu,
    };
    if (syncLocalDev(datapath.localDev, dev)) changes += 1;
    const uplinkNetworks = networksOf(host, uplink.index);
    this.#facts = {
      nodeAddress: tunnelAddress,
      overlayAddress,
      mtu,
      deviceIndex: link.index,
      uplinkIndex: uplink.index,
      uplinkNetworks,
      neighbourNetworks: isEthernet(uplink) ? uplinkNetworks : [],
    };
    return changes;
  }

  /** By what changed since the last run where that can be told; `full`, and where it cannot, against the map itself. */
  async #clusterPods(full: boolean): Promise<number> {
    const { datapath, endpoints: list, mode } = this.#o;
    // The list as it is now, whatever comes between two slices.
    const [endpoints, networks] = [[...list()], this.facts().neighbourNetworks];
    const way = (other: NodeEndpoint) => wayTo(other, mode, networks);
    const difference = full ? undefined : this.#clusterChanges.next(endpoints, way);
    if (difference === undefined) return await this.#wholeCluster(endpoints, way);
    try {
      this.clusterEntries = this.#clusterChanges.entries;
      return writeClusterPods(datapath.clusterPods, difference);
    } catch (error) {
      this.#clusterChanges.forget();
      throw error;
    }
  }

  async #wholeCluster(endpoints: readonly NodeEndpoint[], way: (other: NodeEndpoint) => Way): Promise<number> {
    const { datapath, ownName, log, clock } = this.#o;
    const slices = new Slices(clock);
    this.#clusterChanges.forget();
    const { changes, entries, refused } = await syncClusterPods(datapath.clusterPods, endpoints, ownName, way, slices);
    this.clusterEntries = entries;
    // Without the own endpoint the list is not the cluster's, and the map may hold more than it says.
    if (refused.length === 0 && endpoints.some((one) => one.metadata.name === ownName)) {
      await slices.through(this.#clusterChanges.remembering(endpoints, way));
    }
    if (changes > 0) {
      for (const one of refused) log.warn({ ...one }, 'an address of another node gets no entry');
    }
    return changes;
  }

  #programs(full: boolean): number {
    const { datapath, programs, mode } = this.#o;
    const facts = this.facts();
    if (!full && this.#programsOf === facts) return 0;
    this.#programsOf = undefined;
    const { deviceIndex, uplinkIndex } = facts;
    let changes = programs.ensure({ ifindex: deviceIndex, direction: 'ingress', program: datapath.fromOverlay }, full);
    changes += programs.ensure({ ifindex: deviceIndex, direction: 'egress', program: datapath.toOverlay }, full);
    if (mode === 'direct' || this.#lingers()) {
      const place = { ifindex: uplinkIndex, direction: 'ingress', program: datapath.fromUplink } as const;
      changes += programs.ensure(place, full);
    } else if (full) {
      changes += programs.remove('from_uplink', uplinkIndex, 'ingress');
    }
    this.#programsOf = facts;
    return changes;
  }

  /** In mode tunnel: whether the former agent was in mode direct, and neighbours may not know yet that this one is not. */
  #lingers(): boolean {
    const { programs, clock } = this.#o;
    return clock.monotonicMs() - this.#bornMs < lingerMs && programs.has('from_uplink', this.facts().uplinkIndex);
  }

  #pins(): number {
    const { datapath, pinFolder, layout, problems } = this.#o;
    const restored = ensureMapPins(datapath);
    return problems().length > 0 ? restored : restored + removeOtherLayouts(pinFolder, layout);
  }

  /** A list without the own NodeEndpoint is not the cluster's: no route and no rule goes because of one. */
  #overlay(full: boolean): Overlay {
    const [pools, endpoints] = [this.#o.pools(), this.#o.endpoints()];
    if (this.#overlaySeen !== undefined && (this.#o.own() === undefined || (!full && this.#isSameOverlay(pools)))) {
      return this.#overlaySeen;
    }
    this.#poolsSeen = pools;
    const overlay = overlayOf(pools, endpoints, this.#facts?.uplinkNetworks);
    const problems = overlay.problems.join('; ');
    if (problems !== this.#saidProblems) {
      if (problems !== '') this.#o.log.warn({ problems: overlay.problems }, 'parts of pools are not routed');
      this.#saidProblems = problems;
    }
    this.#overlaySeen = overlay;
    return overlay;
  }

  /** New pods get addresses of pools; so while the pools stay, what is routed stays, but for what a full run finds. */
  #isSameOverlay(pools: readonly Ips[]): boolean {
    return pools.length === this.#poolsSeen.length && pools.every((pool, at) => pool === this.#poolsSeen[at]);
  }

  #routes(full: boolean): number {
    const [facts, overlay] = [this.facts(), this.#overlay(full)];
    if (!full && this.#routesOf?.facts === facts && this.#routesOf.overlay === overlay) return 0;
    this.#routesOf = undefined;
    const { deviceIndex, overlayAddress } = facts;
    const changes = syncOverlayRoutes(this.#o.host, deviceIndex, overlay.routes, overlayAddress);
    this.#routesOf = { facts, overlay };
    return changes;
  }

  /** Behind the routes, which have looked at the pools in this run. */
  async #rules(full: boolean): Promise<number> {
    return (await this.#masquerade.ensure(this.#overlay(false).addresses, full)) ? 1 : 0;
  }
}
