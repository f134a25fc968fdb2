// SPDX-License-Identifier: Apache-2.0
// Whether each node takes part: its machine by its Node, its agent by the agent's pod, its datapath by its NodeEndpoint.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { agentName, installNamespace, removalAnnotation } from '../api/names.ts';
import type { Node, Pod } from '../kube/resources.ts';
import { sayDuration } from './duration.ts';
import {
  applyCure,
  askAnother,
  type Check,
  type ClusterView,
  askController,
  conditionOf,
  describe,
  type Finding,
  hidden,
} from './health-check.ts';
import { agentSelector } from './kubectl-lines.ts';
import { type Absent, isRemoved, uninstallLine } from './node-standing.ts';

const goesOn = 'pods that run go on, new ones wait';

/** Whether the agents' DaemonSet leaves the node out, such as one of another architecture. */
function leavesOut({ agents: daemonSet }: ClusterView): (node: Node) => boolean {
  if (daemonSet === 'hidden') return () => false;
  const selector = Object.entries((daemonSet?.spec?.template.spec?.['nodeSelector'] ?? {}) as Record<string, string>);
  return ({ metadata: { labels = {} } }) => selector.some(([label, value]) => labels[label] !== value);
}

/** The nodes by name, but for those that the DaemonSet leaves out; none where one may not see them. */
function wantedNodes(view: ClusterView): ReadonlyMap<string, Node> {
  if (view.nodes === 'hidden') return new Map();
  const isLeftOut = leavesOut(view);
  return new Map(view.nodes.filter((node) => !isLeftOut(node)).map((node) => [node.metadata.name ?? '', node]));
}

const readyOf = (node: Node | undefined) => node?.status?.conditions?.find(({ type }) => type === 'Ready');

/** A node that has never said anything of itself is taken as ready: its kubelet has only just registered it. */
function isReady(node: Node | undefined): boolean {
  return (readyOf(node)?.status ?? 'True') === 'True';
}

/** Unknown is what the control plane writes for a kubelet that is silent; False is the kubelet's own word. */
function isCutOff(node: Node | undefined): boolean {
  return readyOf(node)?.status === 'Unknown';
}

/** Seen before the control plane says so. */
function silenceOf({ silences }: ClusterView, name: string): string | undefined {
  const forMs = silences === 'hidden' ? undefined : silences.get(name);
  return forMs === undefined ? undefined : `its kubelet has said nothing for ${sayDuration(forMs)}`;
}

function saySilent(view: ClusterView, { metadata: { name = '' } }: Node): Finding[] {
  const says = silenceOf(view, name);
  if (says === undefined) return [];
  return [{ name, says: `${says}: it may be off or cut off`, cure: describe('node', name) }];
}

function sayUnready(node: Node, endpoint: NodeEndpoint | undefined, nowMs: number): Finding {
  const { name = '' } = node.metadata;
  const { status, message = '', lastTransitionTime } = readyOf(node) ?? {};
  const since = lastTransitionTime === undefined ? '' : ` for ${sayDuration(nowMs - Date.parse(lastTransitionTime))}`;
  if (status === 'False') {
    return { name, says: `NotReady${since}: ${message}; ${goesOn}`, cure: describe('node', name) };
  }
  const count = endpoint?.spec.podAddresses?.length ?? 0;
  const kept = count === 0 ? '' : `; the addresses of its ${count} pods stay theirs until it is back or given up`;
  const cure = `start ${name}; if it is off for good: kubectl taint node ${name} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`;
  return { name, says: `NotReady${since}, off or cut off${kept}`, cure };
}

function whyUnready({ metadata, status }: Pod): string {
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  const waiting = (status?.containerStatuses ?? []).map(
    ({ state }) => (state as WaitingState | undefined)?.waiting?.reason,
  );
  return (
    waiting.find((reason) => reason !== undefined) ??
    (status?.phase === 'Running' ? 'not ready' : (status?.phase ?? 'not ready'))
  );
}

interface WaitingState {
  readonly waiting?: { readonly reason?: string };
}

