// SPDX-License-Identifier: Apache-2.0
// Generated from crds/nodeendpoints.yaml by `npm run generate`; do not edit.
import type { ObjectMeta } from '../object.ts';

/** NodeEndpoint is a node as the others see it. Its name is the node's. */
export interface NodeEndpoint {
  apiVersion?: 'sample.fast.io/v1alpha1';
  kind?: 'NodeEndpoint';
  metadata: ObjectMeta;
  spec: NodeEndpointSpec;
  status?: NodeEndpointStatus;
}

/** Where the node is reached and which addresses are behind it. Written by fast-controller-manager alone. */
export interface NodeEndpointSpec {
  /** The UID of the Node object. */
  nodeUID: string;
  /** The node's end of the tunnel, the InternalIP of its Node object. */
  tunnelAddress: string;
  /** The node's own address on the overlay, itself an IpAllocation with an owner of kind Node. */
  overlayAddress?: string;
  /** The addresses bound on this node in ascending order, a view made from the IpAllocations and never an authority. */
  podAddresses?: string[];
  /** Pods of this node that have no address yet, at most 64 of them, each with the reason. */
  waiting?: Array<{
    /** The pod's identity as in IpAllocation spec.owner.uid. */
    uid: string;
    /** The pod's namespace. */
    namespace: string;
    /** The pod's name. */
    name: string;
    /** The cause in one CamelCase word. */
    reason: string;
    /** The cause and the cure in a sentence. */
    message: string;
  }>;
}

/** How the node's datapath is. Written by the node's agent; for a node that is silent fast-controller-manager says that DatapathReady is Unknown. */
export interface NodeEndpointStatus {
  /** The pods' MTU in bytes; the uplink's less the tunnel's 50. */
  mtu?: number;
  /** How full the node's eBPF maps are. */
  maps?: Array<{
    /** The map's name. */
    name: string;
    /** Entries in it. */
    entries: number;
    /** Entries that it has room for. */
    maxEntries: number;
  }>;
  /** Wires on the node that no IpAllocation explains. */
  orphans?: Array<{
    /** The wire's IPv4 address. */
    address: string;
    /** The identity of the pod that it was made for. */
    ownerUID: string;
    /** The host's end of the wire. */
    interface: string;
  }>;
  /** What is true of this object now, each with its reason. */
  conditions?: Array<{
    /** The condition's name in CamelCase. */
    type: string;
    /** True, False or Unknown. */
    status: string;
    /** The generation of the spec that this condition speaks of. */
    observedGeneration?: number;
    /** When the status last changed. */
    lastTransitionTime: string;
    /** The cause in one CamelCase word. */
    reason: string;
    /** The cause and the cure in a sentence. */
    message: string;
  }>;
}

/** Where the API server serves NodeEndpoint. */
export const nodeEndpointResource = {
  group: 'sample.fast.io',
  version: 'v1alpha1',
  plural: 'nodeendpoints',
  kind: 'NodeEndpoint',
  namespaced: false,
} as const;
