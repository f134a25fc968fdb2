// SPDX-License-Identifier: Apache-2.0
// Whether each wire has its record, and each pod that runs its wire.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Pod } from '../api/workloads.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { identityOf, podKey, staticRestartOf } from '../reconcilers/pod.ts';
import { askAnother, type Check, type ClusterView, describe, type Finding } from './health-check.ts';
import { isRemoved } from './node-standing.ts';
import { describePod, nameOf, stuckPods } from './stuck-pods.ts';

/** An agent tells of a new wire in a calm moment, within ten seconds. */
const tellPatienceMs = 60_000;
/** The same for a pod that ran before it had its address: none of its wires is still to be made. */
const adoptPatienceMs = 15_000;
/** Between a kubelet's clock and the controller's. */
const clockSkewMs = 10_000;

/** A pod with the time since when its runtime has a sandbox for it (Kubernetes 1.29 on). */
interface RunningPod extends Pod {
  readonly status?: Pod['status'] & {
    readonly conditions?: ReadonlyArray<SandboxCondition>;
    readonly containerStatuses?: ReadonlyArray<{
      readonly state?: { readonly running?: { readonly startedAt?: string } };
    }>;
  };
}

interface SandboxCondition {
  readonly type?: string;
  readonly status?: string;
  readonly lastTransitionTime?: string;
}

/** Records of pods of whose wire no agent has told in a minute. Most of such pods wait to start, such as for a volume. */
export function untold(records: readonly IpAllocation[], nowMs: number, patienceMs = tellPatienceMs): IpAllocation[] {
  return records.filter(({ spec: { state, stateSince, owner }, status }) => {
    const isOld = nowMs - Date.parse(stateSince) > patienceMs;
    return state === 'Bound' && owner.kind === 'Pod' && isOld && status?.attached?.owner.uid !== owner.uid;
  });
}

/** Those about whose pods it matters whether they run. */
export function areDoubted({
  records,
  endpoints,
  nowMs,
}: Pick<ClusterView, 'records' | 'endpoints' | 'nowMs'>): boolean {
  const doubted = [...untold(records, nowMs, adoptPatienceMs), ...cutByRemoval(records, endpoints)];
  return doubted.length > 0 || endpoints.some(({ spec }) => (spec.waiting ?? []).length > 0);
}

/**
 * Of those that are said to wait for an address, who runs already, by identity: its sandbox outlived its wire and its record.
 * One whose wire is there is told of by its agent as a wire without a record, and has a network.
 */
export function outlived({ endpoints, running }: Pick<ClusterView, 'endpoints' | 'running'>): Map<string, Finding> {
  const ready = (running === 'hidden' ? [] : running).filter((pod) => sandboxByMs(pod) < Infinity);
  const byIdentity = new Map(ready.map((pod) => [identityOf(pod), pod]));
  const wired = new Set(endpoints.flatMap(({ status }) => (status?.orphans ?? []).map(({ address }) => address)));
  const found = endpoints.flatMap(({ metadata: { name: node }, spec }) =>
    (spec.waiting ?? []).flatMap((one): Array<[string, Finding]> => {
      const { phase, podIP = '' } = byIdentity.get(one.uid)?.status ?? {};
      if (phase !== 'Running' || podIP === '' || wired.has(podIP)) return [];
      const says = `runs without a network, until it is deleted and starts anew, which waits for an address: ${one.message}`;
      return [[one.uid, { name: podKey(one), says, cure: restart(one, node) }]];
    }),
  );
  return new Map(found);
}

function restart(
  owner: { readonly name: string; readonly namespace?: string; readonly uid: string },
  node: string,
): string {
  return staticRestartOf(owner, node) ?? `kubectl delete pod -n ${owner.namespace ?? ''} ${owner.name}`;
}

/** Records of pods on nodes off which Fast was taken: an agent that took the wires away may not have said so of each. */
export function cutByRemoval(
  records: readonly IpAllocation[],
  endpoints: readonly NodeEndpoint[],
): readonly IpAllocation[] {
  const clean = new Set(endpoints.filter(isRemoved).map(({ metadata }) => metadata.name));
  return records.filter(({ spec: { state, owner, nodeName } }) => {
    return state === 'Bound' && owner.kind === 'Pod' && clean.has(nodeName);
  });
}

/** A pod that has another address by now has a sandbox by another network plugin. The line of the nodes has what to do. */
function removed(records: readonly IpAllocation[], running: readonly Pod[]): Finding[] {
  const byIdentity = new Map(running.map((pod) => [identityOf(pod), pod]));
  return records.flatMap(({ spec: { owner, nodeName, address } }): Finding[] => {
    const pod = byIdentity.get(owner.uid);
    if (pod?.status?.phase !== 'Running' || pod.metadata.deletionTimestamp !== undefined) return [];
    if (pod.status.podIP !== undefined && pod.status.podIP !== address) return [];
    return [{ name: podKey(owner), says: `runs without a network: Fast was taken off ${nodeName}` }];
  });
}

function isLongRunning({ metadata, status }: RunningPod, nowMs: number): boolean {
  if (status?.phase !== 'Running' || metadata.deletionTimestamp !== undefined) return false;
  const since = status.conditions?.find(({ type }) => type === 'PodReadyToStartContainers')?.lastTransitionTime;
  return since === undefined || nowMs - Date.parse(since) > tellPatienceMs;
}

