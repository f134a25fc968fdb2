// SPDX-License-Identifier: Apache-2.0
// The wires of this node in memory, so that no request has to list the kernel's links. The kernel stays the authority:
// the book is read from it at the start and again in every comparison.
import { type Link, listLinks, listNeighbours } from 'ebpf-native';
import { isHostVethName, parseAlias, type Wire } from '../wiring/wire.ts';
import type { Host } from './host.ts';

export interface KernelWires {
  readonly wires: readonly Wire[];
  /** Host veths of ours that an ADD did not complete: no alias, or neither a neighbour nor an entry, the last steps. */
  readonly halfMade: readonly Link[];
}

/**
 * What the kernel has of ours; only to be trusted while no ADD is in the middle of its steps. `isKnown` says of an
 * interface and its address that they were complete before, so that a neighbour which somebody removed costs no pod
 * its wire. `limited` names the host veths of pods with a bandwidth limit.
 */
export function readWires(
  host: Host,
  limited: ReadonlySet<string>,
  isKnown: (ifindex: number, address: string) => boolean,
): KernelWires {
  const neighbours = new Set(listNeighbours(host.socket).map((one) => `${one.index} ${one.address}`));
  const wires: Wire[] = [];
  const halfMade: Link[] = [];
  for (const link of listLinks(host.socket)) {
    if (link.kind !== 'veth' || !isHostVethName(link.name)) continue;
    const label = parseAlias(link.alias);
    if (label === undefined) {
      halfMade.push(link);
      continue;
    }
    if (neighbours.has(`${link.index} ${label.address}`) || isKnown(link.index, label.address)) {
      const limit = limited.has(link.name) ? { isLimited: true as const } : {};
      wires.push({ ...label, interface: link.name, ifindex: link.index, ...limit });
    } else {
      halfMade.push(link);
    }
  }
  return { wires, halfMade };
}

export class WireBook {
  readonly #wires = new Map<number, Wire>();
  /** Interfaces on their way out: no longer anybody's wire, yet not gone. */
  readonly #leaving = new Map<number, Wire>();
  #isRead = false;

  /** Whether the kernel has been read: before, that a wire is not here says nothing. */
  get isRead(): boolean {
    return this.#isRead;
  }

  /** Wires that are in use. */
  list(): Wire[] {
    return [...this.#wires.values()];
  }

  leaving(): Wire[] {
    return [...this.#leaving.values()];
  }

  has(ifindex: number): boolean {
    return this.#wires.has(ifindex) || this.#leaving.has(ifindex);
  }

  put(wire: Wire): void {
    this.#wires.set(wire.ifindex, wire);
  }

  leave(wire: Wire): void {
    this.#wires.delete(wire.ifindex);
    this.#leaving.set(wire.ifindex, wire);
  }

  /** The interface is gone from the kernel. */
  forget(ifindex: number): void {
    this.#wires.delete(ifindex);
    this.#leaving.delete(ifindex);
  }

  /** Takes the kernel's word, but for a limit once known: its mark is a pin, which somebody may have removed. */
  reset(wires: readonly Wire[]): void {
    const before = new Map(this.#wires);
    this.#wires.clear();
    for (const wire of wires) {
      if (this.#leaving.has(wire.ifindex)) continue;
      const isLimited = before.get(wire.ifindex)?.isLimited;
      this.#wires.set(wire.ifindex, isLimited === undefined ? wire : { ...wire, isLimited });
    }
    this.#isRead = true;
  }
}