/** Agents that are missing or not ready: of the nodes, or where one may not see those, by the agents' pods. */
function silentAgents(view: ClusterView, isOneMissed: boolean): Finding[] {
  const { agentPods } = view;
  if (agentPods === 'hidden') return [];
  const machines = wantedNodes(view);
  const clean = new Set(view.endpoints.filter(isRemoved).map(({ metadata }) => metadata.name));
  const names = view.nodes === 'hidden' ? agentPods.map(({ spec }) => spec?.nodeName ?? '') : machines.keys();
  return [...new Set(names)].flatMap((name): Finding[] => {
    const own = agentPods.filter(({ spec }) => spec?.nodeName === name);
    // One that ends says that it is ready until it has ended.
    const staying = own.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (staying.some((pod) => conditionOf(pod, 'Ready', 'True') !== undefined)) return [];
    // The line of the nodes has what to do about the uninstall, and about the machine.
    if (clean.has(name)) return [{ name, says: 'Fast was taken off it: its pods have no network' }];
    if (isCutOff(machines.get(name))) return isOneMissed ? [{ name, says: 'its machine is off or cut off' }] : [];
    const pod = staying[0] ?? own[0];
    const cure = `kubectl describe daemonset -n ${installNamespace} ${agentName}`;
    if (pod === undefined) return [{ name, says: `no agent; ${goesOn}`, cure }];
    const { name: podName = '' } = pod.metadata;
    return [
      {
        name,
        says: `its agent is ${whyUnready(pod)}; ${goesOn}`,
        cure: `kubectl logs -n ${installNamespace} ${podName}; ${describe('pod', podName)} -n ${installNamespace}`,
      },
    ];
  });
}

export function agents(view: ClusterView): Check {
  const what = 'agents';
  const { agents: daemonSet } = view;
  if (daemonSet === 'hidden') return hidden(what);
  const look = `kubectl get pods ${agentSelector} -o wide`;
  if (daemonSet === undefined) {
    return { what, state: 'bad', text: 'no DaemonSet; the controller makes it', cure: askController(view) };
  }
  const { desiredNumberScheduled: wanted = 0, numberReady: ready = 0, updatedNumberScheduled } = daemonSet.status ?? {};
  const updated = updatedNumberScheduled ?? 0;
  const text = `${ready} of ${wanted} ready${updated < wanted ? `, ${updated} of the newest version` : ''}`;
  const findings = silentAgents(view, ready < wanted);
  const said = { what, text, counts: { wanted, ready, updated } };
  if (findings.length > 0) return { ...said, state: 'bad', findings };
  if (ready < wanted) return { ...said, state: 'bad', cure: look };
  return updated < wanted
    ? { ...said, state: 'doubtful', cure: `kubectl rollout status -n ${installNamespace} ds/${agentName}` }
    : { ...said, state: 'good' };
}

interface NodesByState {
  /** Machines that are off, cut off, or whose kubelet says that they are not ready. */
  readonly unready: readonly Finding[];
  /** Ready to the control plane, which has not noticed yet. */
  readonly silent: readonly Finding[];
  readonly broken: readonly Finding[];
  readonly slow: readonly Finding[];
  readonly unknown: readonly Finding[];
}

function nodesByState(view: ClusterView, endpoints: readonly NodeEndpoint[]): NodesByState {
  const machines = wantedNodes(view);
  const known = new Map(view.endpoints.map((one) => [one.metadata.name, one]));
  const all = view.nodes === 'hidden' ? [] : view.nodes;
  const unready = [...machines.values()].filter((node) => !isReady(node));
  const off = new Set(unready.map(({ metadata }) => metadata.name));
  const there = endpoints.filter(({ metadata }) => !off.has(metadata.name));
  const broken = there.filter((one) => conditionOf(one, 'DatapathReady', 'True') === undefined);
  const slow = there.filter((one) => conditionOf(one, 'FastPath', 'True') === undefined);
  const saidOf = (one: NodeEndpoint, type: string): string =>
    one.status?.conditions?.find((each) => each.type === type)?.message ?? 'its agent is silent';
  const finding = (one: NodeEndpoint, says: string): Finding => {
    return { name: one.metadata.name, says, cure: describe('nodeendpoint', one.metadata.name) };
  };
  return {
    unready: unready.map((node) => sayUnready(node, known.get(node.metadata.name ?? ''), view.nowMs)),
    silent: [...machines.values()].filter(isReady).flatMap((node) => saySilent(view, node)),
    broken: broken.map((one) => finding(one, saidOf(one, 'DatapathReady'))),
    slow: slow
      .filter((one) => !broken.includes(one))
      .map((one) => finding(one, `without the fast path: ${saidOf(one, 'FastPath')}`)),
    unknown: all
      .flatMap(({ metadata: { name = '' } }) => (known.has(name) ? [] : [name]))
      .map((name) => ({ name, says: 'without a NodeEndpoint', cure: describe('node', name) })),
  };
}

