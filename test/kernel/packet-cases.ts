// SPDX-License-Identifier: Apache-2.0
// The world of the packet tests: one node with the pods near, other and limited, one peer node with the pod far that is
// reached by the tunnel, one with the pod beside that is reached directly; and the packets that are wrong or unusual to every program alike. A case is data: what comes in, which counter says why,
// what goes out.
import { frame, hex, ipv4, packet, type PacketWords } from './packets.ts';

export const near = '10.244.10.0';
export const other = '10.244.10.2';
export const far = '10.244.10.1';
export const limited = '10.244.10.4';
export const beside = '10.244.10.5';
/** A pod whose node stands in the uplink's network and is reached by the tunnel all the same. */
export const changing = '10.244.10.7';
export const overlay = '10.244.224.1';
export const peerOverlay = '10.244.224.2';
export const besideOverlay = '10.244.224.3';
export const peerNode = '172.30.0.2';
export const besideNode = '172.30.0.3';
export const changingNode = '172.30.0.4';
export const strangerNode = '172.30.0.66';
export const outside = '192.0.2.7';
export const hostMac = '02:fa:57:00:00:01';
export const podMacs = { near: '0a:00:00:00:00:01', other: '0a:00:00:00:00:02', limited: '0a:00:00:00:00:04' };

export type Verdict = 'next' | 'drop' | 'redirect';
export type Program = 'from_pod' | 'to_overlay' | 'from_overlay' | 'from_uplink';

export interface PacketCase {
  title: string;
  program: Program;
  packetIn: Uint8Array;
  verdict: Verdict;
  counter: string;
  /** from_pod's device: near's host veth where nothing else is said. */
  from?: keyof typeof podMacs;
  /** The frame's source MAC is not set to that pod's. */
  isForged?: true;
  /** The packet's mark when it comes in. */
  mark?: number;
  /** The tunnel metadata that the packet carries. */
  tunnel?: { source: string; vni: number } | undefined;
  /** local_dev: as on a node in service where nothing else is said. */
  node?: 'fastPathOff' | 'empty';
  /** Bytes of one segment's payload, where the packet is a train of segments. */
  segmentBytes?: number;
  /** The MACs of the frame that goes out; those that came in where nothing is said. */
  macsOut?: Uint8Array;
}

export type More = Pick<PacketCase, 'from' | 'isForged' | 'mark' | 'tunnel' | 'node' | 'segmentBytes' | 'macsOut'>;
type Build = (title: string, counter: string, packetIn: Uint8Array, more?: More) => PacketCase;

/** The frame as the pod itself sends it. */
function sentBy(packetIn: Uint8Array, pod: keyof typeof podMacs = 'near'): Uint8Array {
  const frame = packetIn.slice();
  frame.set(hex(podMacs[pod]), 6);
  return frame;
}

/** Builders of a program's cases, one for each verdict. */
export function casesOf(program: Program, always: More = {}): { passes: Build; drops: Build; redirects: Build } {
  const build =
    (verdict: Verdict): Build =>
    (title, counter, packetIn, more) => {
      const given = { program, verdict, title, counter, packetIn, ...always, ...more };
      return program === 'from_pod' && !more?.isForged ? { ...given, packetIn: sentBy(packetIn, more?.from) } : given;
    };
  return { passes: build('next'), drops: build('drop'), redirects: build('redirect') };
}

export const tcp = (source: string, destination: string, more: Partial<PacketWords> = {}): Uint8Array =>
  packet({ source, destination, protocol: 'tcp', ...more });
export const udp = (source: string, destination: string, more: Partial<PacketWords> = {}): Uint8Array =>
  packet({ source, destination, protocol: 'udp', ...more });
export const icmp = (source: string, destination: string, more: Partial<PacketWords> = {}): Uint8Array =>
  packet({ source, destination, protocol: 'icmp', ...more });

/** To the pod's own end of the wire, from the host veths' one MAC. */
export const toNear = hex(podMacs.near + hostMac);
export const toOther = hex(podMacs.other + hostMac);

/** Flows that conntrack knows because a Service translated them: the client called `service`, the backend answers. */
export const service = '10.96.0.10';
export const knownFlows = [
  { protocol: 'tcp', client: near, clientPort: 50_001, backend: other },
  { protocol: 'tcp', client: near, clientPort: 50_002, backend: far },
  { protocol: 'tcp', client: far, clientPort: 50_003, backend: near },
  { protocol: 'tcp', client: near, clientPort: 50_004, backend: beside },
  { protocol: 'udp', client: near, clientPort: 50_005, backend: far },
] as const;

export const answerTo = (clientPort: number): Partial<PacketWords> => ({
  sourcePort: 8080,
  destinationPort: clientPort,
});
export const requestFrom = (clientPort: number): Partial<PacketWords> => ({
  sourcePort: clientPort,
  destinationPort: 8080,
});

/** An ICMP error about a packet. */
export const errorAbout = (source: string, destination: string, quoted: PacketWords): Uint8Array =>
  icmp(source, destination, { icmpType: 3, quoted });

const plain = ipv4({ source: near, destination: other, protocol: 'tcp' });

/** from_uplink's mark on what it hands to from_overlay, bpf/direct.h. */
export const directMark = 0xfa57d1ec;

/** A frame cut in its IPv4 header is not among them: BPF_PROG_TEST_RUN refuses to make one. */
export const malformed = [
  { what: 'cut in the TCP header', packetIn: tcp(near, other).subarray(0, 14 + 20 + 12) },
  { what: 'cut in the UDP header', packetIn: udp(near, other).subarray(0, 14 + 20 + 2) },
  { what: 'cut in the ICMP header', packetIn: icmp(near, other).subarray(0, 14 + 20 + 4) },
  { what: 'of IP version 6 under the type of 4', packetIn: frame('0800', plain.slice().fill(0x65, 0, 1)) },
  { what: 'with a header length below 20', packetIn: frame('0800', plain.slice().fill(0x44, 0, 1)) },
];

export const ipv6 = { what: 'IPv6', packetIn: frame('86dd', hex('60'.padEnd(80, '0'))) };
export const otherProtocols = [
  { what: 'a VLAN tag', packetIn: frame('8100', hex('00640800'.padEnd(80, '0'))) },
  { what: 'LLDP', packetIn: frame('88cc', hex('02'.padEnd(80, '0'))) },
];
export const arp = frame('0806', hex('0001080006040001'.padEnd(56, '0')));

export const unusual = (source: string, destination: string): Array<{ what: string; packetIn: Uint8Array }> => [
  { what: 'a first fragment', packetIn: udp(source, destination, { moreFragments: true }) },
  { what: 'a last fragment', packetIn: udp(source, destination, { fragmentOffset: 185 }) },
  { what: 'IP options', packetIn: tcp(source, destination, { optionBytes: 4 }) },
  { what: 'SCTP', packetIn: packet({ source, destination, protocol: 132, payloadBytes: 24 }) },
];
