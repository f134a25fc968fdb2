// SPDX-License-Identifier: Apache-2.0
// Generated from crds/ipallocations.yaml by `npm run generate`; do not edit.
import type { ObjectMeta } from '../object.ts';

/** IpAllocation is one address in one pod's hands. Its name is the address, so the API server itself lets one create win. It is the only record of that fact. */
export interface IpAllocation {
  apiVersion?: 'sample.fast.io/v1alpha1';
  kind?: 'IpAllocation';
  metadata: ObjectMeta;
  spec: IpAllocationSpec;
  status?: IpAllocationStatus;
}

/** Who holds the address. Written by fast-controller-manager alone. */
export interface IpAllocationSpec {
  /** The IPv4 address, canonical and the same as the name. */
  address: string;
  /** The Ips that the address is from. */
  ips: string;
  /** The gateway that the pod gets, an IPv4 address copied from the pool so that the record explains itself. */
  gateway: string;
  /** The prefix length that the pod gets, in bits, copied from the pool. */
  prefixLength: number;
  /** The node that routes the address. */
  nodeName: string;
  /** The UID of that Node object; a machine that registers anew has another. */
  nodeUID: string;
  /** Who holds the address. */
  owner: {
    /** Pod, or Node for a node's own overlay address. */
    kind: 'Pod' | 'Node';
    /** The pod's namespace; empty for a node. */
    namespace?: string;
    /** The pod's or node's name. */
    name: string;
    /** The owner's identity. For a static pod the annotation kubernetes.io/config.mirror, which is the only one the container runtime knows; else metadata.uid. */
    uid: string;
  };
  /** Bound: the owner holds the address. Releasing: the owner is gone and its node takes the wire away. Cooling: the address rests. Reserved: it is kept for a StatefulSet's ordinal. */
  state: 'Bound' | 'Releasing' | 'Cooling' | 'Reserved';
  /** When the state began. */
  stateSince: string;
  /** The StatefulSet's ordinal that the address is kept for. */
  reservedFor?: {
    /** The StatefulSet's UID. */
    statefulSetUID: string;
    /** The pod's ordinal in it. */
    ordinal: number;
  };
}

/** What the node's agent has done. Written by the agent of spec.nodeName; only for a node that is fenced, or has never had an agent, the controller writes released. */
export interface IpAllocationStatus {
  /** The wire of the owner's current sandbox. Told within ten seconds after it is there. */
  attached?: {
    /** The owner that this is said of. */
    owner: {
      /** That owner's identity. */
      uid: string;
    };
    /** The sandbox's id as the container runtime gave it. */
    containerID: string;
    /** The host's end of the wire. */
    interface: string;
  };
  /** A positive statement that this owner's wire and entries are gone from the node. */
  released?: {
    /** The owner that this is said of. */
    owner: {
      /** That owner's identity. */
      uid: string;
    };
  };
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

/** Where the API server serves IpAllocation. */
export const ipAllocationResource = {
  group: 'sample.fast.io',
  version: 'v1alpha1',
  plural: 'ipallocations',
  kind: 'IpAllocation',
  namespaced: false,
} as const;