/** By its Node, and where one may not see those by what the controller says in its place. */
function isNodeOff(view: ClusterView, name: string): boolean {
  const { nodes: machines } = view;
  const endpoint = view.endpoints.find(({ metadata }) => metadata.name === name);
  const silent = endpoint?.status?.conditions?.some(
    ({ type, status }) => type === 'DatapathReady' && status === 'Unknown',
  );
  if (silenceOf(view, name) !== undefined) return true;
  if (machines === 'hidden') return silent === true;
  const machine = machines.find(({ metadata }) => metadata.name === name);
  return machine === undefined || isCutOff(machine);
}

function sayOff(view: ClusterView, name: string): string {
  const { nodes: machines, nowMs } = view;
  const machine = machines === 'hidden' ? undefined : machines.find(({ metadata }) => metadata.name === name);
  const { lastTransitionTime } = readyOf(machine) ?? {};
  const since = lastTransitionTime === undefined ? '' : ` for ${sayDuration(nowMs - Date.parse(lastTransitionTime))}`;
  const isGone = machines !== 'hidden' && machine === undefined;
  if (isGone) return 'its Node is gone';
  const silence = isReady(machine) ? silenceOf(view, name) : undefined;
  return silence ?? `NotReady${since}, off or cut off`;
}

const isAskedToLeave = ({ metadata }: NodeEndpoint): boolean => metadata.annotations?.[removalAnnotation] !== undefined;

/** Whether somebody began an uninstall, which runs still or was stopped. */
export const isLeaving = ({ endpoints }: Pick<ClusterView, 'endpoints'>): boolean => endpoints.some(isAskedToLeave);

/** `fast-ctl uninstall` names each of these or refuses: nodes that are off, asked or not, and where nobody makes agents again all others. */
function absentOf(view: ClusterView): Absent {
  const { endpoints, agentPods, agents: daemonSet, deployment } = view;
  const withAgent = new Set(agentPods === 'hidden' ? [] : agentPods.map(({ spec }) => spec?.nodeName ?? ''));
  const isUntouched = ({ metadata, status }: NodeEndpoint): boolean =>
    agentPods !== 'hidden' && (status?.conditions ?? []).length === 0 && !withAgent.has(metadata.name);
  const dirty = endpoints.filter((one) => !isRemoved(one) && !isUntouched(one)).map(({ metadata }) => metadata.name);
  const off = [...new Set([...dirty, ...withAgent])].filter((name) => name !== '' && isNodeOff(view, name));
  const areGone = daemonSet === undefined && deployment === undefined;
  return { off, withoutAgent: areGone ? dirty.filter((name) => !off.includes(name) && !withAgent.has(name)) : [] };
}

/** Onward or back: all that makes Fast again would work against the one, and is of no use to the other alone. */
function choiceOf(view: ClusterView): string {
  const absent = absentOf(view);
  const start = absent.off.length === 0 ? '' : `, or start ${absent.off.join(', ')} first`;
  const back = `${applyCure(view)} && kubectl annotate nodeendpoints --all ${removalAnnotation}-`;
  return `an uninstall was begun. To go on: ${uninstallLine([], absent)}${start}; to keep Fast: ${back}`;
}

