// SPDX-License-Identifier: Apache-2.0
// Two nodes, four pods and a stranger outside as namespaces, wired as the agent wires them and with the real programs.
// What is here of devices and routes is DESIGN's picture of a node, made by iproute2 and not by the agent, so that the
// datapath is tested alone.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { BpfLink, ensureClsact, Netns, replaceFilter, RouteSocket } from 'ebpf-native';
import { encodeClusterPod, encodeLocalDev, encodeLocalPod } from '../../src/datapath/codecs.ts';
import { DatapathObject } from './datapath-object.ts';

const prefix = 'fdp-';
const hostMac = '02:fa:57:00:00:01';
const tunnelMac = '02:fa:57:00:00:02';
const uplinkMtu = 1500;
const overlayMtu = 1450;
/** How the two nodes reach each other. */
export type Way = 'tunnel' | 'direct';
const ways = { tunnel: { direct: false, adjacent: false }, direct: { direct: true, adjacent: true } };
const fromPodFilter = { priority: 0xfa57, handle: 1, name: 'from_pod' };

export interface Pod {
  name: string;
  address: string;
  node: string;
}

export interface Node {
  name: string;
  address: string;
  overlay: string;
}

export const nodes: readonly Node[] = [
  { name: 'north', address: '172.30.0.1', overlay: '10.244.224.1' },
  { name: 'south', address: '172.30.0.2', overlay: '10.244.224.2' },
];
export const pods: readonly Pod[] = [
  { name: 'n-a', address: '10.244.10.0', node: 'north' },
  { name: 'n-b', address: '10.244.10.2', node: 'north' },
  { name: 's-a', address: '10.244.10.1', node: 'south' },
  { name: 's-b', address: '10.244.10.3', node: 'south' },
];
export const outside = { name: 'outside', address: '172.30.0.100' };

/** What kube-proxy does for a Service with one backend each, and the agent's masquerade rules. */
const nftRules = `
table ip services {
  chain services {
    ip daddr 10.96.0.10 tcp dport 80 dnat to 10.244.10.2:8080
    ip daddr 10.96.0.11 tcp dport 80 dnat to 10.244.10.1:8080
    ip daddr 10.96.0.11 udp dport 80 dnat to 10.244.10.1:8080
    fib daddr type local tcp dport 30011 meta mark set meta mark or 0x4000 dnat to 10.244.10.1:8080
  }
  chain prerouting { type nat hook prerouting priority -100; jump services; }
  chain output { type nat hook output priority -100; jump services; }
  chain postrouting { type nat hook postrouting priority 100; meta mark & 0x4000 == 0x4000 masquerade; }
  chain forward { type filter hook forward priority 0; ct state invalid counter drop; }
}
table ip fast {
  set pools { type ipv4_addr; flags interval; elements = { 10.244.0.0/16 } }
  chain postrouting { type nat hook postrouting priority 101;
    ip saddr @pools ip daddr != @pools fib daddr type != local masquerade
    oifname "fast_vxlan" ip saddr != @pools masquerade
  }
}`;

export function inside(name: string, ...command: string[]): string {
  return execFileSync('ip', ['netns', 'exec', prefix + name, ...command], { encoding: 'utf8', stdio: 'pipe' });
}

