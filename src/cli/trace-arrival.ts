// SPDX-License-Identifier: Apache-2.0
// Which way a packet takes on the node that receives it from another one.
import { vxlanDevice } from '../api/names.ts';
import { decodeLocalDev } from '../datapath/codecs.ts';
import { counters, directMark, maps } from '../datapath/generated/layout.ts';
import type { NodeKernel } from './node-kernel.ts';
import { firstPacket } from './trace-packet.ts';
import { hopOf, type Question, type Step, Tracing, type Way } from './trace-steps.ts';

/** Who sends it, and how. */
export interface Sender {
  /** The other node's end of the tunnel. */
  readonly address: string;
  readonly way: Way;
}

/** The frame's MACs are nobody's here. */
const noMac = '02:00:00:00:00:00';

/** In the words of the counter that such a packet moves. */
const wrongSource = counters.find(({ name }) => name === 'drop_from_overlay_source')?.meaning ?? '';

/**
 * BPF_PROG_TEST_RUN has no tunnel key. So the one thing that from_overlay compares with it, whether the tunnel's other end
 * holds the source, is looked up here; all else is its run on the packet as from_uplink hands it over.
 */
export class Arrival extends Tracing {
  readonly #from: Sender;

  constructor(kernel: NodeKernel, question: Question, from: Sender) {
    super(kernel, question);
    this.#from = from;
  }

  /** @throws Error where a program is missing or another build's */
  run(): Step[] {
    const { address, way } = this.#from;
    const key = new Uint8Array(maps.localDev.keySize);
    const value = this.kernel.lookup(maps.localDev.name, key);
    const { vxlanIfindex = 0, uplinkIfindex = 0 } = value === undefined ? {} : decodeLocalDev([key, value]);
    const device = this.device(way === 'tunnel' ? vxlanIfindex : uplinkIfindex);
    const by = way === 'tunnel' ? 'by the tunnel' : 'without a tunnel';
    this.say('arrival', device, `from ${address} ${by}, if the network between the nodes lets it through`);
    if (vxlanIfindex === 0) {
      this.end('dropped', maps.localDev.name, `has no ${vxlanDevice}: the agent has not filled it; fast-ctl status`);
    } else if (way === 'tunnel') this.#fromTunnel(vxlanIfindex);
    else this.#fromUplink(uplinkIfindex, vxlanIfindex);
    return this.steps;
  }

  #packet(): Uint8Array {
    return firstPacket({ ...this.q, sourceMac: noMac, destinationMac: noMac });
  }

  #fromTunnel(vxlanIfindex: number): void {
    const { source } = this.q;
    const holder = this.clusterPod(source)?.nodeAddress;
    const held = holder === undefined ? 'is held by no other node' : `is held by the node ${holder}`;
    this.say('entry', maps.clusterPodIps.name, `${source} ${held}: looked up, since a run has no tunnel`);
    if (holder === this.#from.address) return this.#fromOverlay(vxlanIfindex);
    this.end('dropped', `${vxlanDevice} ingress`, `from_overlay drops it: ${wrongSource}`);
  }

  #fromUplink(uplinkIfindex: number, vxlanIfindex: number): void {
    const device = this.device(uplinkIfindex);
    const stack = `left to the stack on ${device}, where a strict rp_filter drops it: the way back is not there`;
    if (this.hooked('from_uplink', uplinkIfindex) === undefined) {
      return this.end('unknown', device, `from_uplink does not hang here: ${stack}; fast-ctl links`);
    }
    const went = this.program('from_uplink', { packet: this.#packet(), ifindex: uplinkIfindex });
    if (went.reason === 'local') this.deliver();
    else if (went.verdict === 'drop') this.end('dropped', device, `dropped: ${went.meaning}`);
    else if (went.reason === 'stack') this.#fromOverlay(vxlanIfindex);
    else this.end('unknown', device, stack);
  }

  #fromOverlay(ifindex: number): void {
    const went = this.program('from_overlay', { packet: this.#packet(), ifindex, mark: directMark });
    if (went.verdict === 'drop') this.end('dropped', vxlanDevice, `dropped: ${went.meaning}`);
    else if (went.reason === 'local') this.deliver();
    else if (went.reason === 'host') this.end('host', vxlanDevice, `${this.q.destination} is this node's own address`);
    else this.#stack(ifindex);
  }

  #stack(inputIndex: number): void {
    const { source, destination } = this.q;
    this.say('netfilter', 'the stack', 'sees it: rules of others for what is forwarded may drop it');
    const route = this.route({ destination, source, inputIndex });
    if (route === undefined) return;
    const device = this.device(route.ifindex);
    this.say('route', device, `${route.type} to ${destination}${hopOf(route)}`);
    const pod = this.localPod(destination);
    if (pod?.ifindex === route.ifindex) this.deliverByStack(pod);
    else this.end('unknown', device, `leaves by ${device}, which is not the pod's wire; fast-ctl status`);
  }
}
