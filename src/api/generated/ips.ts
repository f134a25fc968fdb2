// SPDX-License-Identifier: Apache-2.0
// Generated from crds/ipses.yaml by `npm run generate`; do not edit.
import type { ObjectMeta } from '../object.ts';

/** Ips is a pool of addresses. Pods choose it by the annotation fast.io/ips; the pool named default-ips serves pods that name none. */
export interface Ips {
  apiVersion?: 'sample.fast.io/v1alpha1';
  kind?: 'Ips';
  metadata: ObjectMeta;
  spec: IpsSpec;
  status?: IpsStatus;
}

/** What the pool holds and who may have it. */
export interface IpsSpec {
  /** The gateway's address and the prefix length that pods get, such as 10.244.0.1/32: a gateway on the link of a pod that has a /32. Where the prefix is shorter than 32 every address in ips lies inside it. Immutable. */
  subnet: string;
  /** The addresses of the pool, each entry an IPv4 address (10.244.10.7), a range with both ends included (10.244.10.0-10.244.90.0) or a CIDR with every address in it (10.244.10.0/24). */
  ips: string[];
  /** Addresses, ranges or CIDRs that are never given out though ips holds them. */
  excludeIPs?: string[];
  /** A gate on pods, by their labels. A pod that does not match never gets an address of this pool, whatever its annotation says. */
  podSelector?: {
    /** Labels that must all be there with these values. */
    matchLabels?: Record<string, string>;
    /** Requirements on labels that must all hold. */
    matchExpressions?: Array<{
      /** The label's name. */
      key: string;
      /** How the label's value relates to the values. */
      operator: string;
      /** The values of In and NotIn; empty for Exists and DoesNotExist. */
      values?: string[];
    }>;
  };
  /** A gate on namespaces, by their labels. Pods of other namespaces never get an address of this pool. */
  namespaceSelector?: unknown;
  /** A gate on nodes, by their labels. Pods on other nodes never get an address of this pool. */
  nodeSelector?: unknown;
  /** How long, in seconds, an address rests after its pod is gone before another pod gets it, while others are free. A pool with nothing else left gives out the longest-rested one. */
  coolDownSeconds?: number;
  /** How long, in seconds, an address is kept for a StatefulSet's ordinal whose pod is gone. Without it addresses are not kept. */
  reservedSeconds?: number;
  /** Who gets addresses of this pool. Pod, or Node for the overlay addresses of the nodes themselves. */
  usage?: 'Pod' | 'Node';
}

/** How full the pool is and what stands in its way. Written by fast-controller-manager. */
export interface IpsStatus {
  /** The generation of the spec that this status speaks of. */
  observedGeneration?: number;
  /** The addresses that the pool can give out, excluded ones and its gateway left out. */
  total?: number;
  /** The addresses of the pool in a pod's or node's hands, Bound or Releasing. */
  bound?: number;
  /** The addresses that rest after use. */
  cooling?: number;
  /** The addresses kept for a StatefulSet's ordinal. */
  reserved?: number;
  /** The addresses that nobody holds. */
  free?: number;
  /** Addresses still in use that an edit took out of the pool. */
  outOfRange?: number;
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

/** Where the API server serves Ips. */
export const ipsResource = {
  group: 'sample.fast.io',
  version: 'v1alpha1',
  plural: 'ipses',
  kind: 'Ips',
  namespaced: false,
} as const;
