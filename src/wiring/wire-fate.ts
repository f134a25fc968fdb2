// SPDX-License-Identifier: Apache-2.0
// What becomes of each wire that the kernel shows, given the records. A wire is only cut on a positive statement that
// somebody else holds its address, never because something is missing from a list.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Wire } from './wire.ts';

export interface WireFates {
  /** Each has its entry: its pod holds the address, or nobody is known to. */
  readonly kept: readonly Wire[];
  /** Those of `kept` that no record explains; they are reported. */
  readonly orphans: readonly Wire[];
  /** To be cut. */
  readonly cut: ReadonlyArray<{ readonly wire: Wire; readonly because: string }>;
}

export interface WireWorld {
  readonly wires: readonly Wire[];
  /** The record of an address on this node, if there is one. */
  readonly recordOf: (address: string) => IpAllocation | undefined;
  /** The name of another node that holds the address by its NodeEndpoint, if one does. */
  readonly otherHolder: (address: string) => string | undefined;
  /** The interface that the address has in the map `local_pod_ips`. */
  readonly mappedIfindex: (address: string) => number | undefined;
}

/** Of several wires with one address the one in the map was wired last; without an entry the youngest interface. */
function newest(wires: readonly Wire[], mappedIfindex: number | undefined): Wire | undefined {
  const mapped = wires.find((wire) => wire.ifindex === mappedIfindex);
  return mapped ?? wires.toSorted((a, b) => b.ifindex - a.ifindex)[0];
}

function whyCut(wire: Wire, world: WireWorld): string | undefined {
  const record = world.recordOf(wire.address);
  if (record === undefined) {
    const holder = world.otherHolder(wire.address);
    return holder === undefined ? undefined : `node ${holder} holds ${wire.address} now`;
  }
  const { owner } = record.spec;
  if (owner.uid !== wire.identity) {
    return `${wire.address} belongs to ${owner.kind} ${owner.namespace ?? ''}/${owner.name} (${owner.uid}) now`;
  }
  return undefined;
}

export function decideWires(world: WireWorld): WireFates {
  const kept: Wire[] = [];
  const orphans: Wire[] = [];
  const cut: { wire: Wire; because: string }[] = [];
  const byAddress = Map.groupBy(world.wires, (wire) => wire.address);
  for (const [address, wires] of byAddress) {
    const rightful = wires.filter((wire) => {
      const because = whyCut(wire, world);
      if (because !== undefined) cut.push({ wire, because });
      return because === undefined;
    });
    const chosen = newest(rightful, world.mappedIfindex(address));
    for (const wire of rightful) {
      if (wire === chosen) kept.push(wire);
      else cut.push({ wire, because: `${chosen?.interface} is the newer wire of ${address}` });
    }
    if (chosen !== undefined && world.recordOf(address) === undefined) orphans.push(chosen);
  }
  return { kept, orphans, cut };
}
