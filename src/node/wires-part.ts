// SPDX-License-Identifier: Apache-2.0
// The comparison of pods' wires: the book equal to the kernel, each wire whole, `local_pod_ips` equal to the wires.
import { type Link, deleteLink, listNeighbours, listRoutes, setLink } from 'ebpf-native';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Log } from '../kube/log.ts';
import { podMacOf, type Wire } from '../wiring/wire.ts';
import { decideWires } from '../wiring/wire-fate.ts';
import { configureHostVeth, wayToPod } from './attach-steps.ts';
import type { Attachments } from './attachments.ts';
import { filterName, hostVethMac, routeProtocol } from './constants.ts';
import type { Host } from './host.ts';
import { mappedIfindex, syncLocalPods } from './maps.ts';
import type { NodeFacts } from './node-facts.ts';
import { followMtu, type WireEnds } from './pod-mtu.ts';
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

export class WiresPart {
  readonly #o: WiresPartOptions;
  #orphans: readonly Wire[] = [];
  /** Host veths, as of the last full run. */
  #links: ReadonlyMap<number, Link> = new Map();

  constructor(options: WiresPartOptions) {
    this.#o = options;
  }

  /** Wires that no record explains, as of the last run. */
  orphans(): readonly Wire[] {
    return this.#orphans;
  }

  /**
   * `full`: also look at each wire's link, program, route and neighbour. Answers how much was changed. The map comes before
   * the programs: after a change of its layout it is empty, and a program would know no pod.
   */
  run(full: boolean): number {
    const { book, datapath, attachments, remover } = this.#o;
    let changes = full ? this.#readKernel() : 0;
    remover.retry();
    const fates = this.#decide();
    for (const { wire, because } of fates.cut) {
      attachments.cut(wire, because);
      changes += 1;
    }
    const whole = book.list();
    changes += syncLocalPods(datapath.localPods, whole).changes;
    if (full) {
      for (const wire of whole) changes += this.#mend(wire);
      changes += followMtu(this.#o.host, this.#ends(whole), this.#o.facts().mtu);
    }
    this.#orphans = fates.orphans;
    return changes;
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
    const { wires, links, halfMade } = readWires(
      host,
      limited,
      (ifindex, address) => book.has(ifindex) || mappedIfindex(datapath.localPods, address) === ifindex,
    );
    for (const link of halfMade.filter((one) => !book.has(one.index))) {
      log.warn({ link: link.name }, 'removed a wire that a former agent left half made');
      deleteLink(host.socket, link.index);
    }
    book.reset(wires);
    this.#links = links;
    const names = new Set([...wires, ...book.leaving()].map((wire) => wire.interface));
    for (const name of limited) if (!names.has(name)) forgetLimited(datapath, name);
    const after = new Map(book.list().map((wire) => [wire.ifindex, wire]));
    const came = [...after.values()].filter((wire) => !before.has(wire.ifindex));
    const went = [...before.values()].filter((wire) => !after.has(wire.ifindex));
    for (const wire of [...came, ...went]) onChange(wire.address);
    return halfMade.length + went.length;
  }

  #ends(wires: readonly Wire[]): WireEnds[] {
    return wires.flatMap((wire) => {
      const link = this.#links.get(wire.ifindex);
      return link === undefined ? [] : [{ wire, link }];
    });
  }

  #mend(wire: Wire): number {
    const { host, datapath, facts } = this.#o;
    const { nodeAddress } = facts();
    const { ifindex: index } = wire;
    let changes = removeStrayFilters(host, index, 'ingress', filterName);
    if (this.#links.get(index)?.mac !== hostVethMac) {
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
