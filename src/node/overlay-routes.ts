// SPDX-License-Identifier: Apache-2.0
// The stack's way into the tunnel: one route for each block of the pools, with the overlay address as source, so that
// answers come back by the tunnel too.
import { deleteRoute, listNeighbours, listRoutes, replaceNeighbour, replaceRoute, type Route } from 'ebpf-native';
import { formatAddress } from '../ip/address.ts';
import { type Cidr, formatCidr } from '../ip/range.ts';
import { overlayNextHopMac, overlayNextHop, routeProtocol } from './constants.ts';
import type { Host } from './host.ts';

function ensureNextHop(host: Host, index: number): boolean {
  const isThere = listNeighbours(host.socket, index).some(
    (one) => one.address === overlayNextHop && one.mac === overlayNextHopMac && one.state === 'permanent',
  );
  if (!isThere) replaceNeighbour(host.socket, { index, address: overlayNextHop, mac: overlayNextHopMac });
  return !isThere;
}

function isRight(route: Route, source: string): boolean {
  return route.gateway === overlayNextHop && route.source === source;
}

/** Writes the difference; routes of other protocols on the device are not ours. Answers how many changes it made. */
export function syncOverlayRoutes(host: Host, index: number, wanted: readonly Cidr[], source: string): number {
  let changes = ensureNextHop(host, index) ? 1 : 0;
  const present = new Map<string, Route>();
  for (const route of listRoutes(host.socket, { index, protocol: routeProtocol })) {
    present.set(`${route.destination}/${route.prefixLength}`, route);
  }
  for (const cidr of wanted) {
    const key = formatCidr(cidr);
    const route = present.get(key);
    present.delete(key);
    if (route !== undefined && isRight(route, source)) continue;
    replaceRoute(host.socket, {
      destination: formatAddress(cidr.address),
      prefixLength: cidr.prefixLength,
      gateway: overlayNextHop,
      index,
      source,
      onlink: true,
      protocol: routeProtocol,
    });
    changes += 1;
  }
  for (const route of present.values()) {
    deleteRoute(host.socket, route);
    changes += 1;
  }
  return changes;
}
