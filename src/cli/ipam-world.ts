// SPDX-License-Identifier: Apache-2.0
// All that the API server holds of addresses, and the controller's own book of it: what fast-ctl counts and foresees is
// counted and chosen by the code that gives addresses out.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Ips } from '../api/generated/ips.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Namespace, Node, Pod } from '../api/workloads.ts';
import { isAddress, parseAddress } from '../ip/address.ts';
import { resource } from '../kube/object.ts';
import { AddressBook } from '../reconcilers/address-book.ts';
import { orphansOf } from '../reconcilers/orphan.ts';
import { identityOf, nodeAddressesOf, runningAddressOf } from '../reconcilers/pod.ts';
import { parsePool } from '../reconcilers/pool.ts';
import { addressesOf } from '../reconcilers/published.ts';
import type { ServiceRange } from '../reconcilers/services.ts';
import { allOf, allOfOurs, endpointKind, poolKind, recordKind } from './kinds.ts';
import { servicesIn } from './services.ts';
import type { Cluster } from './surroundings.ts';

export const podKind = resource<Pod>('', 'v1', 'pods', 'Pod', 'namespaced');
const nodeKind = resource<Node>('', 'v1', 'nodes', 'Node', 'cluster');
export const namespaceKind = resource<Namespace>('', 'v1', 'namespaces', 'Namespace', 'cluster');

export interface IpamObjects {
  readonly pools: readonly Ips[];
  readonly records: readonly IpAllocation[];
  readonly endpoints: readonly NodeEndpoint[];
  readonly nodes: readonly Node[];
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly Pod[];
  readonly services?: ServiceRange;
}

/** @throws NotInstalled. Records come first: a pod that is made meanwhile has no record in the list, and is looked at a second time. */
export async function readIpam(cluster: Pick<Cluster, 'list' | 'find'>): Promise<IpamObjects> {
  const records = await allOfOurs(cluster, recordKind);
  const endpoints = await allOfOurs(cluster, endpointKind);
  const pools = await allOfOurs(cluster, poolKind);
  const nodes = await allOf(cluster, nodeKind);
  const namespaces = await allOf(cluster, namespaceKind);
  const services = await servicesIn(cluster);
  return { pools, records, endpoints, nodes, namespaces, services, pods: await allOf(cluster, podKind) };
}

export function bookOf({ pools, records, nodes, pods, endpoints, services }: IpamObjects): AddressBook {
  const book = new AddressBook();
  if (services !== undefined) book.setServices(services);
  for (const ips of pools) {
    const parsed = parsePool(ips);
    if (parsed.kind === 'pool') book.setPool(parsed.pool);
  }
  for (const node of nodes) book.setNodeAddresses(node.metadata.name, nodeAddressesOf(node).map(parseAddress));
  for (const record of records) if (isAddress(record.metadata.name)) book.observe(record);
  for (const pod of pods) book.wear(identityOf(pod), runningAddressOf(pod));
  for (const endpoint of endpoints) {
    const { name } = endpoint.metadata;
    book.setOrphans(name, orphansOf(endpoint));
    book.published.show(name, endpoint);
    book.recheck(addressesOf(endpoint));
  }
  return book;
}
