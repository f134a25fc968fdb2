// SPDX-License-Identifier: Apache-2.0
// Every verdict of the program on the uplink.
import {
  arp,
  beside,
  besideOverlay,
  casesOf,
  changing,
  far,
  icmp,
  ipv6,
  limited,
  malformed,
  near,
  otherProtocols,
  outside,
  overlay,
  type PacketCase,
  requestFrom,
  tcp,
  toNear,
  udp,
  unusual,
} from './packet-cases.ts';

const fromUplink = casesOf('from_uplink');

export const fromUplinkCases: PacketCase[] = [
  fromUplink.redirects('a pod beside reaches a pod', 'from_uplink_local', tcp(beside, near), { macsOut: toNear }),
  fromUplink.redirects('a node beside reaches a pod', 'from_uplink_local', icmp(besideOverlay, near), {
    macsOut: toNear,
  }),
  fromUplink.redirects(
    'a node that began before this one knows reaches a pod',
    'from_uplink_local',
    tcp(changing, near),
    { macsOut: toNear },
  ),
  fromUplink.redirects(
    'this node’s overlay address is reached by the stack',
    'from_uplink_stack',
    tcp(beside, overlay),
  ),
  fromUplink.redirects(
    'a Service’s answer goes on where tunnels end',
    'from_uplink_stack',
    tcp(beside, near, { ...requestFrom(8080), destinationPort: 50_004 }),
  ),
  fromUplink.redirects('a pod with a bandwidth limit receives by the stack', 'from_uplink_stack', tcp(beside, limited)),
  fromUplink.redirects('with the fast path off a pod’s packet is the stack’s', 'from_uplink_stack', tcp(beside, near), {
    node: 'fastPathOff',
  }),
  ...unusual(beside, near).map(({ what, packetIn }) =>
    fromUplink.redirects(`${what} to a pod is the stack's`, 'from_uplink_stack', packetIn),
  ),
  fromUplink.passes('a pod whose node is not in this network comes by the tunnel', 'from_uplink_other', tcp(far, near)),
  fromUplink.passes('who is no pod is judged by the stack', 'from_uplink_other', tcp(outside, near)),
  fromUplink.passes('a local pod’s address is no pod beside', 'from_uplink_other', tcp(near, near)),
  fromUplink.passes('what is for the node itself is the stack’s', 'from_uplink_other', tcp(beside, '172.30.0.1')),
  fromUplink.passes('a pod that is gone is the stack’s matter', 'from_uplink_other', udp(beside, '10.244.10.99')),
  fromUplink.passes('before the node is known all is the stack’s', 'from_uplink_other', tcp(beside, near), {
    node: 'empty',
  }),
  fromUplink.passes('ARP is the stack’s', 'from_uplink_other', arp),
  ...[...malformed, ipv6, ...otherProtocols].map(({ what, packetIn }) =>
    fromUplink.passes(`a packet ${what} is the stack’s`, 'from_uplink_other', packetIn),
  ),
];
