// SPDX-License-Identifier: Apache-2.0
// How the nodes stand before an uninstall and between two tries: which are clean already, and which nobody can clean now.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { agentName, agentNodeLabels, controllerName, installNamespace, removedCondition } from '../api/names.ts';
import { daemonSets, deployments, type Node, nodes, type Pod, pods } from '../kube/resources.ts';
import { allOf, endpointKind } from './kinds.ts';
import { silentKubelets } from './kubelet-silence.ts';
import { seen } from './seen.ts';
import type { Cluster } from './surroundings.ts';

export const removedOf = ({ status }: NodeEndpoint) =>
  status?.conditions?.find((condition) => condition.type === removedCondition);

export const isRemoved = (endpoint: NodeEndpoint): boolean => removedOf(endpoint)?.status === 'True';

/** Of a node that is clean: why it has no maps, and its pods no network. */
export const cleanedNode =
  'fast-ctl uninstall has cleaned it: there are no maps, and its pods have no network; fast-ctl status says how to go on';

/** An agent first speaks after its first comparison, and the controller changes only what one has said. */
const hasSpoken = ({ status }: NodeEndpoint): boolean => (status?.conditions ?? []).length > 0;

export interface Standing {
  /** Every name that --without takes. */
  readonly known: readonly string[];
  /** With a NodeEndpoint, and not clean yet. */
  readonly dirty: readonly string[];
  readonly clean: readonly string[];
  /** With a NodeEndpoint, but no agent ever, such as one of another architecture: there is nothing to clean. */
  readonly untouched: readonly string[];
  /** Off, cut off or gone, while something of Fast waits for them. */
  readonly off: readonly string[];
  /** On and dirty, with no agent. */
  readonly withoutAgent: readonly string[];
}

export type Absent = Pick<Standing, 'off' | 'withoutAgent'>;

/** False is no sign of it: a kubelet that runs says so of a node without a network plugin, as every clean one is. */
const isUnknown = ({ status }: Node): boolean =>
  status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'Unknown';

/** One that ends counts too: its DaemonSet is making the next. */
const isAgent = ({ metadata: { labels } }: Pod): boolean => labels?.['app.kubernetes.io/name'] === agentName;

/** Whether agents are made still, as some seconds after an install: each node that can take one gets one. */
async function areAgentsMade(cluster: Pick<Cluster, 'list'>): Promise<boolean> {
  const inNamespace = { namespace: installNamespace };
  const controllers = (await seen(cluster.list(deployments, inNamespace)))?.items ?? [];
  const agents = (await seen(cluster.list(daemonSets, inNamespace)))?.items ?? [];
  return [...controllers, ...agents].some(({ metadata: { name } }) => name === controllerName || name === agentName);
}

const takesAgent = ({ metadata: { labels } }: Node): boolean =>
  Object.entries(agentNodeLabels).every(([label, value]) => labels?.[label] === value);

export async function standingOf(cluster: Pick<Cluster, 'list'>, nowMs: number): Promise<Standing> {
  const endpoints = await allOf(cluster, endpointKind);
  const machines = (await seen(cluster.list(nodes)))?.items;
  const silences = await seen(silentKubelets(cluster, nowMs));
  const ours = (await seen(cluster.list(pods, { namespace: installNamespace })))?.items;
  const nameOf = (endpoint: NodeEndpoint): string => endpoint.metadata.name;
  const clean = endpoints.filter(isRemoved).map(nameOf);
  const agents = new Set(ours?.filter(isAgent).map(({ spec }) => spec?.nodeName));
  const isUntouched = (endpoint: NodeEndpoint): boolean =>
    ours !== undefined && !hasSpoken(endpoint) && !agents.has(nameOf(endpoint));
  const untouched = endpoints.filter(isUntouched).map(nameOf);
  const dirty = endpoints.filter((endpoint) => !isRemoved(endpoint) && !isUntouched(endpoint)).map(nameOf);
  const nodesOfPods = (ours ?? []).flatMap(({ spec }) => spec?.nodeName ?? []);
  const byName = new Map(machines?.map((node) => [node.metadata.name ?? '', node]));
  const has = new Set(endpoints.map(nameOf));
  const next = (await areAgentsMade(cluster))
    ? [...byName].flatMap(([name, node]) => (takesAgent(node) ? [name] : []))
    : [];
  const awaited = [...new Set([...dirty, ...nodesOfPods, ...next.filter((name) => !has.has(name))])];
  const isOff = (name: string): boolean => {
    const machine = byName.get(name);
    if (silences?.has(name) === true) return true;
    return machines !== undefined && (machine === undefined || isUnknown(machine));
  };
  return {
    known: [...new Set([...endpoints.map(nameOf), ...byName.keys(), ...nodesOfPods])],
    dirty,
    clean,
    untouched,
    off: awaited.filter(isOff),
    withoutAgent: ours === undefined ? [] : dirty.filter((name) => !agents.has(name) && !isOff(name)),
  };
}

/** The command that leaves as they are what it was told to leave and what nobody can clean now. */
export function uninstallLine(without: readonly string[], { off, withoutAgent }: Absent): string {
  const all = [...new Set([...without, ...off, ...withoutAgent])];
  return ['fast-ctl uninstall --yes', ...(all.length === 0 ? [] : ['--without', ...all])].join(' ');
}

/** The nodes that nobody can clean now, but for those that are left anyway. */
export function absentOf(without: readonly string[], { off, withoutAgent }: Absent): string[] {
  return [...off, ...withoutAgent].filter((name) => !without.includes(name));
}

/** Lines on these nodes. */
export function sayAbsent(without: readonly string[], { off, withoutAgent }: Absent): string {
  const line = (names: readonly string[], what: string, cure: string): string => {
    const some = names.filter((name) => !without.includes(name));
    return some.length === 0 ? '' : `${what}: ${some.join(', ')}. ${cure}, or --without ${some.join(' ')}\n`;
  };
  return (
    line(off, 'Off, cut off or gone', 'Start them first') +
    line(withoutAgent, 'Without an agent that could clean them', 'See fast-ctl status')
  );
}
