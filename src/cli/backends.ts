// SPDX-License-Identifier: Apache-2.0
// Which Service an address is, and which endpoints kube-proxy rewrites it to, as the API server has them.
import { type KubeObject, resource } from '../kube/object.ts';
import type { Cluster } from './surroundings.ts';

interface ServicePort {
  name?: string;
  port: number;
  nodePort?: number;
  protocol?: string;
}

export interface Service extends KubeObject {
  metadata: { name: string; namespace: string };
  spec: {
    type?: string;
    clusterIP?: string;
    clusterIPs?: string[];
    externalName?: string;
    ports?: ServicePort[];
    /** Local: kube-proxy takes the endpoints of the sender's node alone. */
    internalTrafficPolicy?: string;
  };
}

interface EndpointSlice extends KubeObject {
  addressType: string;
  endpoints?: Array<{
    addresses: string[];
    conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
    nodeName?: string;
    targetRef?: { kind?: string; namespace?: string; name?: string };
  }>;
  ports?: Array<{ name?: string; port?: number; protocol?: string }>;
}

const serviceKind = resource<Service>('', 'v1', 'services', 'Service', 'namespaced');
const sliceKind = resource<EndpointSlice>('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice', 'namespaced');

export interface Backend {
  readonly address: string;
  readonly port: number;
  /** NAMESPACE/NAME; absent for an endpoint that is no pod. */
  readonly pod?: string;
  readonly node?: string;
}

/** The trace of a node goes on without a word of an API server that is away. */
const patienceMs = 5_000;

type Reader = Pick<Cluster, 'list' | 'find'>;

export function serviceByName(cluster: Reader, namespace: string, name: string): Promise<Service | undefined> {
  return cluster.find(serviceKind, name, namespace);
}

export async function serviceByAddress(cluster: Reader, address: string): Promise<Service | undefined> {
  const options = { fieldSelector: `spec.clusterIP=${address}` };
  const { items } = await cluster.list(serviceKind, options, { timeoutMs: patienceMs });
  return items.find(({ spec }) => spec.clusterIP === address);
}

/** All of them: the API server selects none by a node port. */
export async function servicesOf(cluster: Pick<Cluster, 'list'>): Promise<Service[]> {
  return (await cluster.list(serviceKind, {}, { timeoutMs: patienceMs })).items;
}

/** The Service's IPv4 address; undefined where it has none, as a headless one. */
export function clusterAddressOf({ spec }: Service): string | undefined {
  return [spec.clusterIP ?? '', ...(spec.clusterIPs ?? [])].find((address) => /^\d+\.\d+\.\d+\.\d+$/.test(address));
}

export const nameOf = ({ metadata }: Service): string => `${metadata.namespace}/${metadata.name}`;

export const protocolOf = ({ protocol = 'TCP' }: { protocol?: string }): string => protocol;

/**
 * Those that kube-proxy chooses from for one port, in the order of their addresses: the ready ones, and where there is none
 * those that still serve while they end. `node` is the sender's.
 */
export async function backendsOf(
  cluster: Reader,
  { metadata: { namespace, name }, spec }: Service,
  port: ServicePort,
  node: string | undefined,
): Promise<Backend[]> {
  const labelSelector = `kubernetes.io/service-name=${name}`;
  const { items } = await cluster.list(sliceKind, { namespace, labelSelector });
  const isNear = (nodeName: string | undefined): boolean =>
    spec.internalTrafficPolicy !== 'Local' || node === undefined || nodeName === node;
  const all = items
    .filter(({ addressType }) => addressType === 'IPv4')
    .flatMap((slice) => {
      const found = slice.ports?.find(
        (one) => (one.name ?? '') === (port.name ?? '') && protocolOf(one) === protocolOf(port),
      );
      if (found === undefined) return [];
      return (slice.endpoints ?? [])
        .filter(({ nodeName }) => isNear(nodeName))
        .flatMap(({ addresses: [address = ''], conditions = {}, nodeName, targetRef }) => {
          const pod = targetRef?.kind === 'Pod' ? { pod: `${targetRef.namespace ?? ''}/${targetRef.name ?? ''}` } : {};
          const where = nodeName === undefined ? {} : { node: nodeName };
          return [{ conditions, backend: { address, port: found.port ?? port.port, ...pod, ...where } }];
        });
    });
  const ready = all.filter(({ conditions }) => conditions.ready !== false);
  const ending = all.filter(({ conditions }) => conditions.serving === true && conditions.terminating === true);
  return (ready.length > 0 ? ready : ending)
    .map(({ backend }) => backend)
    .toSorted((a, b) => a.address.localeCompare(b.address, 'en', { numeric: true }));
}
