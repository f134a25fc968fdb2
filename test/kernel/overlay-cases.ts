// SPDX-License-Identifier: Apache-2.0
// Every verdict of the two programs on fast_vxlan.
import {
  answerTo,
  arp,
  beside,
  casesOf,
  directMark,
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
  peerNode,
  peerOverlay,
  requestFrom,
  strangerNode,
  tcp,
  toNear,
  udp,
  unusual,
  type PacketCase,
} from './packet-cases.ts';

const fromPeer = { source: peerNode, vni: 1 };
const toOverlay = casesOf('to_overlay');
const fromOverlay = casesOf('from_overlay', { tunnel: fromPeer });

export const toOverlayCases: PacketCase[] = [
  toOverlay.passes('what has a tunnel key passes', 'to_overlay_keyed', tcp(near, far), { tunnel: fromPeer }),
  toOverlay.passes('what the stack routed to a remote pod gets a key', 'to_overlay_routed', tcp(overlay, far)),
  toOverlay.passes('fragments get a key too', 'to_overlay_routed', udp(near, far, { fragmentOffset: 185 })),
  toOverlay.redirects(
    'what the stack routed to a pod beside leaves directly',
    'to_overlay_direct',
    tcp(overlay, beside),
  ),
  toOverlay.redirects(
    'fragments to a pod beside leave directly',
    'to_overlay_direct',
    udp(near, beside, { fragmentOffset: 185 }),
  ),
  toOverlay.drops('an address that nobody holds is dropped', 'drop_to_overlay_no_node', tcp(overlay, '10.244.99.99')),
  toOverlay.drops('a local pod’s address is dropped', 'drop_to_overlay_no_node', tcp(overlay, near)),
  toOverlay.drops('ARP is dropped', 'drop_to_overlay_protocol', arp),
  ...malformed.map(({ what, packetIn }) =>
    toOverlay.drops(`a packet ${what} is dropped`, 'drop_to_overlay_malformed', packetIn),
  ),
  ...[ipv6, ...otherProtocols].map(({ what, packetIn }) =>
    toOverlay.drops(`${what} is dropped`, 'drop_to_overlay_protocol', packetIn),
  ),
];

export const fromOverlayCases: PacketCase[] = [
  fromOverlay.redirects('a remote pod reaches a pod', 'from_overlay_local', tcp(far, near), { macsOut: toNear }),
  fromOverlay.redirects('a remote node reaches a pod', 'from_overlay_local', icmp(peerOverlay, near), {
    macsOut: toNear,
  }),
  fromOverlay.passes(
    'a remote pod reaches this node’s overlay address by the stack',
    'from_overlay_host',
    tcp(far, overlay),
  ),
  fromOverlay.passes('what came by the uplink for this node is let in', 'from_overlay_host', tcp(far, overlay), {
    tunnel: undefined,
    mark: directMark,
  }),
  fromOverlay.passes(
    'a Service’s answer that came by the uplink passes the stack',
    'from_overlay_flow',
    tcp(far, near, answerTo(50_002)),
    { tunnel: undefined, mark: directMark },
  ),
  fromOverlay.drops('another mark opens nothing', 'drop_from_overlay_no_tunnel', tcp(far, near), {
    tunnel: undefined,
    mark: 0x4000,
  }),
  fromOverlay.drops(
    'a source that nobody holds is dropped, however it came',
    'drop_from_overlay_source',
    tcp(outside, near),
    { tunnel: undefined, mark: directMark },
  ),
  fromOverlay.passes('a Service’s answer passes the stack', 'from_overlay_flow', tcp(far, near, answerTo(50_002))),
  fromOverlay.passes(
    'an ICMP error about a Service’s flow passes the stack',
    'from_overlay_flow',
    errorAbout(far, near, { source: near, destination: far, protocol: 'tcp', ...requestFrom(50_002) }),
  ),
  fromOverlay.passes(
    'a pod with a bandwidth limit receives by the stack',
    'from_overlay_stack_only',
    tcp(far, limited),
  ),
  fromOverlay.passes(
    'with the fast path off a pod’s packet is the stack’s',
    'from_overlay_fast_path_off',
    tcp(far, near),
    { node: 'fastPathOff' },
  ),
  fromOverlay.drops('what came through no tunnel is dropped', 'drop_from_overlay_no_tunnel', tcp(far, near), {
    tunnel: undefined,
  }),
  fromOverlay.drops('another network’s packet is dropped', 'drop_from_overlay_no_tunnel', tcp(far, near), {
    tunnel: { source: peerNode, vni: 2 },
  }),
  fromOverlay.drops('a node that does not hold the source is dropped', 'drop_from_overlay_source', tcp(far, near), {
    tunnel: { source: strangerNode, vni: 1 },
  }),
  fromOverlay.drops('a source that no other node holds is dropped', 'drop_from_overlay_source', tcp(outside, near)),
  fromOverlay.drops('a local pod’s address as source is dropped', 'drop_from_overlay_source', tcp(other, near)),
  fromOverlay.drops(
    'a source is checked before the overlay address too',
    'drop_from_overlay_source',
    tcp(far, overlay),
    { tunnel: { source: strangerNode, vni: 1 } },
  ),
  fromOverlay.drops(
    'a destination that is gone is dropped, not looped',
    'drop_from_overlay_destination',
    tcp(far, '10.244.10.99'),
  ),
  fromOverlay.drops(
    'the node’s own address is not reached by the tunnel',
    'drop_from_overlay_destination',
    tcp(far, '172.30.0.1'),
  ),
  fromOverlay.drops(
    'another node’s pod is not reached through this one',
    'drop_from_overlay_destination',
    tcp(far, peerOverlay),
  ),
  fromOverlay.drops(
    'without a node’s facts 0.0.0.0 is no overlay address',
    'drop_from_overlay_destination',
    tcp(far, '0.0.0.0'),
    { node: 'empty' },
  ),
  fromOverlay.drops('ARP is dropped', 'drop_from_overlay_protocol', arp),
  ...unusual(far, near).map(({ what, packetIn }) =>
    fromOverlay.passes(`${what} to a pod is the stack's`, 'from_overlay_unusual', packetIn),
  ),
  ...malformed.map(({ what, packetIn }) =>
    fromOverlay.drops(`a packet ${what} is dropped`, 'drop_from_overlay_malformed', packetIn),
  ),
  ...[ipv6, ...otherProtocols].map(({ what, packetIn }) =>
    fromOverlay.drops(`${what} is dropped`, 'drop_from_overlay_protocol', packetIn),
  ),
];
