// SPDX-License-Identifier: Apache-2.0
// Generated from bpf/*.h by `npm run generate`; do not edit.

/** Grows with every change of a key or a value; part of the pins' path. */
export const layoutVersion = 2;

/** Sizes in bytes. */
export const maps = {
  clusterPodIps: { name: 'cluster_pod_ips', keySize: 4, valueSize: 8, maxEntries: 262144 },
  counters: { name: 'counters', keySize: 4, valueSize: 8, maxEntries: 64 },
  drops: { name: 'drops', keySize: 4, valueSize: 48, maxEntries: 1024 },
  dropsWritten: { name: 'drops_written', keySize: 4, valueSize: 8, maxEntries: 1 },
  dropsTold: { name: 'drops_told', keySize: 4, valueSize: 8, maxEntries: 64 },
  localDev: { name: 'local_dev', keySize: 4, valueSize: 24, maxEntries: 1 },
  localPodIps: { name: 'local_pod_ips', keySize: 4, valueSize: 20, maxEntries: 1024 },
} as const;

/** Where each field is, in bytes. be16 and be32 are in network order, u16 to u64 in the machine's. */
export const structs = {
  clusterPod: {
    nodeAddress: { offset: 0, size: 4, kind: 'be32' },
    flags: { offset: 4, size: 4, kind: 'u32' },
  },
  dropRecord: {
    atNs: { offset: 0, size: 8, kind: 'u64' },
    sequence: { offset: 8, size: 8, kind: 'u64' },
    counter: { offset: 16, size: 4, kind: 'u32' },
    ifindex: { offset: 20, size: 4, kind: 'u32' },
    bytes: { offset: 24, size: 4, kind: 'u32' },
    source: { offset: 28, size: 4, kind: 'be32' },
    destination: { offset: 32, size: 4, kind: 'be32' },
    tunnelSource: { offset: 36, size: 4, kind: 'be32' },
    ethertype: { offset: 40, size: 2, kind: 'be16' },
    sourcePort: { offset: 42, size: 2, kind: 'be16' },
    destinationPort: { offset: 44, size: 2, kind: 'be16' },
    protocol: { offset: 46, size: 1, kind: 'u8' },
    unused: { offset: 47, size: 1, kind: 'u8' },
  },
  localDev: {
    vxlanIfindex: { offset: 0, size: 4, kind: 'u32' },
    uplinkIfindex: { offset: 4, size: 4, kind: 'u32' },
    overlayAddress: { offset: 8, size: 4, kind: 'be32' },
    overlayMtu: { offset: 12, size: 4, kind: 'u32' },
    uplinkMtu: { offset: 16, size: 4, kind: 'u32' },
    flags: { offset: 20, size: 4, kind: 'u32' },
  },
  localPod: {
    ifindex: { offset: 0, size: 4, kind: 'u32' },
    podMac: { offset: 4, size: 6, kind: 'bytes' },
    hostMac: { offset: 10, size: 6, kind: 'bytes' },
    flags: { offset: 16, size: 4, kind: 'u32' },
  },
} as const;

export const clusterPodDirect = 1;
export const clusterPodAdjacent = 2;
export const directMark = 4200059372;
export const dropsIntervalNs = 100000000;
export const localDevFastPathOff = 1;
export const localPodStackOnly = 1;
export const tunnelVni = 1;
export const tunnelTtl = 64;

export interface CounterSpec {
  /** The key in the map. */
  number: number;
  name: string;
  program: 'from_pod' | 'to_overlay' | 'from_overlay' | 'from_uplink';
  reason: string;
  /** `next` left the packet to the kernel's stack, `redirect` sent it past the stack, `drop` ended it. */
  verdict: 'next' | 'redirect' | 'drop';
  /** Whether the packet ended here. */
  drop: boolean;
  meaning: string;
}

