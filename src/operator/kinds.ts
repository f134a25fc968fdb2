// SPDX-License-Identifier: Apache-2.0
// The kinds that the controller watches and writes, and how much of each it keeps: a cluster's pods in full would be
// hundreds of megabytes, and all decisions are made on a few fields.
import { type IpAllocation, ipAllocationResource } from '../api/generated/ip-allocation.ts';
import { type Ips, ipsResource } from '../api/generated/ips.ts';
import { type NodeEndpoint, nodeEndpointResource } from '../api/generated/node-endpoint.ts';
import { addressAnnotation, expectsAnnotation, poolAnnotation, staticPodAnnotation } from '../api/names.ts';
import type { KubeObject, ObjectMeta } from '../api/object.ts';
import type { Namespace, Node, Pod } from '../api/workloads.ts';
import { type Resource, resource } from '../kube/object.ts';
import { isStrange } from '../reconcilers/strange-annotations.ts';

export const podKind = resource<Pod>('', 'v1', 'pods', 'Pod', 'namespaced');
export const nodeKind = resource<Node>('', 'v1', 'nodes', 'Node', 'cluster');
export const namespaceKind = resource<Namespace>('', 'v1', 'namespaces', 'Namespace', 'cluster');
/** Read one at a time, never watched: only whether it is still there matters, and only when an address is to be kept. */
export const statefulSetKind = resource<KubeObject>('apps', 'v1', 'statefulsets', 'StatefulSet', 'namespaced');
export const poolKind: Resource<Ips> = ipsResource;
export const recordKind: Resource<IpAllocation> = ipAllocationResource;
export const endpointKind: Resource<NodeEndpoint> = nodeEndpointResource;

const keptAnnotations = [poolAnnotation, addressAnnotation, expectsAnnotation, staticPodAnnotation];

export function stripPod({ metadata, spec, status }: Pod): Pod {
  // Its set tells a StatefulSet's pod which address it had; who owns other pods changes nothing.
  const owners = metadata.ownerReferences?.filter((each) => each.controller === true && each.kind === 'StatefulSet');
  return {
    metadata: { ...stripMeta(metadata), ...(owners?.length ? { ownerReferences: owners } : {}) },
    spec: {
      ...(spec.nodeName === undefined ? {} : { nodeName: spec.nodeName }),
      ...(spec.hostNetwork === undefined ? {} : { hostNetwork: spec.hostNetwork }),
      ...(spec.schedulingGates === undefined ? {} : { schedulingGates: spec.schedulingGates }),
    },
    status: {
      ...(status?.phase === undefined ? {} : { phase: status.phase }),
      ...(status?.podIP === undefined ? {} : { podIP: status.podIP }),
    },
  };
}

export function stripNode({ metadata, spec, status }: Node): Node {
  // Whether the control plane has lost the node. When it last heard of it changes too often to be kept.
  const conditions = status?.conditions
    ?.filter(({ type }) => type === 'Ready')
    .map(({ type, status: is, lastTransitionTime: since }) => {
      return { type, status: is, ...(since === undefined ? {} : { lastTransitionTime: since }) };
    });
  return {
    metadata: stripMeta(metadata),
    spec: spec?.taints === undefined ? {} : { taints: spec.taints },
    status: {
      ...(status?.addresses === undefined ? {} : { addresses: status.addresses }),
      ...(conditions?.length ? { conditions } : {}),
    },
  };
}

export function stripNamespace({ metadata }: Namespace): Namespace {
  return { metadata: stripMeta(metadata) };
}

/** For objects that the controller writes back whole: only the record of who wrote which field is dropped. */
export function stripOwn<T extends { metadata: ObjectMeta }>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata as ObjectMeta & { managedFields?: unknown };
  return { ...object, metadata };
}

function stripMeta(metadata: ObjectMeta): ObjectMeta {
  // Of one that nobody reads only the name is told.
  const annotations = Object.entries(metadata.annotations ?? {}).flatMap(([key, value]) => {
    if (keptAnnotations.includes(key)) return [[key, value] as const];
    return isStrange(key) ? [[key, ''] as const] : [];
  });
  const kept: ObjectMeta = { name: metadata.name };
  if (metadata.namespace !== undefined) kept.namespace = metadata.namespace;
  if (metadata.uid !== undefined) kept.uid = metadata.uid;
  if (metadata.resourceVersion !== undefined) kept.resourceVersion = metadata.resourceVersion;
  if (metadata.deletionTimestamp !== undefined) kept.deletionTimestamp = metadata.deletionTimestamp;
  if (metadata.labels !== undefined) kept.labels = metadata.labels;
  if (annotations.length > 0) kept.annotations = Object.fromEntries(annotations);
  return kept;
}
