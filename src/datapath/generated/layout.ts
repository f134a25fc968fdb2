// SPDX-License-Identifier: Apache-2.0
// Generated from bpf/*.h by `npm run generate`; do not edit.

/** Grows with every change of a key or a value; part of the pins' path. */
export const layoutVersion = 1;

/** Sizes in bytes. */
export const maps = {
  clusterPodIps: { name: 'cluster_pod_ips', keySize: 4, valueSize: 8, maxEntries: 262144 },
  counters: { name: 'counters', keySize: 4, valueSize: 8, maxEntries: 64 },
  localDev: { name: 'local_dev', keySize: 4, valueSize: 20, maxEntries: 1 },
  localPodIps: { name: 'local_pod_ips', keySize: 4, valueSize: 20, maxEntries: 1024 },
} as const;

/** Where each field is, in bytes. be32 is network order, u32 the machine's. */
export const structs = {
  clusterPod: {
    nodeAddress: { offset: 0, size: 4, kind: 'be32' },
    flags: { offset: 4, size: 4, kind: 'u32' },
  },
  localDev: {
    vxlanIfindex: { offset: 0, size: 4, kind: 'u32' },
    uplinkIfindex: { offset: 4, size: 4, kind: 'u32' },
    overlayAddress: { offset: 8, size: 4, kind: 'be32' },
    overlayMtu: { offset: 12, size: 4, kind: 'u32' },
    flags: { offset: 16, size: 4, kind: 'u32' },
  },
  localPod: {
    ifindex: { offset: 0, size: 4, kind: 'u32' },
    podMac: { offset: 4, size: 6, kind: 'bytes' },
    hostMac: { offset: 10, size: 6, kind: 'bytes' },
    flags: { offset: 16, size: 4, kind: 'u32' },
  },
} as const;

export const localDevFastPathOff = 1;
export const localPodStackOnly = 1;
export const tunnelVni = 1;
export const tunnelTtl = 64;

export interface CounterSpec {
  /** The key in the map. */
  number: number;
  name: string;
  program: 'from_pod' | 'to_overlay' | 'from_overlay';
  /** Whether the packet ended here. */
  drop: boolean;
  meaning: string;
}

export const counters: readonly CounterSpec[] = [
  { number: 0, name: 'from_pod_local', program: 'from_pod', drop: false, meaning: "to a pod of this node, by the fast path" },
  { number: 1, name: 'from_pod_tunnel', program: 'from_pod', drop: false, meaning: "to a pod or overlay address of another node, by the fast path" },
  { number: 2, name: 'from_pod_routed', program: 'from_pod', drop: false, meaning: "to no pod: the stack routes it" },
  { number: 3, name: 'from_pod_flow', program: 'from_pod', drop: false, meaning: "conntrack knows the flow: the stack has it" },
  { number: 4, name: 'from_pod_unusual', program: 'from_pod', drop: false, meaning: "a fragment, IP options, or neither TCP, UDP nor ICMP: the stack has it" },
  { number: 5, name: 'from_pod_stack_only', program: 'from_pod', drop: false, meaning: "one of the two pods is marked for the stack" },
  { number: 6, name: 'from_pod_fast_path_off', program: 'from_pod', drop: false, meaning: "the fast path is switched off, or the kernel lacks its conntrack function" },
  { number: 7, name: 'from_pod_too_big', program: 'from_pod', drop: false, meaning: "bigger than the overlay's MTU: the stack answers or fragments" },
  { number: 8, name: 'from_pod_arp', program: 'from_pod', drop: false, meaning: "ARP: the stack answers" },
  { number: 9, name: 'drop_from_pod_protocol', program: 'from_pod', drop: true, meaning: "neither IPv4 nor ARP, or with a VLAN tag" },
  { number: 10, name: 'drop_from_pod_malformed', program: 'from_pod', drop: true, meaning: "IPv4 with headers cut short or impossible" },
  { number: 11, name: 'drop_from_pod_spoofed', program: 'from_pod', drop: true, meaning: "a source address that is not this pod's" },
  { number: 12, name: 'drop_from_pod_tunnel_key', program: 'from_pod', drop: true, meaning: "the kernel refused the tunnel key" },
  { number: 16, name: 'to_overlay_keyed', program: 'to_overlay', drop: false, meaning: "came with a tunnel key, from from_pod" },
  { number: 17, name: 'to_overlay_routed', program: 'to_overlay', drop: false, meaning: "routed here by the stack, got its tunnel key here" },
  { number: 18, name: 'drop_to_overlay_protocol', program: 'to_overlay', drop: true, meaning: "not IPv4, or with a VLAN tag" },
  { number: 19, name: 'drop_to_overlay_malformed', program: 'to_overlay', drop: true, meaning: "IPv4 with headers cut short or impossible" },
  { number: 20, name: 'drop_to_overlay_no_node', program: 'to_overlay', drop: true, meaning: "no other node holds the destination" },
  { number: 21, name: 'drop_to_overlay_tunnel_key', program: 'to_overlay', drop: true, meaning: "the kernel refused the tunnel key" },
  { number: 32, name: 'from_overlay_local', program: 'from_overlay', drop: false, meaning: "to a pod of this node, by the fast path" },
  { number: 33, name: 'from_overlay_host', program: 'from_overlay', drop: false, meaning: "to this node's overlay address: the stack has it" },
  { number: 34, name: 'from_overlay_flow', program: 'from_overlay', drop: false, meaning: "conntrack knows the flow: the stack has it" },
  { number: 35, name: 'from_overlay_unusual', program: 'from_overlay', drop: false, meaning: "a fragment, IP options, or neither TCP, UDP nor ICMP: the stack has it" },
  { number: 36, name: 'from_overlay_stack_only', program: 'from_overlay', drop: false, meaning: "the pod is marked for the stack" },
  { number: 37, name: 'from_overlay_fast_path_off', program: 'from_overlay', drop: false, meaning: "the fast path is switched off, or the kernel lacks its conntrack function" },
  { number: 38, name: 'drop_from_overlay_protocol', program: 'from_overlay', drop: true, meaning: "not IPv4, or with a VLAN tag" },
  { number: 39, name: 'drop_from_overlay_malformed', program: 'from_overlay', drop: true, meaning: "IPv4 with headers cut short or impossible" },
  { number: 40, name: 'drop_from_overlay_no_tunnel', program: 'from_overlay', drop: true, meaning: "no tunnel key, or another network's" },
  { number: 41, name: 'drop_from_overlay_source', program: 'from_overlay', drop: true, meaning: "the tunnel's other end does not hold the inner source" },
  { number: 42, name: 'drop_from_overlay_destination', program: 'from_overlay', drop: true, meaning: "neither a pod of this node nor its overlay address" },
];
