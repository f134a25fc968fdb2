// SPDX-License-Identifier: Apache-2.0
// What a Pod object says about its need for an address.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { schedulingGate, staticPodAnnotation } from '../api/names.ts';
import type { Node, Pod } from '../api/workloads.ts';
import { type Address, isAddress, parseAddress } from '../ip/address.ts';

/**
 * The identity that the container runtime knows the pod by. A static pod's is the annotation of its mirror: the
 * runtime is never told the mirror's own uid.
 */
export function identityOf(pod: Pod): string {
  return pod.metadata.annotations?.[staticPodAnnotation] ?? pod.metadata.uid ?? '';
}

/**
 * Whether the identity is one that a kubelet made for a static pod: an MD5 sum in hexadecimal (kubelet
 * pkg/kubelet/config/common.go, applyDefaults), where the API server's are UUIDs.
 */
export function isStaticIdentity(uid: string): boolean {
  return /^[0-9a-f]{32}$/.test(uid);
}

/** The pod as the owner of its record. */
export function ownerOf(pod: Pod): IpAllocation['spec']['owner'] {
  const { name, namespace = '' } = pod.metadata;
  return { kind: 'Pod', namespace, name, uid: identityOf(pod) };
}

/** Whether the pod asks not to be scheduled before there is an address for it. */
export function isGated({ spec }: Pod): boolean {
  return spec.schedulingGates?.some(({ name }) => name === schedulingGate) ?? false;
}

export type PodNeed = 'address' | 'gated' | 'hostNetwork' | 'unscheduled' | 'finished' | 'terminating';

/** Succeeded and Failed are final: the kubelet never starts such a pod's containers again. */
export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Why a pod needs an address now, or the word for why it does not. */
export function needOf(pod: Pod): PodNeed {
  if (pod.metadata.deletionTimestamp === undefined && isGated(pod)) return 'gated';
  if (pod.spec.hostNetwork === true) return 'hostNetwork';
  if (pod.spec.nodeName === undefined || pod.spec.nodeName === '') return 'unscheduled';
  if (isFinished(pod)) return 'finished';
  return pod.metadata.deletionTimestamp === undefined ? 'address' : 'terminating';
}

/** The IPv4 address of its own that the pod runs with, as its kubelet says. */
export function runningAddressOf(pod: Pod): Address | undefined {
  const need = needOf(pod);
  const address = pod.status?.podIP;
  if ((need !== 'address' && need !== 'terminating') || address === undefined) return undefined;
  return isAddress(address) ? parseAddress(address) : undefined;
}

export function podKey(pod: { namespace?: string; name: string }): string {
  return `${pod.namespace ?? ''}/${pod.name}`;
}

/** The node's InternalIP of family IPv4, which is its end of the tunnel. */
export function tunnelAddressOf(node: Node): string | undefined {
  return node.status?.addresses?.find((each) => each.type === 'InternalIP' && isAddress(each.address))?.address;
}

/** Every IPv4 address that the node says is its own; none of them is ever given to a pod. */
export function nodeAddressesOf(node: Node): string[] {
  return (node.status?.addresses ?? []).map((each) => each.address).filter(isAddress);
}

/** Set by a person who knows that the machine is off (Kubernetes KEP-2268): others may then speak for it. */
const outOfServiceTaint = 'node.kubernetes.io/out-of-service';

export function isOutOfService(node: Node): boolean {
  return node.spec?.taints?.some((taint) => taint.key === outOfServiceTaint) ?? false;
}

/**
 * How to have a static pod started anew, with a sandbox and a wire of its own; undefined for one that is deleted for that. It
 * has the identity `uid`.
 */
export function staticRestartOf(
  { name, namespace = '', uid }: { name: string; namespace?: string; uid: string },
  nodeName = '',
): string | undefined {
  if (!isStaticIdentity(uid)) return undefined;
  const stop = `crictl stopp $(crictl pods -q --namespace ${namespace} --name ${name})`;
  return `on node ${nodeName}, since deleting the mirror of a static pod restarts nothing: ${stop}`;
}