/** When the pod had a sandbox at the latest; Infinity where nothing tells. */
function sandboxByMs({ status }: RunningPod): number {
  const condition = status?.conditions?.find(
    ({ type, status: is }) => type === 'PodReadyToStartContainers' && is === 'True',
  );
  const started = (status?.containerStatuses ?? []).map(({ state }) => state?.running?.startedAt);
  const times = [condition?.lastTransitionTime, ...started].map((time) => Date.parse(time ?? ''));
  return Math.min(...times.filter((time) => !Number.isNaN(time)));
}

/**
 * Pods that ran before they had their address: their sandboxes outlived their wires, or the record alone is new, as behind an
 * etcd that was restored, and their agent is late. The maps of their nodes tell which.
 */
function early(records: readonly IpAllocation[], running: readonly Pod[]): Finding[] {
  const byIdentity = new Map(running.map((pod) => [identityOf(pod), pod]));
  return records.flatMap(({ spec: { owner, stateSince } }): Finding[] => {
    const pod = byIdentity.get(owner.uid);
    if (pod?.status?.phase !== 'Running' || pod.metadata.deletionTimestamp !== undefined) return [];
    if (sandboxByMs(pod) >= Date.parse(stateSince) - clockSkewMs) return [];
    const says = 'ran before it had its address, and its agent tells of no wire yet';
    return [{ name: podKey(owner), says, cure: 'fast-ctl ipam check' }];
  });
}

/** As after an uninstall and a new install: the sandbox outlived its wire, and only another sandbox gets one. */
function wireless(records: readonly IpAllocation[], running: readonly Pod[], nowMs: number): Finding[] {
  const long = new Set(running.filter((pod) => isLongRunning(pod, nowMs)).map(identityOf));
  return records.flatMap(({ spec: { owner, nodeName } }): Finding[] => {
    if (!long.has(owner.uid)) return [];
    const name = podKey(owner);
    const onItsNode = staticRestartOf(owner, nodeName);
    if (onItsNode !== undefined) return [{ name, says: 'a static pod that runs without a network', cure: onItsNode }];
    const cure = restart(owner, nodeName);
    return [{ name, says: 'runs without a network, until it is deleted and starts anew', cure }];
  });
}

/** Of those that never had a wire: of others a record does not tell that they are on their way out. */
function stuck(
  { pending, running, troubles, nodes, nowMs }: ClusterView,
  candidates: readonly IpAllocation[],
): Finding[] {
  const pods = [pending, running].flatMap((some) => (some === 'hidden' ? [] : some));
  const said = troubles === 'hidden' ? new Map<string, string>() : troubles;
  const machines = nodes === 'hidden' ? [] : nodes;
  return stuckPods(pods, candidates, said, machines, nowMs).map(({ pod, since, says }) => {
    return { name: nameOf(pod), says: says(since), cure: describePod(pod) };
  });
}

function orphans({ endpoints }: ClusterView): Finding[] {
  return endpoints.flatMap(({ metadata: { name: node }, status }) =>
    (status?.orphans ?? []).map(({ address }) => {
      return { name: address, says: `a wire on ${node} without a record`, cure: describe('nodeendpoint', node) };
    }),
  );
}

export function wires(view: ClusterView): Check {
  const what = 'wires';
  const { records, running, nowMs } = view;
  const onClean = cutByRemoval(records, view.endpoints);
  const candidates = untold(records, nowMs).filter((one) => !onClean.includes(one));
  const cut =
    running === 'hidden'
      ? []
      : [...removed(onClean, running), ...wireless(candidates, running, nowMs), ...outlived(view).values()];
  const young = untold(records, nowMs, adoptPatienceMs).filter((one) => ![...onClean, ...candidates].includes(one));
  const unsure = running === 'hidden' ? [] : early(young, running);
  const stray = orphans(view);
  const late = stuck(view, candidates);
  const unseen = running === 'hidden' ? onClean.length + candidates.length : 0;
  const text = [
    cut.length === 0 ? '' : `${cut.length} ${cut.length === 1 ? 'pod runs' : 'pods run'} without a network`,
    unsure.length === 0 ? '' : `${unsure.length} perhaps without a network`,
    late.length === 0 ? '' : `${late.length} ${late.length === 1 ? 'pod is' : 'pods are'} stuck`,
    stray.length === 0 ? '' : `${stray.length} without a record`,
    unseen > 0 ? `this account may not see whether ${unseen} pods without a wire run` : '',
  ].filter((part) => part !== '');
  const counts = {
    ...(running === 'hidden' ? {} : { withoutNetwork: cut.length, unsure: unsure.length, stuck: late.length }),
    withoutRecord: stray.length,
  };
  if (text.length === 0) return { what, state: 'good', text: 'each has its record', counts };
  const state = cut.length > 0 ? 'bad' : 'doubtful';
  return {
    what,
    state,
    text: text.join(', '),
    counts,
    findings: [...cut, ...unsure, ...late, ...stray],
    ...(unseen > 0 ? { cure: askAnother } : {}),
  };
}
