// SPDX-License-Identifier: Apache-2.0
// What both halves of a trace do with a node's kernel. Nothing is inferred: the verdicts are those of the programs that hang
// on the devices, run on the packet by BPF_PROG_TEST_RUN over the node's own maps; the routes are the kernel's answers.
import { decodeClusterPod, decodeCounters, decodeLocalPod, encodeAddressKey } from '../datapath/codecs.ts';
import type { ClusterPodEntry, CounterReading, LocalPodEntry } from '../datapath/entries.ts';
import { maps } from '../datapath/generated/layout.ts';
import type { Backend } from './backends.ts';
import type { Attached, Device, NodeKernel, RouteAnswer, RouteQuestion, Sample } from './node-kernel.ts';
import type { Flow } from './trace-packet.ts';

/** By a tunnel, or by the uplink alone. */
export type Way = 'tunnel' | 'direct';

/** Where a packet ends on a node: `host` is the node's own stack, `unknown` what no program and no entry says. */
export type Outcome = 'delivered' | 'dropped' | 'toNode' | 'leaves' | 'host' | 'unknown';

export interface Step {
  /** `pod`, `arrival`, `program`, `entry`, `route`, `netfilter`, `service`, `masquerade`, `node` or `end`. */
  readonly kind: string;
  readonly where: string;
  readonly what: string;
  /** Of an `end`. */
  readonly outcome?: Outcome;
  /** The node that it is sent to, and as whom this node sends it. */
  readonly toNode?: { readonly address: string; readonly way: Way; readonly from?: string };
  /** Of the receiving half, and of what is said of that node. */
  readonly node?: string;
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

/** Of a host veth: what is redirected to its other end is dropped, or has no way back. */
const downStates: ReadonlySet<string> = new Set(['notPresent', 'down', 'lowerLayerDown']);

export abstract class Tracing {
  protected readonly kernel: NodeKernel;
  protected readonly q: Question;
  protected readonly steps: Step[] = [];
  readonly #devices: ReadonlyMap<number, Device>;
  readonly #attached: readonly Attached[];

  constructor(kernel: NodeKernel, question: Question) {
    this.kernel = kernel;
    this.q = question;
    this.#devices = new Map(kernel.devices().map((device) => [device.ifindex, device]));
    this.#attached = kernel.attached();
  }

  protected say(kind: string, where: string, what: string, more: Partial<Step> = {}): void {
    this.steps.push({ kind, where, what, ...more });
  }

  protected end(outcome: Outcome, where: string, what: string, more: Partial<Step> = {}): void {
    this.say('end', where, what, { outcome, ...more });
  }

  protected device(ifindex: number): string {
    return this.#devices.get(ifindex)?.name ?? `device ${ifindex}, which is not there`;
  }

  protected localPod(address: string): LocalPodEntry | undefined {
    const key = encodeAddressKey(address);
    const value = this.kernel.lookup(maps.localPodIps.name, key);
    return value && decodeLocalPod([key, value]);
  }

  protected clusterPod(address: string): ClusterPodEntry | undefined {
    const key = encodeAddressKey(address);
    const value = this.kernel.lookup(maps.clusterPodIps.name, key);
    return value && decodeClusterPod([key, value]);
  }

  protected hooked(name: string, ifindex: number): Attached | undefined {
    const direction = name.startsWith('from_') ? 'ingress' : 'egress';
    return this.#attached.find((one) => one.ifindex === ifindex && one.direction === direction && one.program === name);
  }

  /** Runs what hangs there and says which counter it moved, which is its verdict and its reason. */
  protected program(name: string, sample: Sample): CounterReading {
    const device = this.device(sample.ifindex);
    const hooked = this.hooked(name, sample.ifindex);
    if (hooked === undefined) throw new Error(`${name} does not hang on ${device}; see fast-ctl links`);
    const { tag, counters } = this.kernel.run(this.q.objectFile, name, sample);
    if (tag !== hooked.tag) {
      const cure = 'run the fast-ctl of the agent that attached it, by --node';
      throw new Error(`${name} on ${device} has the tag ${hooked.tag}, that of ${this.q.objectFile} ${tag}; ${cure}`);
    }
    const moved = decodeCounters(counters).find(({ packets }) => packets > 0n);
    if (moved === undefined)
      throw new Error(`${name} moved no counter that this fast-ctl knows; is it an older build?`);
    const what = `${name} (id ${hooked.programId}): ${moved.verdict}, ${moved.meaning}`;
    this.say('program', `${device} ${hooked.direction}`, what);
    return moved;
  }

  /** Undefined where the kernel refuses, which is then the end. */
  protected route(question: RouteQuestion): RouteAnswer | undefined {
    try {
      return this.kernel.route(question);
    } catch (error) {
      this.end('dropped', 'the stack', error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  /** Past the stack, into a pod of this node. */
  protected deliver(): void {
    const pod = this.localPod(this.q.destination);
    if (pod === undefined) {
      return this.end('unknown', '', `${this.q.destination} left this node while it was looked at`);
    }
    const veth = this.device(pod.ifindex);
    this.say('entry', maps.localPodIps.name, `${pod.address} is behind ${veth}, with the MAC ${pod.podMac}`);
    this.#toPod(pod, "delivered to the pod's own end of the wire, past the stack");
  }

  /** The stack has routed it to the wire. */
  protected deliverByStack(pod: LocalPodEntry): void {
    const limit = pod.stackOnly ? ", through the queue of the pod's bandwidth limit" : '';
    this.#toPod(pod, `delivered by the stack to the pod behind ${this.device(pod.ifindex)}${limit}`);
  }

  #toPod({ ifindex, address }: LocalPodEntry, delivered: string): void {
    const veth = this.device(ifindex);
    const state = this.#devices.get(ifindex)?.state ?? 'notPresent';
    if (downStates.has(state)) {
      const what = `not delivered: the wire of ${address} is down, at this end or in the pod; delete the pod for a new one`;
      return this.end('dropped', veth, what);
    }
    if (this.hooked('from_pod', ifindex) === undefined) {
      this.say('entry', veth, 'from_pod does not hang on it: what the pod answers is not checked; fast-ctl links');
    }
    this.end('delivered', veth, delivered);
  }
}

export function hopOf({ gateway, source }: { gateway?: string; source?: string }): string {
  return `${gateway === undefined ? '' : ` via ${gateway}`}${source === undefined ? '' : ` from ${source}`}`;
}
