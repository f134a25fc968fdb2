// SPDX-License-Identifier: Apache-2.0
// The built-in kinds that Fast reads or writes, and of each only the fields it looks at. The resources of our own group
// are made with resource() where their generated types live.

import { type Condition, type KubeObject, type ObjectReference, type Resource, resource } from './object.ts';

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'; values?: string[] }[];
}

export interface Pod extends KubeObject {
  spec?: {
    nodeName?: string;
    hostNetwork?: boolean;
    serviceAccountName?: string;
    restartPolicy?: string;
    priorityClassName?: string;
    containers?: { name: string; image?: string; [field: string]: unknown }[];
    [field: string]: unknown;
  };
  status?: {
    phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
    podIP?: string;
    podIPs?: { ip: string }[];
    hostIP?: string;
    reason?: string;
    conditions?: Partial<Condition>[];
    containerStatuses?: { name: string; ready: boolean; restartCount: number; [field: string]: unknown }[];
  };
}

export interface Taint {
  key: string;
  value?: string;
  effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
}

export interface Node extends KubeObject {
  spec?: { podCIDR?: string; taints?: Taint[]; unschedulable?: boolean; providerID?: string };
  status?: {
    addresses?: { type: string; address: string }[];
    conditions?: Partial<Condition>[];
    nodeInfo?: { kernelVersion?: string; kubeletVersion?: string; [field: string]: unknown };
  };
}

export interface Namespace extends KubeObject {
  status?: { phase?: string; conditions?: Partial<Condition>[] };
}

export interface PodTemplate {
  metadata?: KubeObject['metadata'];
  spec?: Pod['spec'];
}

export interface DaemonSet extends KubeObject {
  spec?: { selector: LabelSelector; template: PodTemplate; updateStrategy?: object; [field: string]: unknown };
  status?: {
    desiredNumberScheduled?: number;
    numberReady?: number;
    updatedNumberScheduled?: number;
    numberAvailable?: number;
    observedGeneration?: number;
  };
}

export interface Deployment extends KubeObject {
  spec?: { replicas?: number; selector: LabelSelector; template: PodTemplate; [field: string]: unknown };
  status?: {
    replicas?: number;
    readyReplicas?: number;
    updatedReplicas?: number;
    availableReplicas?: number;
    observedGeneration?: number;
  };
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

export interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    /** MicroTime: RFC 3339 with exactly six digits of a second. */
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

/** Since Kubernetes 1.33: the ranges that Services get their addresses from, the one of --service-cluster-ip-range included. */
export interface ServiceCidr extends KubeObject {
  spec?: { cidrs?: string[] };
}

/** events.k8s.io/v1. Everything but `series` is immutable. */
export interface KubeEvent extends KubeObject {
  /** MicroTime. */
  eventTime: string;
  type: 'Normal' | 'Warning';
  /** CamelCase, at most 128 characters. */
  reason: string;
  action: string;
  /** At most 1024 characters. */
  note?: string;
  regarding?: ObjectReference;
  related?: ObjectReference;
  reportingController: string;
  reportingInstance: string;
  series?: { count: number; lastObservedTime: string };
}

export const pods: Resource<Pod> = resource('', 'v1', 'pods', 'Pod', 'namespaced');
export const nodes: Resource<Node> = resource('', 'v1', 'nodes', 'Node', 'cluster');
export const namespaces: Resource<Namespace> = resource('', 'v1', 'namespaces', 'Namespace', 'cluster');
export const configMaps: Resource<ConfigMap> = resource('', 'v1', 'configmaps', 'ConfigMap', 'namespaced');
export const daemonSets: Resource<DaemonSet> = resource('apps', 'v1', 'daemonsets', 'DaemonSet', 'namespaced');
export const deployments: Resource<Deployment> = resource('apps', 'v1', 'deployments', 'Deployment', 'namespaced');
export const leases: Resource<Lease> = resource('coordination.k8s.io', 'v1', 'leases', 'Lease', 'namespaced');
export const events: Resource<KubeEvent> = resource('events.k8s.io', 'v1', 'events', 'Event', 'namespaced');
export const serviceCidrs: Resource<ServiceCidr> = resource(
  'networking.k8s.io',
  'v1',
  'servicecidrs',
  'ServiceCIDR',
  'cluster',
);
