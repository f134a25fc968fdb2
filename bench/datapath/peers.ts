// SPDX-License-Identifier: Apache-2.0
// What Fast is measured against, on the same machines: pods on a Linux bridge, and between nodes the kernel's VXLAN with
// its forwarding entries written beforehand, as flannel does it.
import { execFileSync } from 'node:child_process';
import { vxlanOverheadBytes } from '../../src/api/names.ts';

const uplinkMtu = 1500;
const mtu = uplinkMtu - vxlanOverheadBytes;
/** Flannel's: not IANA's port, which is Fast's. */
const port = 8472;

export interface PeerNode {
  /** The namespace's name. */
  readonly netns: string;
  readonly nodeAddress: string;
  /** 1 and so on: the third octet of its pods' addresses. */
  readonly number: number;
}

export interface PeerPod {
  readonly netns: string;
  readonly node: PeerNode;
  readonly host: number;
}

export const peerAddress = ({ node, host }: PeerPod): string => `10.250.${node.number}.${host}`;

/** Many commands of iproute2 in one namespace by one process. */
function ipBatch(netns: string, lines: readonly string[]): void {
  execFileSync('ip', ['-n', netns, '-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: 'pipe' });
}

/** Of the bare wire's far end. */
export const bareAddress = '10.251.0.2';

const tunnelMac = ({ number }: PeerNode): string => `02:00:00:00:ff:0${number}`;

/** The bridge and the tunnel of a node, and the way to the other one. */
export function makePeerNode(node: PeerNode, other: PeerNode): void {
  const { netns, number } = node;
  ipBatch(netns, [
    `link add cni0 mtu ${mtu} type bridge`,
    `addr add 10.250.${number}.1/24 dev cni0`,
    'link set cni0 up',
    `link add flannel.1 mtu ${mtu} address ${tunnelMac(node)} type vxlan id 7 dstport ${port} local ${node.nodeAddress} nolearning noudpcsum`,
    'link set flannel.1 up',
    `addr add 10.250.${number}.0/32 dev flannel.1`,
    `route add 10.250.${other.number}.0/24 via 10.250.${other.number}.0 dev flannel.1 onlink`,
    `neigh add 10.250.${other.number}.0 lladdr ${tunnelMac(other)} dev flannel.1 nud permanent`,
  ]);
  const entry = ['fdb', 'append', tunnelMac(other), 'dev', 'flannel.1', 'dst', other.nodeAddress];
  execFileSync('bridge', ['-n', netns, ...entry]);
}

/** Joins two sandboxes by one veth pair and nothing else: what no network can be faster than. */
export function makeBareWire(from: string, to: string): void {
  ipBatch(from, [`link add eth0 mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${to}`]);
  ipBatch(from, ['link set eth0 up', 'addr add 10.251.0.1/24 dev eth0']);
  ipBatch(to, ['link set eth0 up', `addr add ${bareAddress}/24 dev eth0`]);
}

/** Wires a sandbox to the bridge of its node. */
export function makePeerPod(pod: PeerPod): void {
  const { node, netns, host } = pod;
  ipBatch(node.netns, [
    `link add peer${host} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${netns}`,
    `link set peer${host} master cni0 up`,
  ]);
  ipBatch(netns, [
    'link set eth0 up',
    `addr add ${peerAddress(pod)}/24 dev eth0`,
    `route add default via 10.250.${node.number}.1`,
  ]);
}
