// SPDX-License-Identifier: Apache-2.0
// A cluster of two nodes in which all is well, as `fast-ctl status` sees it, and the objects to change it by.
import type { Check, ClusterView } from '../../src/cli/health-check.ts';
import { assess } from '../../src/cli/health-checks.ts';
import type { Cluster } from '../../src/cli/surroundings.ts';
import { KubeError } from '../../src/kube/errors.ts';

export const nowMs = Date.parse('2026-11-25T12:00:00Z');
export const now = '2026-11-25T12:00:00.000000Z';
export const condition = (type: string, status: 'True' | 'False', message = '') => ({
  type,
  status,
  lastTransitionTime: now,
  reason: 'R',
  message,
});
export const endpoint = (name: string, more: object = {}) => ({
  metadata: { name },
  spec: { nodeUID: 'u', tunnelAddress: '10.0.0.1' },
  status: { conditions: [condition('DatapathReady', 'True'), condition('FastPath', 'True')] },
  ...more,
});
export const pool = (name: string, free: number, more: object = {}) => ({
  metadata: { name },
  spec: { subnet: '10.244.0.1/32', ips: ['10.244.10.0'] },
  status: { total: 10, free },
  ...more,
});
/** The pool of the nodes' own addresses. */
export const ofNodes = (free: number) =>
  pool('fast-nodes', free, { spec: { subnet: '10.244.0.1/32', ips: ['10.9.0.0'], usage: 'Node' } });
export const record = (state: 'Bound' | 'Releasing', stateSince = now) => ({
  metadata: { name: '10.244.10.0' },
  spec: { state, stateSince, nodeName: 'one', owner: { kind: 'Pod' } },
});

/** A Node, ready unless `ready` says otherwise. */
export const machine = (name: string, ready: object = {}) => ({
  metadata: { name },
  status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: now, ...ready }] },
});
/** A kubelet's: by its own clock, and by the API server's where that is given. */
export const kubeletLease = (name: string, renewedMs: number, notedMs?: number) => {
  const fieldsV1 = { 'f:spec': { 'f:renewTime': {} } };
  const noted = notedMs === undefined ? [] : [{ fieldsV1, time: new Date(notedMs).toISOString() }];
  return { metadata: { name, managedFields: noted }, spec: { renewTime: new Date(renewedMs).toISOString() } };
};
export const agentPod = (nodeName: string, status: object = { conditions: [condition('Ready', 'True')] }) => ({
  metadata: { name: `fast-agent-${nodeName}` },
  spec: { nodeName },
  status: { phase: 'Running', ...status },
});

export const well = {
  deployment: { metadata: {}, spec: { replicas: 2 }, status: { readyReplicas: 2 } },
  agents: { metadata: {}, status: { desiredNumberScheduled: 2, numberReady: 2, updatedNumberScheduled: 2 } },
  agentPods: [agentPod('one'), agentPod('two')],
  lease: { metadata: {}, spec: { holderIdentity: 'fast-controller-manager-a_x', renewTime: now } },
  knobs: { metadata: {}, data: { mode: 'tunnel', mtu: '' } },
  missingPolicies: [],
  nodes: [machine('one'), machine('two')],
  silences: new Map(),
  unscheduled: [],
  running: [],
  pending: [],
  troubles: new Map(),
  namespaces: [{ metadata: { name: 'default' } }],
  endpoints: [endpoint('one'), endpoint('two')],
  pools: [ofNodes(10), pool('sample-ips', 6)],
  records: [record('Bound')],
  nowMs,
} as unknown as ClusterView;

/** A line for each check that is not good, with its findings behind it, each with its cure. */
export function amiss(change: object): string[] {
  return assess({ ...well, ...change })
    .filter(({ state }) => state !== 'good')
    .map(lineOf);
}

const withCure = (text: string, cure: string | undefined): string => (cure === undefined ? text : `${text} -> ${cure}`);

export function lineOf({ what, state, text, cure, findings = [] }: Check): string {
  const named = findings.map((one) => withCure(`${one.name}: ${one.says}`, one.cure));
  return [withCure(`${state} ${what}: ${text}`, cure), ...named].join(' | ');
}

/** A cluster as `fast-ctl status` asks it, in which all is well unless `change` says otherwise. */
export function clusterOf(change: object = {}): Cluster {
  const view = { ...well, ...change } as Record<string, unknown>;
  const lists: Record<string, unknown> = {
    nodes: view['nodes'],
    nodeendpoints: view['endpoints'],
    ipses: view['pools'],
    ipallocations: view['records'],
    namespaces: view['namespaces'],
    leases: view['kubeletLeases'] ?? [],
    events: view['podEvents'] ?? [],
  };
  const finds: Record<string, unknown> = {
    deployments: view['deployment'],
    daemonsets: view['agents'],
    leases: view['lease'],
    configmaps: view['knobs'],
  };
  const podsBy: Record<string, string> = {
    'spec.nodeName=': 'unscheduled',
    'status.phase=Running': 'running',
    'status.phase=Pending': 'pending',
  };
  const podsOf = (field: string | undefined): unknown => view[podsBy[field ?? ''] ?? 'agentPods'];
  const refused = new KubeError('forbidden', { verb: 'get', target: 'x' }, 'no');
  return {
    list: (of: { plural: string }, { fieldSelector }: { fieldSelector?: string } = {}) => {
      const all = of.plural === 'pods' ? podsOf(fieldSelector) : (lists[of.plural] ?? []);
      const isOf = ({ reason }: { reason?: string }): boolean => fieldSelector === `reason=${reason}`;
      const items = of.plural === 'events' && Array.isArray(all) ? all.filter(isOf) : all;
      return items === 'hidden' ? Promise.reject(refused) : Promise.resolve({ items, resourceVersion: '1' });
    },
    find: (of: { plural: string }) =>
      finds[of.plural] === 'hidden' ? Promise.reject(refused) : Promise.resolve(finds[of.plural] ?? { metadata: {} }),
  } as unknown as Cluster;
}
