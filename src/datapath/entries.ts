// SPDX-License-Identifier: Apache-2.0
// What the maps hold, in words that people and the rest of the program use. The bytes are codecs.ts' business.
import type { CounterSpec } from './generated/layout.ts';

/** A pod of this node, an entry of local_pod_ips. */
export interface LocalPodEntry {
  /** IPv4, dotted. */
  address: string;
  /** The host veth's, in the node's namespace. */
  ifindex: number;
  podMac: string;
  hostMac: string;
  /** All of the pod's traffic takes the stack: for pods whose bandwidth a qdisc limits. */
  stackOnly: boolean;
}

/** An address that another node holds, an entry of cluster_pod_ips. */
export interface ClusterPodEntry {
  /** IPv4, dotted: a pod's, or the other node's overlay address. */
  address: string;
  /** The other node's end of the tunnel, IPv4, dotted. */
  nodeAddress: string;
  /** What goes there leaves by the uplink, without a tunnel. */
  direct: boolean;
  /** The other node stands in the uplink's network: what it sends may come without a tunnel. */
  adjacent: boolean;
}

/** This node's facts, the one entry of local_dev. */
export interface LocalDev {
  /** fast_vxlan's; 0 means that the map is not filled yet, and all pod traffic takes the stack. */
  vxlanIfindex: number;
  uplinkIfindex: number;
  /** IPv4, dotted; 0.0.0.0 while it is not known. */
  overlayAddress: string;
  /** Bytes of an inner IPv4 packet. */
  overlayMtu: number;
  /** Bytes of an IPv4 packet that leaves without a tunnel. */
  uplinkMtu: number;
  /** False: all pod traffic takes the stack. */
  fastPath: boolean;
}

/** One verdict's counter, summed over the CPUs. */
export interface CounterReading extends CounterSpec {
  packets: bigint;
}

/** A packet that a program dropped, one of the last that were written down. */
export interface DropRecord {
  /** Nanoseconds of CLOCK_MONOTONIC, the clock of process.hrtime. */
  atNs: bigint;
  /** From 1, without gaps: who has seen one sees from it how many came since. */
  sequence: number;
  program: CounterSpec['program'] | 'unknown';
  reason: string;
  meaning: string;
  /** The device that the program hangs on. */
  ifindex: number;
  /** Of the whole frame. */
  bytes: number;
  etherType: number;
  /** IPv4, dotted; 0.0.0.0 where the packet was not read so far, and then the ports and the protocol are 0. */
  source: string;
  destination: string;
  /** The other end of the tunnel; 0.0.0.0 where it came by none. */
  tunnelSource: string;
  protocol: number;
  sourcePort: number;
  destinationPort: number;
}