export const counters: readonly CounterSpec[] = [
  { number: 0, name: 'from_pod_local', program: 'from_pod', reason: 'local', verdict: 'redirect', drop: false, meaning: "to a pod of this node, by the fast path" },
  { number: 1, name: 'from_pod_tunnel', program: 'from_pod', reason: 'tunnel', verdict: 'redirect', drop: false, meaning: "to a pod or overlay address of another node, by the tunnel" },
  { number: 2, name: 'from_pod_routed', program: 'from_pod', reason: 'routed', verdict: 'next', drop: false, meaning: "to no pod: the stack routes it" },
  { number: 3, name: 'from_pod_flow', program: 'from_pod', reason: 'flow', verdict: 'next', drop: false, meaning: "conntrack knows the flow: the stack has it" },
  { number: 4, name: 'from_pod_unusual', program: 'from_pod', reason: 'unusual', verdict: 'next', drop: false, meaning: "a fragment, IP options, or neither TCP, UDP nor ICMP: the stack has it" },
  { number: 5, name: 'from_pod_stack_only', program: 'from_pod', reason: 'stack_only', verdict: 'next', drop: false, meaning: "one of the two pods is marked for the stack" },
  { number: 6, name: 'from_pod_fast_path_off', program: 'from_pod', reason: 'fast_path_off', verdict: 'next', drop: false, meaning: "the fast path is switched off, or the kernel lacks its conntrack function" },
  { number: 7, name: 'from_pod_too_big', program: 'from_pod', reason: 'too_big', verdict: 'next', drop: false, meaning: "bigger than the way's MTU: the stack answers or fragments" },
  { number: 9, name: 'drop_from_pod_protocol', program: 'from_pod', reason: 'protocol', verdict: 'drop', drop: true, meaning: "neither IPv4, IPv6 nor ARP, or with a VLAN tag" },
  { number: 10, name: 'drop_from_pod_malformed', program: 'from_pod', reason: 'malformed', verdict: 'drop', drop: true, meaning: "IPv4 with headers cut short or impossible" },
  { number: 11, name: 'drop_from_pod_spoofed', program: 'from_pod', reason: 'spoofed', verdict: 'drop', drop: true, meaning: "a source address that is not this pod's" },
  { number: 12, name: 'drop_from_pod_tunnel_key', program: 'from_pod', reason: 'tunnel_key', verdict: 'drop', drop: true, meaning: "the kernel refused the tunnel key" },
  { number: 13, name: 'from_pod_direct', program: 'from_pod', reason: 'direct', verdict: 'redirect', drop: false, meaning: "to a pod or overlay address of another node, without a tunnel" },
  { number: 14, name: 'drop_from_pod_ipv6', program: 'from_pod', reason: 'ipv6', verdict: 'drop', drop: true, meaning: "IPv6, which pods do not have" },
  { number: 15, name: 'drop_from_pod_mac', program: 'from_pod', reason: 'mac', verdict: 'drop', drop: true, meaning: "a source MAC that is not this pod's" },
  { number: 16, name: 'to_overlay_keyed', program: 'to_overlay', reason: 'keyed', verdict: 'next', drop: false, meaning: "came with a tunnel key, from from_pod" },
  { number: 17, name: 'to_overlay_routed', program: 'to_overlay', reason: 'routed', verdict: 'next', drop: false, meaning: "routed here by the stack, got its tunnel key here" },
  { number: 18, name: 'drop_to_overlay_protocol', program: 'to_overlay', reason: 'protocol', verdict: 'drop', drop: true, meaning: "not IPv4, or with a VLAN tag" },
  { number: 19, name: 'drop_to_overlay_malformed', program: 'to_overlay', reason: 'malformed', verdict: 'drop', drop: true, meaning: "IPv4 with headers cut short or impossible" },
  { number: 20, name: 'drop_to_overlay_no_node', program: 'to_overlay', reason: 'no_node', verdict: 'drop', drop: true, meaning: "no other node holds the destination" },
  { number: 21, name: 'drop_to_overlay_tunnel_key', program: 'to_overlay', reason: 'tunnel_key', verdict: 'drop', drop: true, meaning: "the kernel refused the tunnel key" },
  { number: 22, name: 'to_overlay_direct', program: 'to_overlay', reason: 'direct', verdict: 'redirect', drop: false, meaning: "routed here by the stack, leaves by the uplink without a tunnel" },
  { number: 32, name: 'from_overlay_local', program: 'from_overlay', reason: 'local', verdict: 'redirect', drop: false, meaning: "to a pod of this node, by the fast path" },
  { number: 33, name: 'from_overlay_host', program: 'from_overlay', reason: 'host', verdict: 'next', drop: false, meaning: "to this node's overlay address: the stack has it" },
  { number: 34, name: 'from_overlay_flow', program: 'from_overlay', reason: 'flow', verdict: 'next', drop: false, meaning: "conntrack knows the flow: the stack has it" },
  { number: 35, name: 'from_overlay_unusual', program: 'from_overlay', reason: 'unusual', verdict: 'next', drop: false, meaning: "a fragment, IP options, or neither TCP, UDP nor ICMP: the stack has it" },
  { number: 36, name: 'from_overlay_stack_only', program: 'from_overlay', reason: 'stack_only', verdict: 'next', drop: false, meaning: "the pod is marked for the stack" },
  { number: 37, name: 'from_overlay_fast_path_off', program: 'from_overlay', reason: 'fast_path_off', verdict: 'next', drop: false, meaning: "the fast path is switched off, or the kernel lacks its conntrack function" },
  { number: 38, name: 'drop_from_overlay_protocol', program: 'from_overlay', reason: 'protocol', verdict: 'drop', drop: true, meaning: "not IPv4, or with a VLAN tag" },
  { number: 39, name: 'drop_from_overlay_malformed', program: 'from_overlay', reason: 'malformed', verdict: 'drop', drop: true, meaning: "IPv4 with headers cut short or impossible" },
  { number: 40, name: 'drop_from_overlay_no_tunnel', program: 'from_overlay', reason: 'no_tunnel', verdict: 'drop', drop: true, meaning: "no tunnel key, or another network's" },
  { number: 41, name: 'drop_from_overlay_source', program: 'from_overlay', reason: 'source', verdict: 'drop', drop: true, meaning: "the tunnel's other end does not hold the inner source" },
  { number: 42, name: 'drop_from_overlay_destination', program: 'from_overlay', reason: 'destination', verdict: 'drop', drop: true, meaning: "neither a pod of this node nor its overlay address" },
  { number: 48, name: 'from_uplink_local', program: 'from_uplink', reason: 'local', verdict: 'redirect', drop: false, meaning: "to a pod of this node from another node's, without a tunnel, by the fast path" },
  { number: 49, name: 'from_uplink_stack', program: 'from_uplink', reason: 'stack', verdict: 'redirect', drop: false, meaning: "the same, but the stack's: goes on at from_overlay, on the device it belongs to" },
  { number: 50, name: 'from_uplink_other', program: 'from_uplink', reason: 'other', verdict: 'next', drop: false, meaning: "not between pods: the stack has it" },
  { number: 51, name: 'drop_from_uplink_unwritable', program: 'from_uplink', reason: 'unwritable', verdict: 'drop', drop: true, meaning: "between pods, and the kernel refused to let its MACs be written" },
  { number: 56, name: 'drop_from_pod_multicast', program: 'from_pod', reason: 'multicast', verdict: 'drop', drop: true, meaning: "to a multicast or broadcast address, which nothing forwards" },
  { number: 57, name: 'drop_from_pod_arp', program: 'from_pod', reason: 'arp', verdict: 'drop', drop: true, meaning: "ARP, which both ends of a wire know the answers to" },
];
