// SPDX-License-Identifier: Apache-2.0
// Which way a packet of a pod takes on this node. Nothing is inferred: the verdicts are those of the programs that hang
// on the devices, run on the packet by BPF_PROG_TEST_RUN over the node's own maps; the routes are the kernel's answers.
import { vxlanDevice } from '../api/names.ts';
import { decodeClusterPod, decodeCounters, decodeLocalPod, encodeAddressKey } from '../datapath/codecs.ts';
import type { CounterReading, LocalPodEntry } from '../datapath/entries.ts';
import { maps } from '../datapath/generated/layout.ts';
import { masqueradingOf } from './masquerade-rules.ts';
import type { Attached, NodeKernel, RouteAnswer } from './node-kernel.ts';
import type { Backend } from './backends.ts';
import { firstPacket, type Flow } from './trace-packet.ts';

export interface Step {
  /** `pod`, `program`, `entry`, `route`, `netfilter`, `service`, `masquerade` or `end`. */
  readonly kind: string;
  readonly where: string;
  readonly what: string;
  /** The source that it leaves with, where the node masquerades it. */
  readonly leavesAs?: string;
  readonly service?: { readonly namespace: string; readonly name: string; readonly port?: number };
  /** Of the Service, those that kube-proxy chooses from. */
  readonly backends?: readonly Backend[];
}

/** What kube-proxy rewrites a destination to. */
export type Rewritten = Pick<Backend, 'address' | 'port'>;

export interface Question {
  readonly source: string;
  readonly destination: string;
  readonly protocol: Flow['protocol'];
  readonly sourcePort: number;
  readonly port: number;
  /** Where the destination is a Service's: the backend to follow. */
  readonly backend?: Rewritten;
  readonly objectFile: string;
}

/** Hosts' stack: where the packet leaves the fast path, and by which device it comes there. */
interface Stack {
  readonly inputIndex: number;
}

export class Trace {
  readonly #kernel: NodeKernel;
  readonly #q: Question;
  readonly #names: ReadonlyMap<number, string>;
  readonly #attached: readonly Attached[];
  readonly #steps: Step[] = [];

  constructor(kernel: NodeKernel, question: Question) {
    this.#kernel = kernel;
    this.#q = question;
    this.#names = new Map(kernel.devices().map(({ ifindex, name }) => [ifindex, name]));
    this.#attached = kernel.attached();
  }

  /** @throws Error where the pod is not on this node, or its program is missing or another build's */
  run(): Step[] {
    const pod = this.#localPod(this.#q.source);
    if (pod === undefined) {
      throw new Error(
        `${this.#q.source} has no entry in ${maps.localPodIps.name}: no pod of this node has it; add --node`,
      );
    }
    const veth = this.#device(pod.ifindex);
    this.#say('pod', veth, `${pod.address} behind the host veth ${veth}, with the MAC ${pod.podMac}`);
    const went = this.#program('from_pod', pod.ifindex, this.#packet(pod));
    const isTo = (reason: string): boolean => went.program === 'from_pod' && went.reason === reason;
    if (went.verdict === 'drop') this.#say('end', veth, `dropped: ${went.meaning}`);
    else if (isTo('local')) this.#deliver();
    else if (isTo('tunnel') || isTo('direct')) this.#toNode(went.reason, this.#q.destination);
    else this.#stack({ inputIndex: pod.ifindex }, pod);
    return this.#steps;
  }

