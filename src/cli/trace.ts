// SPDX-License-Identifier: Apache-2.0
// Which way a packet of a pod takes on the pod's own node.
import { vxlanDevice } from '../api/names.ts';
import type { LocalPodEntry } from '../datapath/entries.ts';
import { maps } from '../datapath/generated/layout.ts';
import { masqueradingOf } from './masquerade-rules.ts';
import type { RouteAnswer } from './node-kernel.ts';
import { firstPacket } from './trace-packet.ts';
import { hopOf, type Rewritten, type Step, Tracing, type Way } from './trace-steps.ts';

/** Hosts' stack: where the packet leaves the fast path, and by which device it comes there. */
interface Stack {
  readonly inputIndex: number;
}

export class Trace extends Tracing {
  /** @throws Error where the pod is not on this node, or its program is missing or another build's */
  run(): Step[] {
    const pod = this.localPod(this.q.source);
    if (pod === undefined) {
      throw new Error(
        `${this.q.source} has no entry in ${maps.localPodIps.name}: no pod of this node has it; add --node`,
      );
    }
    const veth = this.device(pod.ifindex);
    this.say('pod', veth, `${pod.address} behind the host veth ${veth}, with the MAC ${pod.podMac}`);
    const went = this.program('from_pod', { packet: this.#packet(pod), ifindex: pod.ifindex });
    const isTo = (reason: string): boolean => went.program === 'from_pod' && went.reason === reason;
    if (went.verdict === 'drop') this.end('dropped', veth, `dropped: ${went.meaning}`);
    else if (isTo('local')) this.deliver();
    else if (isTo('tunnel')) this.#toNode('tunnel', this.q.destination);
    else if (isTo('direct')) this.#toNode('direct', this.q.destination);
    else this.#stack({ inputIndex: pod.ifindex }, pod);
    return this.steps;
  }

  #packet({ podMac, hostMac }: LocalPodEntry, rewritten?: Rewritten): Uint8Array {
    const to = rewritten === undefined ? {} : { destination: rewritten.address, port: rewritten.port };
    return firstPacket({ ...this.q, sourceMac: podMac, destinationMac: hostMac, ...to });
  }

  /** To the node that holds the address, whose half is an Arrival there. */
  #toNode(way: Way, destination: string): void {
    const found = this.clusterPod(destination);
    if (found === undefined) return this.end('unknown', '', `${destination} moved while it was looked at`);
    const { address, nodeAddress } = found;
    this.say('entry', maps.clusterPodIps.name, `${address} is held by the node ${nodeAddress}`);
    const by = way === 'tunnel' ? `in a VXLAN packet by ${vxlanDevice}` : 'without a tunnel';
    const route = this.kernel.route({ destination: nodeAddress });
    const device = this.device(route.ifindex);
    this.say('route', device, `to ${nodeAddress} ${by}${hopOf(route)}`);
    const from = route.source === undefined ? {} : { from: route.source };
    this.end('toNode', device, `leaves for the node ${nodeAddress}`, {
      toNode: { address: nodeAddress, way, ...from },
    });
  }

  /** The kernel's stack: netfilter first, which may rewrite the destination, then the route. */
  #stack({ inputIndex }: Stack, pod: LocalPodEntry): void {
    const { source, backend } = this.q;
    const destination = backend?.address ?? this.q.destination;
    this.say('netfilter', 'the stack', this.#netfilterText());
    const route = this.route({ destination, source, inputIndex });
    if (route === undefined) return;
    const device = this.device(route.ifindex);
    if (route.type === 'local') return this.end('host', device, `${destination} is this node's own address`);
    this.say('route', device, `${route.type} to ${destination}${hopOf(route)}`);
    const own = this.localPod(destination);
    if (own?.ifindex === route.ifindex) return this.deliverByStack(own);
    if (device !== vxlanDevice) return this.#leave(destination, device, route);
    const went = this.program('to_overlay', { packet: this.#packet(pod, backend), ifindex: route.ifindex });
    if (went.verdict === 'drop') this.end('dropped', device, `dropped: ${went.meaning}`);
    else this.#toNode(went.reason === 'direct' ? 'direct' : 'tunnel', destination);
  }

  #netfilterText(): string {
    const { destination, port, backend } = this.q;
    if (backend === undefined)
      return `sees it first, and rewrites a Service's address; the next route is to ${destination}, not rewritten`;
    const { address, port: to } = backend;
    return `sees it first: kube-proxy's rules rewrite ${destination}:${port} to a backend, here to ${address}:${to}`;
  }

  /** Out of the overlay: as whom is the node's own table's to say. */
  #leave(destination: string, device: string, { ifindex, gateway }: RouteAnswer): void {
    const { source } = this.q;
    const table = 'table ip fast';
    let listing: string;
    try {
      listing = this.kernel.masqueradeListing();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.say('masquerade', table, `not known: ${why}`);
      return this.end('leaves', device, 'leaves by the stack');
    }
    const { verdict, because } = masqueradingOf(listing, { source, destination, device });
    if (verdict === 'unknown') this.say('masquerade', table, `not known: ${because}`);
    if (verdict === 'kept') this.say('masquerade', table, `none, it stays ${source}: ${because}`);
    if (verdict !== 'masqueraded') return this.end('leaves', device, 'leaves by the stack');
    const leavesAs = this.kernel.sourceBy(ifindex, gateway ?? destination);
    const as = leavesAs ?? `an address of the node, since ${device} has none`;
    this.say('masquerade', table, `${source} becomes ${as}: ${because}`, leavesAs === undefined ? {} : { leavesAs });
    this.end('leaves', device, `leaves by the stack${leavesAs === undefined ? '' : ` as ${leavesAs}`}`);
  }
}