function ipBatch(name: string, lines: string[]): void {
  execFileSync('ip', ['-n', prefix + name, '-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: 'pipe' });
}

function linkOf(name: string, device: string): { ifindex: number; address: string } {
  const text = execFileSync('ip', ['-n', prefix + name, '-j', 'link', 'show', device], { encoding: 'utf8' });
  const [link] = JSON.parse(text) as Array<{ ifindex: number; address: string }>;
  if (link === undefined) throw new Error(`${name} has no ${device}`);
  return link;
}

function sysctls(name: string, settings: string[]): void {
  inside(name, 'sysctl', '-qw', ...settings);
}

function makeFabric(): void {
  for (const name of ['fabric', 'outside', ...nodes.map((node) => node.name)]) {
    execFileSync('ip', ['netns', 'add', prefix + name]);
  }
  ipBatch('fabric', ['link add bridge type bridge', 'link set bridge up']);
  for (const { name, address } of [...nodes, outside]) {
    ipBatch('fabric', [
      `link add ${name} type veth peer name uplink netns ${prefix}${name}`,
      `link set ${name} master bridge up`,
    ]);
    ipBatch(name, ['link set lo up', `link set uplink mtu ${uplinkMtu} up`, `addr add ${address}/24 dev uplink`]);
  }
}

function makeNode({ name, overlay }: Node): void {
  const on = ['net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=1', 'net.ipv4.conf.default.rp_filter=1'];
  sysctls(name, [...on, 'net.ipv6.conf.default.disable_ipv6=1', 'net.ipv6.conf.all.disable_ipv6=1']);
  ipBatch(name, [
    `link add fast_vxlan mtu ${overlayMtu} type vxlan external dstport 4789`,
    'link set fast_vxlan arp off up',
    `addr add ${overlay}/32 dev fast_vxlan`,
    `route add 10.244.0.0/16 via 10.244.0.1 dev fast_vxlan onlink src ${overlay}`,
    `neigh add 10.244.0.1 lladdr ${tunnelMac} dev fast_vxlan nud permanent`,
    `route add default via ${outside.address}`,
  ]);
  execFileSync('ip', ['netns', 'exec', prefix + name, 'nft', '-f', '-'], { input: nftRules });
}

function makePod({ name, address, node }: Pod): void {
  const source = nodes.find((each) => each.name === node)?.address;
  execFileSync('ip', ['netns', 'add', prefix + name]);
  sysctls(name, ['net.ipv6.conf.default.disable_ipv6=1']);
  ipBatch(node, [
    `link add ${name} mtu ${overlayMtu} address ${hostMac} type veth peer name eth0 mtu ${overlayMtu} netns ${prefix}${name}`,
    `link set ${name} up`,
    `route add ${address}/32 dev ${name} src ${source}`,
  ]);
  ipBatch(name, [
    'link set lo up',
    'link set eth0 up',
    `addr add ${address}/32 dev eth0`,
    'route add 10.244.0.1 dev eth0 scope link',
    'route add default via 10.244.0.1',
    `neigh add 10.244.0.1 lladdr ${hostMac} dev eth0 nud permanent`,
  ]);
  ipBatch(node, [`neigh add ${address} lladdr ${linkOf(name, 'eth0').address} dev ${name} nud permanent`]);
}

export class TwoNodes {
  readonly #datapaths = new Map<string, DatapathObject>();
  readonly #links: BpfLink[] = [];
  readonly #peers: ChildProcess[] = [];
  readonly #way: Way;

  private constructor(way: Way) {
    this.#way = way;
  }

  static async up(way: Way = 'tunnel'): Promise<TwoNodes> {
    const world = new TwoNodes(way);
    world.#removeNamespaces();
    try {
      makeFabric();
      nodes.forEach(makeNode);
      pods.forEach(makePod);
      for (const node of nodes) await world.#attach(node);
    } catch (error) {
      await world.down();
      throw error;
    }
    return world;
  }

  async #attach(node: Node): Promise<void> {
    const datapath = await DatapathObject.load();
    this.#datapaths.set(node.name, datapath);
    this.#fill(node, datapath);
    const netns = Netns.open(`/run/netns/${prefix}${node.name}`);
    const vxlan = linkOf(node.name, 'fast_vxlan').ifindex;
    netns.run(() => {
      this.#links.push(BpfLink.attachTcx(datapath.object.program('to_overlay'), vxlan, 'egress'));
      this.#links.push(BpfLink.attachTcx(datapath.object.program('from_overlay'), vxlan, 'ingress'));
      if (this.#way === 'direct') {
        const uplink = linkOf(node.name, 'uplink').ifindex;
        this.#links.push(BpfLink.attachTcx(datapath.object.program('from_uplink'), uplink, 'ingress'));
      }
    });
    const routes = RouteSocket.open(netns);
    for (const pod of pods.filter((each) => each.node === node.name)) {
      const { ifindex } = linkOf(node.name, pod.name);
      ensureClsact(routes, ifindex);
      replaceFilter(routes, ifindex, 'ingress', { ...fromPodFilter, program: datapath.object.program('from_pod') });
    }
    routes.close();
    netns.close();
  }

  #fill(node: Node, datapath: DatapathObject): void {
    for (const { name, address, node: home } of pods) {
      const nodeAddress = nodes.find((each) => each.name === home)?.address ?? '';
      if (home !== node.name) {
        datapath.write('cluster_pod_ips', encodeClusterPod({ address, nodeAddress, ...ways[this.#way] }));
        continue;
      }
      const wire = { address, ifindex: linkOf(home, name).ifindex, podMac: linkOf(name, 'eth0').address };
      datapath.write('local_pod_ips', encodeLocalPod({ ...wire, hostMac, stackOnly: false }));
    }
    for (const { overlay, address } of nodes.filter((each) => each.name !== node.name)) {
      datapath.write(
        'cluster_pod_ips',
        encodeClusterPod({ address: overlay, nodeAddress: address, ...ways[this.#way] }),
      );
    }
    this.setFastPath(node.name, true);
  }

  /** Writes local_dev; false sends all pod traffic of the node through the stack. */
  setFastPath(nodeName: string, fastPath: boolean): void {
    const overlayAddress = nodes.find((each) => each.name === nodeName)?.overlay ?? '';
    const vxlanIfindex = linkOf(nodeName, 'fast_vxlan').ifindex;
    const uplinkIfindex = linkOf(nodeName, 'uplink').ifindex;
    const dev = { vxlanIfindex, uplinkIfindex, overlayAddress, overlayMtu, uplinkMtu, fastPath };
    this.#datapaths.get(nodeName)?.write('local_dev', encodeLocalDev(dev));
  }

  /** On one node, says that another node holds an address. */
  claim(nodeName: string, address: string, nodeAddress: string): void {
    const way = nodes.some((node) => node.address === nodeAddress) ? ways[this.#way] : ways.tunnel;
    this.#datapaths.get(nodeName)?.write('cluster_pod_ips', encodeClusterPod({ address, nodeAddress, ...way }));
  }

  counter(nodeName: string, name: string): number {
    return this.#datapaths.get(nodeName)?.counters().get(name) ?? 0;
  }

  /** Runs `work` and returns by how much each counter of the node moved; those that did not are left out. */
  async counted(nodeName: string, work: () => unknown): Promise<Record<string, number>> {
    const datapath = this.#datapaths.get(nodeName);
    if (datapath === undefined) throw new Error(`no node ${nodeName}`);
    const before = datapath.counters();
    await work();
    const moved = [...datapath.counters()].map(([name, packets]): [string, number] => [
      name,
      packets - (before.get(name) ?? 0),
    ]);
    return Object.fromEntries(moved.filter(([, packets]) => packets > 0));
  }

  /** Starts the echo server of peer.ts in a namespace; resolves once it listens. */
  async serve(name: string): Promise<void> {
    const peer = spawn('ip', ['netns', 'exec', prefix + name, process.execPath, peerScript, 'serve', '8080'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#peers.push(peer);
    await once(peer.stdout, 'data');
  }

  #removeNamespaces(): void {
    const listed = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n');
    const ours = listed.map((line) => line.split(' ')[0] ?? '').filter((name) => name.startsWith(prefix));
    for (const name of ours) execFileSync('ip', ['netns', 'del', name]);
  }

  async down(): Promise<void> {
    for (const peer of this.#peers.filter((each) => each.exitCode === null)) {
      peer.kill();
      await once(peer, 'exit');
    }
    for (const link of this.#links) link.close();
    this.#removeNamespaces();
    for (const datapath of this.#datapaths.values()) datapath.close();
  }
}

export const peerScript = join(import.meta.dirname, 'peer.ts');

export function namespaceOf(name: string): string {
  return prefix + name;
}

export interface Answer {
  /** Who the server saw: the address of the client as it arrived. */
  seenAs?: string;
  /** Whether what came back is what was sent. */
  intact?: boolean;
  /** Node's code of a failure, such as ECONNREFUSED. */
  error?: string;
}

/** Sends from one namespace to an address, by UDP from a port of one's choice, and compares the echo. */
export async function send(
  from: string,
  kind: 'tcp' | 'udp',
  to: string,
  bytes: number,
  localPort = 0,
): Promise<Answer> {
  const [host = '', port = ''] = to.split(':');
  const command = [
    'netns',
    'exec',
    prefix + from,
    process.execPath,
    peerScript,
    kind,
    host,
    port,
    `${bytes}`,
    `${localPort}`,
  ];
  const child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(child, 'close');
  return JSON.parse(text) as Answer;
}

export interface Pings {
  sent: number;
  received: number;
  /** Of every answer, without repetition. */
  ttls: number[];
}

/** busybox's ping; more words go before the address. A failure is a count of 0, not an exception. */
export function ping(from: string, to: string, count: number, ...words: string[]): Pings {
  const command = ['busybox', 'ping', '-c', String(count), '-i', '0.05', '-W', '1', ...words, to];
  let text: string;
  try {
    text = inside(from, ...command);
  } catch (error) {
    text = (error as { stdout: string }).stdout;
  }
  const ttls = Array.from(text.matchAll(/ttl=(\d+)/g), ([, ttl]) => Number(ttl));
  const [, sent, received] = /(\d+) packets transmitted, (\d+) packets received/.exec(text) ?? [];
  return { sent: Number(sent), received: Number(received), ttls: [...new Set(ttls)] };
}
