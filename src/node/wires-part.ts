// SPDX-License-Identifier: Apache-2.0
// The comparison of pods' wires: the book equal to the kernel, `local_pod_ips` equal to the wires, and then each wire whole.
import { type Link, deleteLink, findLink, listLinks, listNeighbours, listRoutes, setLink } from 'ebpf-native';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Log } from '../kube/log.ts';
import { podMacOf, type Wire } from '../wiring/wire.ts';
import { decideWires } from '../wiring/wire-fate.ts';
import { configureHostVeth, wayToPod } from './attach-steps.ts';
import type { Attachments } from './attachments.ts';
import { filterName, hostVethMac, routeProtocol } from './constants.ts';
import { type Host, isGone } from './host.ts';
import { mappedIfindex, syncLocalPods } from './maps.ts';
import type { NodeFacts } from './node-facts.ts';
import { followMtu } from './pod-mtu.ts';
import { type Datapath, removeStrayFilters } from './programs.ts';
import type { Records } from './records.ts';
import { readWires, type WireBook } from './wire-book.ts';
import { attachFromPod, forgetLimited, hasFromPod, limitedWires } from './wire-program.ts';
import type { WireRemover } from './wire-remover.ts';

export interface WiresPartOptions {
  readonly host: Host;
  readonly datapath: Datapath;
  readonly records: Records;
  readonly book: WireBook;
  readonly remover: WireRemover;
  readonly attachments: Attachments;
  readonly facts: () => NodeFacts;
  readonly endpoints: () => readonly NodeEndpoint[];
  readonly ownName: string;
  readonly onChange: (address: string) => void;
  readonly log: Log;
}

/** So many are named where wires cannot be mended. */
const mostNamed = 5;

export class WiresPart {
  readonly #o: WiresPartOptions;
  #orphans: readonly Wire[] = [];
  /** Whether the last run came to its end. */
  #isMapRight = false;

  constructor(options: WiresPartOptions) {
    this.#o = options;
  }

  /** Wires that no record explains, as of the last run. */
  orphans(): readonly Wire[] {
    return this.#orphans;
  }

  /** Which wires there are, and their entries of the map. `full`: by the kernel. Answers how much was changed. */
  run(full: boolean): number {
    const { book, datapath, attachments, remover } = this.#o;
    this.#isMapRight = false;
    let changes = full ? this.#readKernel() : 0;
    remover.retry();
    const fates = this.#decide();
    for (const { wire, because } of fates.cut) {
      attachments.cut(wire, because);
      changes += 1;
    }
    changes += syncLocalPods(datapath.localPods, book.list()).changes;
    this.#isMapRight = true;
    this.#orphans = fates.orphans;
    return changes;
  }

  /**
   * Each wire's link, program, route, neighbour and MTU. To be run behind `run`, since the map comes before the programs:
   * after a change of its layout it is empty, and a program would know no pod.
   * @throws Error that names the wires which cannot be mended, when all others are
   */
  mend(full: boolean): number {
    if (!full) return 0;
    if (!this.#isMapRight) throw new Error('not looked at while local_pod_ips is not as it should be');
    const { host, book } = this.#o;
    const { mtu } = this.#o.facts();
    const links = new Map(listLinks(host.socket).map((link) => [link.index, link]));
    const ends = book.list().flatMap((wire) => {
      const link = links.get(wire.ifindex);
      return link === undefined ? [] : [{ wire, link }];
    });
    const problems: string[] = [];
    let changes = 0;
    for (const { wire, link } of ends) {
      try {
        changes += this.#mend(wire, link);
      } catch (error) {
        // What failed because the veth went meanwhile is no fault.
        if (findLink(host.socket, { index: wire.ifindex }) === undefined) continue;
        problems.push(
          `${wire.interface} of ${wire.address}: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
    changes += followMtu(host, ends, mtu);
    if (problems.length === 0) return changes;
    const named = problems.slice(0, mostNamed).join('; ');
    throw new Error(`${problems.length} of ${ends.length} wires cannot be mended: ${named}`);
  }

  #decide() {
    const { book, records, datapath, endpoints, ownName } = this.#o;
    let holders: Map<string, string> | undefined;
    return decideWires({
      wires: book.list(),
      recordOf: (address) => records.get(address),
      otherHolder: (address) => {
        holders ??= holdersOf(endpoints(), ownName);
        return holders.get(address);
      },
      mappedIfindex: (address) => mappedIfindex(datapath.localPods, address),
    });
  }

  /** Makes the book what the kernel has, and clears away halves that a former agent left. */
  #readKernel(): number {
    const { host, book, datapath, log, onChange } = this.#o;
    const before = new Map(book.list().map((wire) => [wire.ifindex, wire]));
    const limited = limitedWires(datapath);
    const { wires, halfMade } = readWires(
      host,
      limited,
      (ifindex, address) => book.has(ifindex) || mappedIfindex(datapath.localPods, address) === ifindex,
    );
    for (const link of halfMade.filter((one) => !book.has(one.index))) {
      log.warn({ link: link.name }, 'removed a wire that a former agent left half made');
      this.#delete(link);
    }
    book.reset(wires);
    const leaving = new Set(book.leaving().map((wire) => wire.interface));
    for (const name of limited) if (!leaving.has(name)) forgetLimited(datapath, name, book.list());
    const after = new Map(book.list().map((wire) => [wire.ifindex, wire]));
    const came = [...after.values()].filter((wire) => !before.has(wire.ifindex));
    const went = [...before.values()].filter((wire) => !after.has(wire.ifindex));
    for (const wire of [...came, ...went]) onChange(wire.address);
    return halfMade.length + went.length;
  }

  #delete(link: Link): void {
    try {
      deleteLink(this.#o.host.socket, link.index);
    } catch (error) {
      // Its pod's namespace went, and took it along.
      if (!isGone(error)) throw error;
    }
  }

  #mend(wire: Wire, link: Link): number {
    const { host, datapath, facts } = this.#o;
    const { nodeAddress } = facts();
    const { ifindex: index } = wire;
    let changes = removeStrayFilters(host, index, 'ingress', filterName);
    if (link.mac !== hostVethMac) {
      setLink(host.socket, index, { mac: hostVethMac });
      changes += 1;
    }
    if (!hasFromPod(host, datapath, wire)) {
      attachFromPod(host, datapath, wire);
      changes += 1;
    }
    const hasRoute = listRoutes(host.socket, { index, protocol: routeProtocol }).some(
      (one) => one.destination === wire.address && one.prefixLength === 32 && one.source === nodeAddress,
    );
    const hasNeighbour = listNeighbours(host.socket, index).some(
      (one) => one.address === wire.address && one.mac === podMacOf(wire.address) && one.state === 'permanent',
    );
    if (!hasRoute || !hasNeighbour) {
      setLink(host.socket, index, { up: true });
      wayToPod(host, wire, nodeAddress);
      changes += 1;
    }
    configureHostVeth(host, wire.interface);
    return changes;
  }
}

/** Which other node holds an address, by the NodeEndpoints. */
function holdersOf(endpoints: readonly NodeEndpoint[], ownName: string): Map<string, string> {
  const holders = new Map<string, string>();
  for (const { metadata, spec } of endpoints) {
    if (metadata.name === ownName) continue;
    for (const address of spec.podAddresses ?? []) holders.set(address, metadata.name);
  }
  return holders;
}
