// SPDX-License-Identifier: Apache-2.0
// Every direction that traffic takes in a cluster, as data: from where, to what, by which ways, and as whom the other
// side sees it. What only a translation or a missing one explains is found by the last.
import type { Place } from './place.ts';
import type { PlaceName, PodName, Stage } from './stage.ts';
import { closedServicePort, excludedAddress, hostPort, narrowAddress, nodePorts } from './stage.ts';
import { echoPort } from './traffic.ts';
import type { Answer } from './traffic.ts';

/** `fragments` are datagrams of 8,000 bytes; `refused` is an ICMP error that must find its way back. */
export type Way = 'tcp' | 'udp' | 'fragments' | 'ping' | 'refused';

type Target =
  | { pod: PodName }
  | { service: string }
  | { nodePort: string; at: PlaceName }
  | { hostPortAt: PlaceName }
  | { place: PlaceName }
  | { address: string };

export interface Direction {
  name: string;
  from: PlaceName;
  to: Target;
  ways: readonly Way[];
  /** Default `itself`: nothing translates the source. `its node`, `the entry`: by an address of that machine. */
  seenAs?: 'itself' | 'its node' | 'the entry';
}

const streams: readonly Way[] = ['tcp', 'udp', 'fragments'];
const all: readonly Way[] = ['tcp', 'udp', 'fragments', 'ping', 'refused'];
const translated: readonly Way[] = ['tcp', 'udp', 'fragments', 'refused'];

export const directions: readonly Direction[] = [
  { name: 'pod to pod on one node', from: 'near', to: { pod: 'beside' }, ways: all },
  { name: 'pod to pod across', from: 'near', to: { pod: 'far' }, ways: all },
  { name: 'pod to pod across, the other way', from: 'far', to: { pod: 'near' }, ways: all },
  { name: 'pod to itself', from: 'near', to: { pod: 'near' }, ways: all },
  { name: 'pod to itself by its Service', from: 'near', to: { service: 'near' }, ways: streams, seenAs: 'its node' },
  { name: 'pod to a ClusterIP with a backend on its node', from: 'near', to: { service: 'beside' }, ways: translated },
  { name: 'pod to a ClusterIP with a backend across', from: 'near', to: { service: 'far' }, ways: translated },
  {
    name: 'outside to a NodePort with a backend there',
    from: 'stranger',
    to: { nodePort: 'near', at: 'near-node' },
    ways: streams,
    seenAs: 'the entry',
  },
  {
    name: 'outside to a NodePort with a backend across',
    from: 'stranger',
    to: { nodePort: 'far', at: 'near-node' },
    ways: streams,
    seenAs: 'the entry',
  },
  {
    name: 'pod to a NodePort of its own node, backend there',
    from: 'near',
    to: { nodePort: 'beside', at: 'near-node' },
    ways: streams,
    seenAs: 'the entry',
  },
  {
    name: 'pod to a NodePort of its own node, backend across',
    from: 'near',
    to: { nodePort: 'far', at: 'near-node' },
    ways: streams,
    seenAs: 'the entry',
  },
  {
    name: 'pod to a NodePort of another node, backend on its own',
    from: 'near',
    to: { nodePort: 'beside', at: 'far-node' },
    ways: streams,
    seenAs: 'the entry',
  },
  { name: 'outside to a hostPort', from: 'stranger', to: { hostPortAt: 'far-node' }, ways: ['tcp'] },
  { name: 'pod to a hostPort across', from: 'near', to: { hostPortAt: 'far-node' }, ways: ['tcp'], seenAs: 'its node' },
  { name: 'pod to a hostPort of its own node', from: 'limited', to: { hostPortAt: 'far-node' }, ways: ['tcp'] },
  {
    name: 'pod to itself by its hostPort',
    from: 'far',
    to: { hostPortAt: 'far-node' },
    ways: ['tcp'],
    seenAs: 'its node',
  },
  { name: 'host to its own hostPort', from: 'far-node', to: { hostPortAt: 'far-node' }, ways: ['tcp'] },
  { name: 'host to a pod there', from: 'near-node', to: { pod: 'near' }, ways: all },
  { name: 'host to a pod across', from: 'near-node', to: { pod: 'far' }, ways: all },
  { name: 'control plane to a pod', from: 'master', to: { pod: 'far' }, ways: all },
  { name: 'host to a ClusterIP with a backend there', from: 'near-node', to: { service: 'near' }, ways: translated },
  {
    name: 'host to a ClusterIP with a backend across',
    from: 'near-node',
    to: { service: 'far' },
    ways: translated,
    seenAs: 'its node',
  },
  { name: 'pod to its own node', from: 'near', to: { place: 'near-node' }, ways: all },
  { name: 'pod to another node', from: 'near', to: { place: 'far-node' }, ways: all, seenAs: 'its node' },
  { name: 'pod to the control plane', from: 'far', to: { place: 'master' }, ways: all, seenAs: 'its node' },
  { name: 'pod to outside, masqueraded', from: 'near', to: { place: 'stranger' }, ways: all, seenAs: 'its node' },
  {
    name: 'pod to a range outside that is excluded',
    from: 'near',
    to: { address: excludedAddress },
    // The answer to a datagram would leave by the first address of the two that the host there has.
    ways: ['tcp', 'ping', 'refused'],
  },
  { name: 'outside to a pod, routed by its node', from: 'stranger', to: { pod: 'near' }, ways: all },
  {
    name: 'pod to outside by a way that is too narrow',
    from: 'near',
    to: { address: narrowAddress },
    ways: ['tcp', 'ping'],
    seenAs: 'its node',
  },
  { name: 'a pod with limits to one on its node', from: 'limited', to: { pod: 'far' }, ways: all },
  { name: 'a pod with limits to one across', from: 'limited', to: { pod: 'near' }, ways: all },
  { name: 'pod across to one with limits', from: 'near', to: { pod: 'limited' }, ways: all },
];

