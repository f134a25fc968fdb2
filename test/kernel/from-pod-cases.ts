// SPDX-License-Identifier: Apache-2.0
// Every verdict of from_pod.
import { packet } from './packets.ts';
import {
  answerTo,
  arp,
  beside,
  besideOverlay,
  casesOf,
  changing,
  errorAbout,
  far,
  icmp,
  ipv6,
  limited,
  malformed,
  near,
  other,
  otherProtocols,
  outside,
  overlay,
  peerOverlay,
  requestFrom,
  tcp,
  toNear,
  toOther,
  udp,
  unusual,
  type PacketCase,
} from './packet-cases.ts';

const fromPod = casesOf('from_pod');

export const fromPodCases: PacketCase[] = [
  fromPod.redirects('TCP to a pod of this node goes straight to it', 'from_pod_local', tcp(near, other), {
    macsOut: toOther,
  }),
  fromPod.redirects('UDP to a pod of this node goes straight to it', 'from_pod_local', udp(near, other), {
    macsOut: toOther,
  }),
  fromPod.redirects('ping to a pod of this node goes straight to it', 'from_pod_local', icmp(near, other), {
    macsOut: toOther,
  }),
  fromPod.redirects('TCP to a pod of another node goes into the tunnel', 'from_pod_tunnel', tcp(near, far)),
  fromPod.redirects('ping to a pod of another node goes into the tunnel', 'from_pod_tunnel', icmp(near, far)),
  fromPod.redirects(
    'another node’s overlay address is reached by the tunnel',
    'from_pod_tunnel',
    icmp(near, peerOverlay),
  ),
  fromPod.redirects('a pod beside is reached by the uplink', 'from_pod_direct', tcp(near, beside)),
  fromPod.redirects('an overlay address beside is reached by the uplink', 'from_pod_direct', icmp(near, besideOverlay)),
  fromPod.redirects('a pod on a node that changes its mode is tunnelled', 'from_pod_tunnel', tcp(near, changing)),
  fromPod.redirects(
    'a packet of the uplink’s MTU leaves directly',
    'from_pod_direct',
    udp(near, beside, { payloadBytes: 1472 }),
  ),
  fromPod.passes(
    'a packet one byte bigger than the uplink is answered by the stack',
    'from_pod_too_big',
    udp(near, beside, { payloadBytes: 1473 }),
  ),
  fromPod.passes('what is no pod is routed by the stack', 'from_pod_routed', tcp(near, outside)),
  fromPod.passes('this node’s overlay address is the stack’s', 'from_pod_routed', icmp(near, overlay)),
  fromPod.drops('ARP is dropped: what it says would enter the node’s own table', 'drop_from_pod_arp', arp),
  fromPod.drops('another pod’s address as source is dropped', 'drop_from_pod_spoofed', tcp(other, far)),
  fromPod.drops('another pod’s MAC as source is dropped', 'drop_from_pod_mac', tcp(near, far), { isForged: true }),
  fromPod.drops('multicast is dropped', 'drop_from_pod_multicast', udp(near, '224.0.0.251')),
  fromPod.drops(
    'a multicast report is dropped, with its IP option',
    'drop_from_pod_multicast',
    packet({ source: near, destination: '239.255.255.255', protocol: 2, optionBytes: 4 }),
  ),
  fromPod.drops('broadcast is dropped', 'drop_from_pod_multicast', udp(near, '255.255.255.255')),
  fromPod.drops(`${ipv6.what} is dropped, counted apart`, 'drop_from_pod_ipv6', ipv6.packetIn),
  fromPod.drops('a remote pod’s address as source is dropped', 'drop_from_pod_spoofed', udp(far, other)),
  fromPod.drops('an outside address as source is dropped', 'drop_from_pod_spoofed', tcp(outside, other)),
  fromPod.drops('no address as source is dropped', 'drop_from_pod_spoofed', udp('0.0.0.0', '255.255.255.255')),
  fromPod.drops('the right address on another pod’s wire is dropped', 'drop_from_pod_spoofed', tcp(near, far), {
    from: 'other',
  }),
  fromPod.redirects(
    'a packet of the overlay’s MTU goes into the tunnel',
    'from_pod_tunnel',
    udp(near, far, { payloadBytes: 1422 }),
  ),
  fromPod.passes(
    'a packet one byte bigger is answered by the stack',
    'from_pod_too_big',
    udp(near, far, { payloadBytes: 1423 }),
  ),
  fromPod.redirects(
    'a big packet to a pod of this node is no matter',
    'from_pod_local',
    udp(near, other, { payloadBytes: 1423 }),
    { macsOut: toOther },
  ),
  fromPod.redirects('segments that fit go into the tunnel', 'from_pod_tunnel', tcp(near, far, { payloadBytes: 2820 }), {
    segmentBytes: 1410,
  }),
  fromPod.passes(
    'segments that do not fit are the stack’s',
    'from_pod_too_big',
    tcp(near, far, { payloadBytes: 2822 }),
    { segmentBytes: 1411 },
  ),
  fromPod.passes(
    'UDP segments that do not fit are the stack’s',
    'from_pod_too_big',
    udp(near, far, { payloadBytes: 2846 }),
    { segmentBytes: 1423 },
  ),
  fromPod.passes('a pod with a bandwidth limit sends by the stack', 'from_pod_stack_only', tcp(limited, far), {
    from: 'limited',
  }),
  fromPod.passes('a pod with a bandwidth limit receives by the stack', 'from_pod_stack_only', tcp(near, limited)),
  fromPod.passes('with the fast path off all is the stack’s', 'from_pod_fast_path_off', tcp(near, other), {
    node: 'fastPathOff',
  }),
  fromPod.passes('before the node is known all is the stack’s', 'from_pod_fast_path_off', tcp(near, far), {
    node: 'empty',
  }),
  fromPod.drops('a source is checked even with the fast path off', 'drop_from_pod_spoofed', tcp(other, near), {
    node: 'fastPathOff',
  }),
  fromPod.passes(
    'a Service’s answer to a pod of this node passes the stack',
    'from_pod_flow',
    tcp(other, near, answerTo(50_001)),
    { from: 'other' },
  ),
  fromPod.redirects(
    'the same packet on another port takes the fast path',
    'from_pod_local',
    tcp(other, near, answerTo(50_009)),
    { from: 'other', macsOut: toNear },
  ),
  fromPod.passes(
    'a Service’s answer to a remote pod passes the stack',
    'from_pod_flow',
    tcp(near, far, answerTo(50_003)),
  ),
  fromPod.passes(
    'a SYN whose reverse belongs to a Service passes the stack',
    'from_pod_flow',
    tcp(near, other, { ...requestFrom(50_001), tcpFlags: 'S' }),
  ),
  fromPod.passes(
    'a datagram whose reverse belongs to a Service passes the stack',
    'from_pod_flow',
    udp(near, far, requestFrom(50_005)),
  ),
  fromPod.redirects(
    'a datagram from another port takes the fast path',
    'from_pod_tunnel',
    udp(near, far, requestFrom(50_009)),
  ),
  fromPod.redirects(
    'a SYN with ACK is no opening',
    'from_pod_local',
    tcp(near, other, { ...requestFrom(50_001), tcpFlags: 'SA' }),
    { macsOut: toOther },
  ),
  fromPod.passes(
    'an ICMP error about a Service’s flow passes the stack',
    'from_pod_flow',
    errorAbout(other, near, { source: near, destination: other, protocol: 'tcp', ...requestFrom(50_001) }),
    { from: 'other' },
  ),
  fromPod.redirects(
    'an ICMP error about a direct flow takes the fast path',
    'from_pod_local',
    errorAbout(other, near, { source: near, destination: other, protocol: 'udp' }),
    { from: 'other', macsOut: toNear },
  ),
  fromPod.redirects(
    'an ICMP error about a ping takes the fast path',
    'from_pod_local',
    icmp(other, near, {
      icmpType: 11,
      quoted: { source: near, destination: other, protocol: 'icmp', payloadBytes: 8 },
    }),
    { from: 'other', macsOut: toNear },
  ),
  fromPod.passes(
    'an ICMP error that quotes too little is the stack’s',
    'from_pod_flow',
    icmp(other, near, { icmpType: 12 }),
    { from: 'other' },
  ),
  fromPod.passes(
    'an ICMP error that quotes IP options is the stack’s',
    'from_pod_flow',
    errorAbout(other, near, { source: near, destination: other, protocol: 'udp', optionBytes: 4 }),
    { from: 'other' },
  ),
  ...[...unusual(near, other), ...unusual(near, far)].map(({ what, packetIn }) =>
    fromPod.passes(`${what} to a pod is the stack's`, 'from_pod_unusual', packetIn),
  ),
  ...malformed.map(({ what, packetIn }) =>
    fromPod.drops(`a packet ${what} is dropped`, 'drop_from_pod_malformed', packetIn),
  ),
  ...otherProtocols.map(({ what, packetIn }) =>
    fromPod.drops(`${what} is dropped`, 'drop_from_pod_protocol', packetIn),
  ),
];
