// SPDX-License-Identifier: Apache-2.0
// Two nodes as namespaces on one switch. Fast's pods are wired by the agent's own parts, the peers' by iproute2; both
// stand on the same nodes, so MTU, offloads, rules and everything else around them are one and the same.
import { execFileSync } from 'node:child_process';
import { basename } from 'node:path';
import {
  AgentNode,
  endpointOf,
  inside,
  netnsPath,
  one,
  outsideDown,
  outsideUp,
  record,
  two,
} from '../../test/kernel/agent-node.ts';
import { kubeProxyScript } from './kube-proxy-rules.ts';
import { makePeerNode, makePeerPod, type PeerNode, type PeerPod, peerAddress } from './peers.ts';
import type { Pair } from './traffic.ts';

const netnsOf = (name: string): string => basename(netnsPath(name));

const peerOne: PeerNode = { netns: netnsOf('one'), nodeAddress: one.nodeAddress, number: 1 };
const peerTwo: PeerNode = { netns: netnsOf('two'), nodeAddress: two.nodeAddress, number: 2 };
const peers: Record<'b1' | 'b2' | 'b3', PeerPod> = {
  b1: { netns: netnsOf('b1'), node: peerOne, host: 2 },
  b2: { netns: netnsOf('b2'), node: peerOne, host: 3 },
  b3: { netns: netnsOf('b3'), node: peerTwo, host: 2 },
};
const ours = { p1: '10.244.10.0', p2: '10.244.10.2', q1: '10.244.10.1' } as const;

/** Where servers are. */
export const servers = ['two', 'b2', 'b3', 'p2', 'q1'].map(netnsOf);

export const pairs = {
  host: { from: netnsOf('one'), to: two.nodeAddress },
  bridge: { from: netnsOf('b1'), to: peerAddress(peers.b2) },
  same: { from: netnsOf('p1'), to: ours.p2 },
  vxlan: { from: netnsOf('b1'), to: peerAddress(peers.b3) },
  cross: { from: netnsOf('p1'), to: ours.q1 },
} as const satisfies Record<string, Pair>;

export class World {
  readonly #nodes: AgentNode[] = [];

  static async up(): Promise<World> {
    const world = new World();
    await outsideUp();
    try {
      await world.#build();
    } catch (error) {
      await world.down();
      throw error;
    }
    return world;
  }

  async #build(): Promise<void> {
    const endpoints = [endpointOf(one, [ours.p1, ours.p2]), endpointOf(two, [ours.q1])];
    const first = await this.#node(one, endpoints);
    const second = await this.#node(two, endpoints);
    // The switch between machines filters nothing; on the nodes bridged packets meet the rules, as kube-proxy needs it.
    inside('outside', 'sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0');
    this.filterBridged(true);
    await this.#addPod(first, 'p1');
    await this.#addPod(first, 'p2');
    await this.#addPod(second, 'q1', 'two');
    makePeerNode(peerOne, peerTwo);
    makePeerNode(peerTwo, peerOne);
    for (const name of ['b1', 'b2', 'b3'] as const) {
      (name === 'b3' ? second : first).sandbox(name);
      makePeerPod(peers[name]);
    }
    await first.compare();
    await second.compare();
  }

  async #node(place: typeof one, endpoints: ReturnType<typeof endpointOf>[]): Promise<AgentNode> {
    const node = await AgentNode.up(place, endpoints);
    this.#nodes.push(node);
    execFileSync('ip', ['netns', 'exec', netnsOf(place.name), 'nft', '-f', '-'], {
      input: kubeProxyScript(),
      stdio: 'pipe',
    });
    return node;
  }

  async #addPod(node: AgentNode, name: keyof typeof ours, nodeName = 'one'): Promise<void> {
    node.sandbox(name);
    node.records.put(record(ours[name], name, { nodeName }));
    await node.add(name, name);
  }

  /** Whether a bridge of the first node shows its packets to netfilter. Off, no Service works between pods of a node. */
  filterBridged(on: boolean): void {
    inside('one', 'sysctl', '-qw', `net.bridge.bridge-nf-call-iptables=${on ? 1 : 0}`);
  }

  async down(): Promise<void> {
    for (const node of this.#nodes.splice(0)) await node.down();
    outsideDown();
  }
}