const count = 20;
/** More than any receive window that a flow begins with, and than any single GSO packet. */
const tcpBytes = 200_000;

function addressAndPort(to: Target, stage: Stage): { host: string; port: number } {
  if ('pod' in to) return { host: stage.places[to.pod].address, port: echoPort };
  if ('service' in to) return { host: stage.services[to.service] ?? '', port: echoPort };
  if ('nodePort' in to) return { host: stage.places[to.at].address, port: nodePorts[to.nodePort] ?? 0 };
  if ('hostPortAt' in to) return { host: stage.places[to.hostPortAt].address, port: hostPort };
  if ('place' in to) return { host: stage.places[to.place].address, port: echoPort };
  return { host: to.address, port: echoPort };
}

function machineOf(stage: Stage, name: string): Place | undefined {
  return Object.values(stage.places).find((one) => one.name === name);
}

/** The addresses by which the other side may see the traffic. */
function allowedPeers({ from, to, seenAs = 'itself' }: Direction, stage: Stage): readonly string[] {
  const place = stage.places[from];
  if (seenAs === 'itself') return place.addresses;
  const machine = seenAs === 'the entry' && 'at' in to ? stage.places[to.at].machine : place.machine;
  return machineOf(stage, machine)?.addresses ?? [];
}

async function pings(from: Place, host: string): Promise<Answer> {
  const argv = ['busybox', 'ping', '-c', String(count), '-i', '0.02', '-W', '2', host];
  const { stdout, stderr } = await from.run(argv);
  const answered = Number(/(\d+) packets received/.exec(stdout)?.[1] ?? 0);
  return { answered, peers: [], errors: answered === count ? [] : [stdout + stderr], elapsedMs: 0 };
}

function send(way: Way, from: Place, to: Target, stage: Stage): Promise<Answer> {
  const { host, port } = addressAndPort(to, stage);
  if (way === 'ping') return pings(from, host);
  if (way === 'refused') {
    return from.ask({ do: 'refused', host, port: 'service' in to ? closedServicePort : 7, count: 3, bytes: 100 });
  }
  if (way === 'tcp') return from.ask({ do: 'tcp', host, port, count: 5, bytes: tcpBytes });
  return from.ask({ do: 'udp', host, port, count, bytes: way === 'fragments' ? 8000 : 100 });
}

const wanted: Record<Way, number> = { tcp: 5, udp: count, fragments: count, ping: count, refused: 3 };

/** Sends by every way; answers what was lost or seen under a wrong address, one line each. */
export async function faultsOf(direction: Direction, stage: Stage): Promise<string[]> {
  const allowed = allowedPeers(direction, stage);
  const answers = await Promise.all(
    direction.ways.map(async (way) => ({
      way,
      answer: await send(way, stage.places[direction.from], direction.to, stage),
    })),
  );
  return answers.flatMap(({ way, answer }) => {
    const lost = wanted[way] - answer.answered;
    const strange = answer.peers.filter((peer) => peer !== '' && !allowed.includes(peer));
    return [
      ...(lost > 0 ? [`${way}: ${lost} of ${wanted[way]} lost: ${answer.errors.join('; ')}`] : []),
      ...strange.map((peer) => `${way}: seen as ${peer}, not as ${allowed.join(' or ')}`),
    ];
  });
}
