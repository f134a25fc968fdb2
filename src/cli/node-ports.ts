// SPDX-License-Identifier: Apache-2.0
// Who answers at a port of a node's own address, by what the API server has: portmap and kube-proxy write their rules by it.
import { type Pod, pods } from '../kube/resources.ts';
import { type Service, nameOf, protocolOf, servicesOf } from './backends.ts';
import type { Cluster } from './surroundings.ts';

export interface NodePort {
  readonly node: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
}

interface ContainerPort {
  readonly containerPort: number;
  readonly hostPort?: number;
  readonly hostIP?: string;
  readonly protocol?: string;
}

const patienceMs = 5_000;
const ended = new Set(['Succeeded', 'Failed']);

function hostPortOf({ spec }: Pod, { address, port, protocol }: NodePort): ContainerPort | undefined {
  const all = (spec?.containers ?? []).flatMap(({ ports }) => (ports as ContainerPort[] | undefined) ?? []);
  const isAt = ({ hostIP = '' }: ContainerPort): boolean => ['', '0.0.0.0', address].includes(hostIP);
  return all.find((one) => one.hostPort === port && protocolOf(one) === protocol && isAt(one));
}

function sayPod({ metadata, spec, status }: Pod, { containerPort }: ContainerPort): string {
  const name = `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
  const { phase = 'Pending', podIP } = status ?? {};
  const state = phase === 'Running' ? '' : `, which is ${phase}`;
  if (spec?.hostNetwork === true) return `pod ${name} of the node's own network is to listen there${state}`;
  const to = podIP === undefined ? '' : `, which hands it to ${podIP}:${containerPort}`;
  return `it is a hostPort of pod ${name} by portmap${to}${state}`;
}

function isNodePortOf({ spec }: Service, { port, protocol }: NodePort): boolean {
  return spec.ports?.some((one) => one.nodePort === port && protocolOf(one) === protocol) ?? false;
}

/** @throws KubeError where the account may not look */
export async function sayNodePort(cluster: Pick<Cluster, 'list'>, at: NodePort): Promise<string> {
  const options = { fieldSelector: `spec.nodeName=${at.node}` };
  const { items } = await cluster.list(pods, options, { timeoutMs: patienceMs });
  for (const pod of items.filter(({ status }) => !ended.has(status?.phase ?? ''))) {
    const found = hostPortOf(pod, at);
    if (found !== undefined) return sayPod(pod, found);
  }
  const service = (await servicesOf(cluster)).find((one) => isNodePortOf(one, at));
  if (service !== undefined) {
    return `it is a NodePort of Service ${nameOf(service)}: kube-proxy there rewrites it to one of its backends`;
  }
  const protocol = at.protocol === 'UDP' ? '-u' : '-t';
  return (
    'it is neither a hostPort of one of its pods nor a NodePort: a process of the machine answers, or nobody; ' +
    `there: ss -ln ${protocol} sport = ${at.port}`
  );
}