  #say(kind: string, where: string, what: string, more: Partial<Step> = {}): void {
    this.#steps.push({ kind, where, what, ...more });
  }

  #device(ifindex: number): string {
    return this.#names.get(ifindex) ?? `device ${ifindex}, which is not there`;
  }

  #localPod(address: string): LocalPodEntry | undefined {
    const key = encodeAddressKey(address);
    const value = this.#kernel.lookup(maps.localPodIps.name, key);
    return value && decodeLocalPod([key, value]);
  }

  #packet({ podMac, hostMac }: LocalPodEntry, rewritten?: Rewritten): Uint8Array {
    const to = rewritten === undefined ? {} : { destination: rewritten.address, port: rewritten.port };
    return firstPacket({ ...this.#q, sourceMac: podMac, destinationMac: hostMac, ...to });
  }

  /** Runs what hangs there and says which counter it moved, which is its verdict and its reason. */
  #program(name: string, ifindex: number, packet: Uint8Array): CounterReading {
    const device = this.#device(ifindex);
    const direction = name.startsWith('from_') ? 'ingress' : 'egress';
    const hooked = this.#attached.find(
      (one) => one.ifindex === ifindex && one.direction === direction && one.program === name,
    );
    if (hooked === undefined) throw new Error(`${name} does not hang on ${device}; see fast-ctl links`);
    const { tag, counters } = this.#kernel.run(this.#q.objectFile, name, packet, ifindex);
    if (tag !== hooked.tag) {
      const cure = 'run the fast-ctl of the agent that attached it, by --node';
      throw new Error(`${name} on ${device} has the tag ${hooked.tag}, that of ${this.#q.objectFile} ${tag}; ${cure}`);
    }
    const moved = decodeCounters(counters).find(({ packets }) => packets > 0n);
    if (moved === undefined)
      throw new Error(`${name} moved no counter that this fast-ctl knows; is it an older build?`);
    this.#say(
      'program',
      `${device} ${direction}`,
      `${name} (id ${hooked.programId}): ${moved.verdict}, ${moved.meaning}`,
    );
    return moved;
  }

  /** Past the stack, into a pod of this node. */
  #deliver(): void {
    const pod = this.#localPod(this.#q.destination);
    if (pod === undefined) return this.#say('end', '', `${this.#q.destination} left this node while it was looked at`);
    const veth = this.#device(pod.ifindex);
    this.#say('entry', maps.localPodIps.name, `${pod.address} is behind ${veth}, with the MAC ${pod.podMac}`);
    this.#say('end', veth, "delivered to the pod's own end of the wire, past the stack");
  }

  /** To the node that holds the address, whose half is another trace. */
  #toNode(way: string, destination: string): void {
    const key = encodeAddressKey(destination);
    const value = this.#kernel.lookup(maps.clusterPodIps.name, key);
    if (value === undefined) return this.#say('end', '', `${destination} moved while it was looked at`);
    const { address, nodeAddress } = decodeClusterPod([key, value]);
    this.#say('entry', maps.clusterPodIps.name, `${address} is held by the node ${nodeAddress}`);
    const by = way === 'tunnel' ? `in a VXLAN packet by ${vxlanDevice}` : 'without a tunnel';
    const route = this.#kernel.route({ destination: nodeAddress });
    const device = this.#device(route.ifindex);
    this.#say('route', device, `to ${nodeAddress} ${by}${hopOf(route)}`);
    this.#say('end', device, `leaves for the node ${nodeAddress}`);
  }

  /** The kernel's stack: netfilter first, which may rewrite the destination, then the route. */
  #stack({ inputIndex }: Stack, pod: LocalPodEntry): void {
    const { source, backend } = this.#q;
    const destination = backend?.address ?? this.#q.destination;
    this.#say('netfilter', 'the stack', this.#netfilterText());
    let route: RouteAnswer;
    try {
      route = this.#kernel.route({ destination, source, inputIndex });
    } catch (error) {
      return this.#say('end', 'the stack', error instanceof Error ? error.message : String(error));
    }
    const device = this.#device(route.ifindex);
    if (route.type === 'local') return this.#say('end', device, `${destination} is this node's own address`);
    this.#say('route', device, `${route.type} to ${destination}${hopOf(route)}`);
    if (this.#localPod(destination)?.ifindex === route.ifindex) {
      return this.#say('end', device, `delivered by the stack to the pod behind ${device}`);
    }
    if (device !== vxlanDevice) return this.#leave(destination, device, route);
    const went = this.#program('to_overlay', route.ifindex, this.#packet(pod, backend));
    if (went.verdict === 'drop') this.#say('end', device, `dropped: ${went.meaning}`);
    else this.#toNode(went.reason === 'direct' ? 'direct' : 'tunnel', destination);
  }

  #netfilterText(): string {
    const { destination, port, backend } = this.#q;
    if (backend === undefined)
      return `sees it first: a Service's address is rewritten there, the route below is as sent`;
    const { address, port: to } = backend;
    return `sees it first: kube-proxy's rules rewrite ${destination}:${port} to a backend, here to ${address}:${to}`;
  }

  /** Out of the overlay: as whom is the node's own table's to say. */
  #leave(destination: string, device: string, { ifindex, gateway }: RouteAnswer): void {
    const { source } = this.#q;
    const table = 'table ip fast';
    let listing: string;
    try {
      listing = this.#kernel.masqueradeListing();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#say('masquerade', table, `not known: ${why}`);
      return this.#say('end', device, 'leaves by the stack');
    }
    const { verdict, because } = masqueradingOf(listing, { source, destination, device });
    if (verdict === 'unknown') this.#say('masquerade', table, `not known: ${because}`);
    if (verdict === 'kept') this.#say('masquerade', table, `none, it stays ${source}: ${because}`);
    if (verdict !== 'masqueraded') return this.#say('end', device, 'leaves by the stack');
    const leavesAs = this.#kernel.sourceBy(ifindex, gateway ?? destination);
    const as = leavesAs ?? `an address of the node, since ${device} has none`;
    this.#say('masquerade', table, `${source} becomes ${as}: ${because}`, leavesAs === undefined ? {} : { leavesAs });
    this.#say('end', device, `leaves by the stack${leavesAs === undefined ? '' : ` as ${leavesAs}`}`);
  }
}

function hopOf({ gateway, source }: { gateway?: string; source?: string }): string {
  return `${gateway === undefined ? '' : ` via ${gateway}`}${source === undefined ? '' : ` from ${source}`}`;
}