/** While an uninstall runs, and after one that was stopped. */
function leaving(view: ClusterView, endpoints: readonly NodeEndpoint[], said: Omit<Check, 'state'>): Check | undefined {
  const asked = endpoints.filter(isAskedToLeave);
  if (asked.length === 0) return undefined;
  const dirty = asked.filter((one) => !isRemoved(one));
  const all = (some: readonly NodeEndpoint[], says: (name: string) => string): Finding[] =>
    some.map(({ metadata: { name } }) => ({ name, says: says(name) }));
  const silent = all(
    dirty.filter(({ metadata }) => isNodeOff(view, metadata.name)),
    (name) => `asked to be without Fast, but ${sayOff(view, name)}: nobody is there to clean it`,
  );
  const off = silent.map(({ name }) => name);
  const findings = [
    ...silent,
    ...all(
      dirty.filter(({ metadata }) => !off.includes(metadata.name)),
      () => 'asked to be without Fast',
    ),
    ...all(asked.filter(isRemoved), () => 'without Fast already'),
  ];
  const cure = choiceOf(view);
  const counted = `${asked.length} asked to be without Fast${off.length === 0 ? '' : `, ${off.length} of them off`}`;
  return { ...said, state: 'bad', text: `${said.text}; ${counted}`, cure, findings };
}

/** As after a bare delete of the install: what the NodeEndpoints say is then of any age. */
function isAgentless({ agentPods, endpoints }: ClusterView): boolean {
  return agentPods !== 'hidden' && agentPods.length === 0 && endpoints.length > 0;
}

export function nodes(view: ClusterView): Check {
  const what = 'nodes';
  const isLeftOut = leavesOut(view);
  const all = view.nodes === 'hidden' ? [] : view.nodes;
  const leftOut = new Set(all.filter(isLeftOut).map(({ metadata }) => metadata.name));
  const endpoints = view.endpoints.filter(({ metadata }) => !leftOut.has(metadata.name));
  const { unready, silent, broken, slow, unknown } = nodesByState(view, endpoints);
  const notThere = new Set([...unready, ...broken].map(({ name }) => name));
  const ready = endpoints.filter(({ metadata }) => !notThere.has(metadata.name)).length;
  const counted: Array<[number, string]> = [
    [unready.length, 'NotReady'],
    [silent.length, 'silent'],
    [view.endpoints.length - endpoints.length, 'where the DaemonSet wants no agent'],
    [slow.length, 'without the fast path'],
    [unknown.length, 'without a NodeEndpoint'],
  ];
  const more = counted.filter(([count]) => count > 0).map(([count, words]) => `${count} ${words}`);
  if (view.nodes === 'hidden') more.push('this account may not see which machines are on');
  else if (view.silences === 'hidden') more.push('this account may not see when kubelets spoke last');
  const isUntold = isAgentless(view);
  if (isUntold) more.push('as their agents said last: there is none that tells');
  const text = [`${ready} of ${endpoints.length} datapaths ready`, ...more].join(', ');
  const counts = {
    datapaths: endpoints.length,
    ready,
    ...(view.nodes === 'hidden' ? {} : { notReady: unready.length, withoutEndpoint: unknown.length }),
    ...(view.silences === 'hidden' || view.nodes === 'hidden' ? {} : { silent: silent.length }),
    leftOut: view.endpoints.length - endpoints.length,
    withoutFastPath: slow.length,
    leaving: endpoints.filter(isAskedToLeave).length,
  };
  const said = { what, text, counts };
  const asked = leaving(view, endpoints, said);
  if (asked !== undefined) return asked;
  const findings = [...unready, ...broken, ...silent, ...slow, ...unknown];
  if (unready.length + broken.length > 0) return { ...said, state: 'bad', findings };
  if (view.endpoints.length === 0) return { ...said, state: 'bad', findings };
  if (findings.length > 0) return { ...said, state: 'doubtful', findings };
  if (isUntold) return { ...said, state: 'doubtful' };
  return view.nodes === 'hidden' || view.silences === 'hidden'
    ? { ...said, state: 'doubtful', cure: askAnother }
    : { ...said, state: 'good' };
}
