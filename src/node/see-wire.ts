// SPDX-License-Identifier: Apache-2.0
// What the kernel shows of one wire, on the node and in the pod.
import { findLink, listAddresses, listNeighbours, listRoutes, type Netns, RouteSocket } from 'ebpf-native';
import type { Wire } from '../wiring/wire.ts';
import type { SeenWire } from '../wiring/wire-check.ts';
import type { Host } from './host.ts';
import { mappedIfindex } from './maps.ts';
import type { Datapath } from './programs.ts';
import { hasFromPod } from './wire-program.ts';

function seeHost(host: Host, datapath: Datapath, wire: Wire): SeenWire['host'] {
  const link = findLink(host.socket, { index: wire.ifindex });
  if (link?.name !== wire.interface) return undefined;
  const { index } = link;
  return {
    link,
    hasProgram: hasFromPod(host, datapath, wire),
    routes: listRoutes(host.socket, { index }),
    neighbours: listNeighbours(host.socket, index),
  };
}

function seePod(pod: Netns, wire: Wire): SeenWire['pod'] {
  const socket = RouteSocket.open(pod);
  try {
    const link = findLink(socket, { name: wire.podInterface });
    if (link === undefined) return undefined;
    const { index } = link;
    return {
      link,
      addresses: listAddresses(socket, index),
      routes: listRoutes(socket, { index }),
      neighbours: listNeighbours(socket, index),
    };
  } finally {
    socket.close();
  }
}

export function seeWire(host: Host, datapath: Datapath, pod: Netns, wire: Wire): SeenWire {
  const [onHost, inPod] = [seeHost(host, datapath, wire), seePod(pod, wire)];
  return {
    ...(onHost === undefined ? {} : { host: onHost }),
    ...(inPod === undefined ? {} : { pod: inPod }),
    mappedIfindex: mappedIfindex(datapath.localPods, wire.address),
  };
}
