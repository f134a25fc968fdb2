// SPDX-License-Identifier: Apache-2.0
// Our kinds as fast-ctl asks for them.
import { type IpAllocation, ipAllocationResource } from '../api/generated/ip-allocation.ts';
import { type Ips, ipsResource } from '../api/generated/ips.ts';
import { type NodeEndpoint, nodeEndpointResource } from '../api/generated/node-endpoint.ts';
import { isReason } from '../kube/errors.ts';
import type { KubeObject, Resource } from '../kube/object.ts';
import type { Cluster } from './surroundings.ts';

export const poolKind: Resource<Ips> = ipsResource;
export const recordKind: Resource<IpAllocation> = ipAllocationResource;
export const endpointKind: Resource<NodeEndpoint> = nodeEndpointResource;

/** Where nothing of Fast is found, or it is looked for in the wrong place. */
export const installCure = 'kubectl apply -k config/default; another cluster is named by --context or --kubeconfig';

/** All objects of a kind; none where the cluster does not know the kind. */
export async function allOf<T extends KubeObject>(cluster: Pick<Cluster, 'list'>, kind: Resource<T>): Promise<T[]> {
  try {
    return (await cluster.list(kind)).items;
  } catch (error) {
    if (isReason(error, 'notFound')) return [];
    throw error;
  }
}

/** The cluster does not know a kind of ours. */
export class NotInstalled extends Error {
  constructor(kind: string, cause: unknown) {
    super(`Fast is not installed in this cluster, which does not know the kind ${kind}; ${installCure}`, { cause });
  }
}

/** All objects of a kind of ours. @throws NotInstalled, since no objects of no kind would be read as all of them gone */
export async function allOfOurs<T extends KubeObject>(cluster: Pick<Cluster, 'list'>, kind: Resource<T>): Promise<T[]> {
  try {
    return (await cluster.list(kind)).items;
  } catch (error) {
    if (isReason(error, 'notFound')) throw new NotInstalled(kind.kind, error);
    throw error;
  }
}
