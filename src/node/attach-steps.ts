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
  SysError,
} from 'ebpf-native';
import type { IpAllocationSpec } from '../api/generated/ip-allocation.ts';
import { formatAlias, podMacOf, type Wire, type WireLabel } from '../wiring/wire.ts';
import { hostVethMac, mainTable, routeProtocol } from './constants.ts';
import { ensureSysctl, type Host, isGone, readSysctl } from './host.ts';
import { putLocalPod } from './maps.ts';
import type { Datapath } from './programs.ts';
import type { Step } from './steps.ts';
import { attachFromPod } from './wire-program.ts';

export interface WireSpec extends WireLabel {
  readonly interface: string;
  readonly record: IpAllocationSpec;
  readonly mtu: number;
  readonly isLimited: boolean;
  /** Source of what the host itself sends to the pod. */
  readonly nodeAddress: string;
}

/** The pod has an interface of the wanted name. */
export class InterfaceExistsError extends Error {}

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

/** Some 100 ms. The worker of an older kernel needs up to 650 readings on a busy machine, and most often none. */
const maxReadsOfCarrier = 5000;

/**
 * Waits until the host veth sends. Of a pair the end that came up first gets its queue from a worker of the kernel, behind
 * whoever else wants the routing lock, and throws away what it is to send before (net/core/link_watch.c): a pod's first
 * packet. Since Linux 6.8 the first reading does the worker's work.
 */
function awaitCarrier(host: Host, index: number): void {
  for (let reads = 0; reads < maxReadsOfCarrier; reads += 1) {
    if (findLink(host.socket, { index })?.operState === 'up') return;
  }
}

/** The stack's route to a pod, put or mended. */
function routeToPod(host: Host, wire: Pick<Wire, 'address' | 'ifindex'>, nodeAddress: string): void {
  replaceRoute(host.socket, {
    destination: wire.address,
    prefixLength: 32,
    index: wire.ifindex,
    scope: 'link',
    source: nodeAddress,
    protocol: routeProtocol,
  });
}

/** The stack's neighbour for a pod, put or mended. */
function neighbourOfPod(host: Host, { address, ifindex: index }: Pick<Wire, 'address' | 'ifindex'>): void {
  replaceNeighbour(host.socket, { index, address, mac: podMacOf(address) });
}

/** The stack's way to a pod: route and neighbour, put or mended. */
export function wayToPod(host: Host, wire: Pick<Wire, 'address' | 'ifindex'>, nodeAddress: string): void {
  routeToPod(host, wire, nodeAddress);
  neighbourOfPod(host, wire);
}

/** Removes a link if it is there; who else removes it at this moment is welcome. */
function removeLink(host: Host, name: string): void {
  const link = findLink(host.socket, { name });
  if (link === undefined) return;
  try {
    deleteLink(host.socket, link.index);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

function makePair(host: Host, pod: Netns, spec: WireSpec): void {
  const { podInterface, mtu } = spec;
  const peer = { name: podInterface, mac: podMacOf(spec.address), mtu, netns: pod };
  const alias = formatAlias(spec);
  try {
    createVeth(host.socket, { name: spec.interface, mac: hostVethMac, mtu, alias, peer });
  } catch (error) {
    // The host's end was cleared away a moment ago.
    if (!(error instanceof SysError && error.code === 'EEXIST')) throw error;
    throw new InterfaceExistsError(`${podInterface} is in the pod's namespace already`, { cause: error });
  }
}

const limitMark = ({ isLimited }: WireSpec): Pick<Wire, 'isLimited'> => (isLimited ? { isLimited } : {});

/**
 * The steps in order; after the last one `finished` gives the wire. The pod's end comes up as the second and sends from its
 * first moment; the host's is waited for. The neighbour comes when all but the entry of the map is there: a wire without
 * either is half made. `replaced` are wires that had the address until now.
 */
export function attachSteps(
  host: Host,
  datapath: Datapath,
  pod: Netns,
  spec: WireSpec,
  replaced: readonly Wire[] = [],
): { steps: Step[]; finished: () => Wire } {
  const { identity, containerId, address, podInterface, interface: name } = spec;
  const wire = { identity, containerId, address, podInterface, interface: name, ifindex: 0, ...limitMark(spec) };
  const removeVeth = (): void => {
    removeLink(host, name);
  };
  const steps: Step[] = [
    // A former agent died in the middle of this very ADD, or a DEL of this sandbox is not quite through.
    { name: `clear the name ${name}`, apply: removeVeth },
    {
      name: `make the veth pair ${name} with ${podInterface} in the pod's namespace`,
      apply: () => {
        makePair(host, pod, spec);
        wire.ifindex = findLink(host.socket, { name })?.index ?? 0;
      },
      undo: removeVeth,
    },
    {
      name: `set up ${name}`,
      apply: () => {
        configureHostVeth(host, name);
        attachFromPod(host, datapath, wire);
        setLink(host.socket, wire.ifindex, { up: true });
      },
    },
    {
      name: `give ${podInterface} its address and routes`,
      apply: () => {
        configurePod(pod, spec);
      },
    },
    {
      name: `wait until ${name} sends`,
      apply: () => {
        awaitCarrier(host, wire.ifindex);
      },
    },
    {
      name: `route ${address} to ${name}`,
      apply: () => {
        routeToPod(host, wire, spec.nodeAddress);
      },
      // The route was put in the place of the former wire's, whose pod would be out of the stack's reach without it.
      undo: () => {
        for (const old of replaced.filter((one) => one.address === address)) routeToPod(host, old, spec.nodeAddress);
      },
    },
    {
      name: `give ${name} the neighbour ${address}`,
      apply: () => {
        neighbourOfPod(host, wire);
      },
    },
    {
      name: `put ${address} into local_pod_ips`,
      apply: () => {
        putLocalPod(datapath.localPods, wire);
      },
    },
  ];
  return { steps, finished: (): Wire => ({ ...wire }) };
}
