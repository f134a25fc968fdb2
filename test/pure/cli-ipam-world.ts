// SPDX-License-Identifier: Apache-2.0
// A cluster that is a handful of objects and the answers of its agents, for fast-ctl ipam.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { apiVersion, poolFinalizer } from '../../src/api/names.ts';
import type { KubeObject } from '../../src/api/object.ts';
import type { Pod } from '../../src/api/workloads.ts';
import type { Cluster } from '../../src/cli/surroundings.ts';
import { fastCtl, type Shown } from './cli-shell.ts';

/** By plural; what `exec` in the agent of a node prints, by node; what changes between two looks. */
export interface Small {
  readonly [plural: string]: KubeObject[];
}

export const now = '2026-11-25T12:00:00Z';

export function pool(name: string, ips: string[], status: Partial<Ips['status']> = {}): Ips {
  const spec = { subnet: '10.244.0.1/32', ips, coolDownSeconds: 30 };
  return { apiVersion, kind: 'Ips', metadata: { name, finalizers: [poolFinalizer] }, spec, status: { ...status } };
}

export function record(address: string, pod: string, more: Partial<IpAllocation['spec']> = {}): IpAllocation {
  const owner = { kind: 'Pod' as const, namespace: 'default', name: pod, uid: `${pod}-uid` };
  const spec = { address, ips: 'small', gateway: '10.244.0.1', prefixLength: 32, nodeName: 'one', nodeUID: 'one-uid' };
  const attached = { owner: { uid: owner.uid }, containerID: 'c', interface: 'i' };
  const metadata = { name: address, uid: address, resourceVersion: '1' };
  return { metadata, spec: { ...spec, owner, state: 'Bound', stateSince: now, ...more }, status: { attached } };
}

export function pod(name: string, podIP: string): Pod {
  const metadata = { name, namespace: 'default', uid: `${name}-uid` };
  return { metadata, spec: { nodeName: 'one' }, status: { phase: 'Running', podIP } };
}

export function endpoint(name: string, tunnelAddress: string, podAddresses: string[]): NodeEndpoint {
  return { metadata: { name }, spec: { nodeUID: `${name}-uid`, tunnelAddress, podAddresses } };
}

export const counts = { total: 4, bound: 2, cooling: 0, reserved: 0, free: 2, outOfRange: 0 };

/** Two nodes, two pods on the first. */
export function sound(): { objects: Record<string, KubeObject[]>; maps: Record<string, object> } {
  const local = (address: string): object => ({ address, ifindex: 1, podMac: '', hostMac: '', stackOnly: false });
  const remote = (address: string): object => ({ address, nodeAddress: '10.29.0.1', direct: false, adjacent: false });
  return {
    objects: {
      ipses: [pool('small', ['10.0.0.0/30'], counts)],
      ipallocations: [record('10.0.0.0', 'a'), record('10.0.0.1', 'b')],
      nodeendpoints: [endpoint('one', '10.29.0.1', ['10.0.0.0', '10.0.0.1']), endpoint('two', '10.29.0.2', [])],
      nodes: [{ metadata: { name: 'one', uid: 'one-uid' } }, { metadata: { name: 'two', uid: 'two-uid' } }],
      namespaces: [{ metadata: { name: 'default' } }],
      pods: [pod('a', '10.0.0.0'), pod('b', '10.0.0.1')],
    },
    maps: {
      one: { local_pod_ips: ['10.0.0.0', '10.0.0.1'].map(local), cluster_pod_ips: [] },
      two: { local_pod_ips: [], cluster_pod_ips: ['10.0.0.0', '10.0.0.1'].map(remote) },
    },
  };
}

export interface World {
  readonly objects: Small;
  readonly maps: Record<string, object>;
  /** What the person at the keyboard does when so many nodes were asked. */
  readonly onExec?: (asked: number) => void;
  readonly stopped?: AbortSignal;
}

export function run(
  line: string,
  { objects, maps, onExec, stopped = new AbortController().signal }: World,
): Promise<Shown> {
  let asked = 0;
  const cluster: Partial<Cluster> = {
    list: (async (kind: { plural: string }, options: { fieldSelector?: string } = {}) => {
      const node = options.fieldSelector?.split('=')[1];
      if (kind.plural === 'events') {
        const events = (objects['events'] ?? []) as Array<KubeObject & { reason: string }>;
        return { items: events.filter(({ reason }) => reason === node) };
      }
      if (node === undefined) return { items: objects[kind.plural] ?? [] };
      return { items: maps[node] === undefined ? [] : [{ metadata: { name: node }, status: { phase: 'Running' } }] };
    }) as unknown as Cluster['list'],
    find: (async (_kind: object, name: string) =>
      objects['workloads']?.find(({ metadata }) => metadata.name === name)) as unknown as Cluster['find'],
    exec: async ({ pod: node }, _command, { stdout }) => {
      onExec?.((asked += 1));
      await new Promise((resolve) => setImmediate(resolve));
      stdout(JSON.stringify(maps[node]));
      return 0;
    },
  };
  return fastCtl(line, { cluster: async () => cluster as Cluster, stopped });
}
