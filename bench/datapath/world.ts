// SPDX-License-Identifier: Apache-2.0
// Two nodes as namespaces on one switch. Fast's pods are wired by the agent's own parts, the peers' by iproute2; both
// stand on the same nodes, so MTU, offloads, rules and everything else around them are one and the same. Mode direct has
// two nodes like them on the same switch.
import { execFileSync } from 'node:child_process';
import { basename } from 'node:path';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import type { Mode } from '../../src/api/names.ts';
import { directCondition } from '../../src/datapath/way.ts';
import {
  AgentNode,
  endpointOf,
  inside,
  netnsPath,
  one,
  outsideDown,
  outsideUp,
  type Place,
  two,
} from '../../test/kernel/agent-node.ts';
import { record } from '../../test/kernel/memory-records.ts';
import { kubeProxyScript } from './kube-proxy-rules.ts';
import {
  bareAddress,
  makeBareWire,
  makePeerNode,
  makePeerPod,
  type PeerNode,
  type PeerPod,
  peerAddress,
} from './peers.ts';
import type { Pair } from './traffic.ts';

const netnsOf = (name: string): string => basename(netnsPath(name));

const peerOne: PeerNode = { netns: netnsOf('one'), nodeAddress: one.nodeAddress, number: 1 };
const peerTwo: PeerNode = { netns: netnsOf('two'), nodeAddress: two.nodeAddress, number: 2 };
const peers: Record<'b1' | 'b2' | 'b3', PeerPod> = {
  b1: { netns: netnsOf('b1'), node: peerOne, host: 2 },
  b2: { netns: netnsOf('b2'), node: peerOne, host: 3 },
  b3: { netns: netnsOf('b3'), node: peerTwo, host: 2 },
};
/** Fast's pods: address and node. */
const ours = {
  p1: { address: '10.244.10.0', nodeName: 'one' },
  p2: { address: '10.244.10.2', nodeName: 'one' },
  q1: { address: '10.244.10.1', nodeName: 'two' },
  d1: { address: '10.244.10.3', nodeName: 'three' },
  d2: { address: '10.244.10.4', nodeName: 'four' },
} as const;
const three: Place = { name: 'three', nodeAddress: '172.30.0.3', overlayAddress: '10.244.224.2' };
const four: Place = { name: 'four', nodeAddress: '172.30.0.4', overlayAddress: '10.244.224.3' };
const places: ReadonlyArray<{ place: Place; mode: Mode }> = [
  { place: one, mode: 'tunnel' },
  { place: two, mode: 'tunnel' },
  { place: three, mode: 'direct' },
  { place: four, mode: 'direct' },
];

/** As the API server shows a node: with its pods, and in mode direct with its word that it listens to neighbours. */
function endpointIn({ place, mode }: (typeof places)[number]): NodeEndpoint {
  const pods = Object.values(ours).filter(({ nodeName }) => nodeName === place.name);
  const endpoint = endpointOf(
    place,
    pods.map(({ address }) => address),
  );
  if (mode === 'tunnel') return endpoint;
  const said = { reason: 'Listening', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
  return { ...endpoint, status: { conditions: [{ type: directCondition, status: 'True', ...said }] } };
}

/** Where servers are. */
export const servers = ['two', 'w2', 'b2', 'b3', 'p2', 'q1', 'd2'].map(netnsOf);

export const pairs = {
  host: { from: netnsOf('one'), to: two.nodeAddress },
  wire: { from: netnsOf('w1'), to: bareAddress },
  bridge: { from: netnsOf('b1'), to: peerAddress(peers.b2) },
  same: { from: netnsOf('p1'), to: ours.p2.address },
  vxlan: { from: netnsOf('b1'), to: peerAddress(peers.b3) },
  cross: { from: netnsOf('p1'), to: ours.q1.address },
  direct: { from: netnsOf('d1'), to: ours.d2.address },
} as const satisfies Record<string, Pair>;

export class World {
  readonly #nodes = new Map<string, AgentNode>();

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
    const endpoints = places.map(endpointIn);
    for (const { place, mode } of places) await this.#addNode(place, endpoints, mode);
    // The switch between machines filters nothing; on the nodes bridged packets meet the rules, as kube-proxy needs it.
    inside('outside', 'sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0');
    this.filterBridged(true);
    for (const name of Object.keys(ours) as (keyof typeof ours)[]) await this.#addPod(name);
    for (const name of ['w1', 'w2']) this.#node('one').sandbox(name);
    makeBareWire(netnsOf('w1'), netnsOf('w2'));
    makePeerNode(peerOne, peerTwo);
    makePeerNode(peerTwo, peerOne);
    for (const name of ['b1', 'b2', 'b3'] as const) {
      this.#node(name === 'b3' ? 'two' : 'one').sandbox(name);
      makePeerPod(peers[name]);
    }
    for (const node of this.#nodes.values()) await node.compare();
  }

  #node(name: string): AgentNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  async #addNode(place: Place, endpoints: NodeEndpoint[], mode: Mode): Promise<void> {
    this.#nodes.set(place.name, await AgentNode.up(place, endpoints, { mode }));
    const nft = ['netns', 'exec', netnsOf(place.name), 'nft', '-f', '-'];
    execFileSync('ip', nft, { input: kubeProxyScript(), stdio: 'pipe' });
  }

  async #addPod(name: keyof typeof ours): Promise<void> {
    const { address, nodeName } = ours[name];
    const node = this.#node(nodeName);
    node.sandbox(name);
    node.records.put(record(address, name, { nodeName }));
    await node.add(name, name);
  }

  /** Whether a bridge of the first node shows its packets to netfilter. Off, no Service works between pods of a node. */
  filterBridged(on: boolean): void {
    inside('one', 'sysctl', '-qw', `net.bridge.bridge-nf-call-iptables=${on ? 1 : 0}`);
  }

  async down(): Promise<void> {
    for (const node of this.#nodes.values()) await node.down();
    this.#nodes.clear();
    outsideDown();
  }
}
