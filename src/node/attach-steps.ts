// SPDX-License-Identifier: Apache-2.0
// The steps that make a pod's wire. The pair is made with its peer in the pod's namespace and the program is a clsact
// filter: nothing here waits for a grace period of the kernel.
import {
  addAddress,
  addRoute,
  createVeth,
  deleteLink,
  deleteRoute,
  findLink,
  listRoutes,
  type Netns,
  replaceNeighbour,
  replaceRoute,
  RouteSocket,
  setLink,
} from 'ebpf-native';
import type { IpAllocationSpec } from '../api/generated/ip-allocation.ts';
import { formatAlias, podMacOf, type Wire, type WireLabel } from '../wiring/wire.ts';
import { hostVethMac, mainTable, routeProtocol } from './constants.ts';
import { ensureSysctl, type Host, readSysctl } from './host.ts';
import { dropLocalPod, putLocalPod } from './maps.ts';
import { attachFromPod, type Datapath } from './programs.ts';
import type { Step } from './steps.ts';

export interface WireSpec extends WireLabel {
  readonly interface: string;
  /** The name inside the pod. */
  readonly podInterface: string;
  readonly record: IpAllocationSpec;
  readonly mtu: number;
  /** Source of what the host itself sends to the pod. */
  readonly nodeAddress: string;
}

/** RTPROT_KERNEL: the route that the kernel adds with an address whose prefix is shorter than 32. */
const kernelProtocol = 2;

/** Gives the pod's end its address and routes. Its neighbours on the subnet are reached by the gateway too. */
export function configurePod(pod: Netns, spec: WireSpec): void {
  const socket = RouteSocket.open(pod);
  try {
    const link = findLink(socket, { name: spec.podInterface });
    if (link === undefined) throw new Error(`${spec.podInterface} is not in the pod's namespace after it was made`);
    const { index } = link;
    const { gateway, prefixLength } = spec.record;
    setLink(socket, index, { up: true });
    addAddress(socket, { index, address: spec.address, prefixLength });
    for (const route of listRoutes(socket, { index, table: mainTable, protocol: kernelProtocol })) {
      deleteRoute(socket, route);
    }
    addRoute(socket, { index, destination: gateway, prefixLength: 32, scope: 'link' });
    addRoute(socket, { index, destination: '0.0.0.0', prefixLength: 0, gateway });
    replaceNeighbour(socket, { index, address: gateway, mac: hostVethMac });
  } finally {
    socket.close();
  }
}

/** Sets the host veth's sysctls: from_pod checks the source itself, and IPv6 never passes it. */
export function configureHostVeth(host: Host, name: string): void {
  ensureSysctl(host, `net/ipv4/conf/${name}/rp_filter`, '0');
  ensureSysctl(host, `net/ipv4/conf/${name}/forwarding`, '1');
  if (readSysctl(host, `net/ipv6/conf/${name}/disable_ipv6`) !== undefined) {
    ensureSysctl(host, `net/ipv6/conf/${name}/disable_ipv6`, '1');
  }
}

/** The stack's route and neighbour for a pod, put or mended. */
export function routeToPod(host: Host, wire: Pick<Wire, 'address' | 'ifindex'>, nodeAddress: string): void {
  replaceRoute(host.socket, {
    destination: wire.address,
    prefixLength: 32,
    index: wire.ifindex,
    scope: 'link',
    source: nodeAddress,
    protocol: routeProtocol,
  });
  replaceNeighbour(host.socket, { index: wire.ifindex, address: wire.address, mac: podMacOf(wire.address) });
}

/** The steps in order; after the last one `finished` gives the wire. The entry of the map is last of all. */
export function attachSteps(host: Host, datapath: Datapath, pod: Netns, spec: WireSpec) {
  const { identity, containerId, address, interface: name } = spec;
  const wire = { identity, containerId, address, interface: name, ifindex: 0 };
  const removeVeth = (): void => {
    const link = findLink(host.socket, { name });
    if (link !== undefined) deleteLink(host.socket, link.index);
  };
  const steps: Step[] = [
    {
      name: `clear the name ${name}`,
      // A former agent died in the middle of this very ADD; its half of a wire stands in the way.
      apply: removeVeth,
    },
    {
      name: `make the veth pair ${name} with ${spec.podInterface} in the pod's namespace`,
      apply: () => {
        const peer = { name: spec.podInterface, mac: podMacOf(address), mtu: spec.mtu, netns: pod };
        createVeth(host.socket, { name, mac: hostVethMac, mtu: spec.mtu, alias: formatAlias(spec), peer });
        wire.ifindex = findLink(host.socket, { name })?.index ?? 0;
      },
      undo: removeVeth,
    },
    {
      name: `give ${spec.podInterface} its address and routes`,
      apply: () => {
        configurePod(pod, spec);
      },
    },
    {
      name: `set up ${name}`,
      apply: () => {
        configureHostVeth(host, name);
        attachFromPod(host, wire.ifindex, datapath.fromPod);
        setLink(host.socket, wire.ifindex, { up: true });
      },
    },
    {
      name: `route ${address} to ${name}`,
      apply: () => {
        routeToPod(host, wire, spec.nodeAddress);
      },
    },
    {
      name: `put ${address} into local_pod_ips`,
      apply: () => {
        putLocalPod(datapath.localPods, wire);
      },
      undo: () => {
        dropLocalPod(datapath.localPods, wire);
      },
    },
  ];
  return { steps, finished: (): Wire => ({ ...wire }) };
}
