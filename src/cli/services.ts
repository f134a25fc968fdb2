// SPDX-License-Identifier: Apache-2.0
// Which addresses are of Services, read as the controller reads them, so that both count alike.
import { isReason } from '../kube/errors.ts';
import { type KubeObject, resource } from '../kube/object.ts';
import { serviceCidrs } from '../kube/resources.ts';
import { type ServiceRange, serviceRangeOf, unknownServices } from '../reconcilers/services.ts';
import type { Cluster } from './surroundings.ts';

interface Service extends KubeObject {
  spec?: { clusterIP?: string };
}

const services = resource<Service>('', 'v1', 'services', 'Service', 'namespaced');

/** Unknown where this account may not see them. */
export async function servicesIn(cluster: Pick<Cluster, 'list' | 'find'>): Promise<ServiceRange> {
  const listed = await orUnknown(cluster.list(serviceCidrs));
  if (listed !== undefined && listed.items.length > 0)
    return serviceRangeOf(listed.items.flatMap(({ spec }) => spec?.cidrs ?? []));
  // What the kubelet tells the controller in its environment.
  const kubernetes = await orUnknown(cluster.find(services, 'kubernetes', 'default'));
  return kubernetes === undefined ? unknownServices : serviceRangeOf(undefined, kubernetes.spec?.clusterIP);
}

async function orUnknown<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look;
  } catch (error) {
    if (isReason(error, 'notFound', 'forbidden')) return undefined;
    throw error;
  }
}
