// SPDX-License-Identifier: Apache-2.0
// One line of `fast-ctl status`, and what it is made from. What was not to be seen is `hidden` and is said.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Ips } from '../api/generated/ips.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { installNamespace } from '../api/names.ts';
import type { Namespace, Pod } from '../api/workloads.ts';
import type {
  Pod as AgentPod,
  ConfigMap,
  DaemonSet,
  Deployment,
  Lease,
  Namespace as Home,
  Node,
} from '../kube/resources.ts';
import type { ServiceRange } from '../reconcilers/services.ts';
import { controllerLogs, startController } from './kubectl-lines.ts';
import type { Silences } from './kubelet-silence.ts';
import type { SandboxTroubles } from './sandbox-troubles.ts';

export interface ClusterView {
  /** That of the install. */
  readonly home: Home | undefined | 'hidden';
  readonly deployment: Deployment | undefined | 'hidden';
  readonly agents: DaemonSet | undefined | 'hidden';
  readonly agentPods: readonly AgentPod[] | 'hidden';
  readonly lease: Lease | undefined | 'hidden';
  readonly knobs: ConfigMap | undefined | 'hidden';
  /** Those admission policies and bindings that are not there. */
  readonly missingPolicies: readonly string[] | 'hidden';
  readonly nodes: readonly Node[] | 'hidden';
  readonly silences: Silences | 'hidden';
  /** Pods that no node has yet. */
  readonly unscheduled: readonly Pod[] | 'hidden';
  /** Pods that run; read only where a record has no wire, or a pod waits on a node. */
  readonly running: readonly Pod[] | 'hidden';
  /** Pods that do not run yet; read only where a record has had no wire for minutes, or no controller leads. */
  readonly pending: readonly Pod[] | 'hidden';
  readonly troubles: SandboxTroubles | 'hidden';
  /** As they are, with all that people wrote on them. */
  readonly namespaces: readonly Namespace[] | 'hidden';
  readonly services?: ServiceRange;
  readonly endpoints: readonly NodeEndpoint[];
  readonly pools: readonly Ips[];
  readonly records: readonly IpAllocation[];
  readonly nowMs: number;
}

export type State = 'good' | 'doubtful' | 'bad';

/** One thing that is amiss: a pool, a pod, a node. */
export interface Finding {
  readonly name: string;
  readonly says: string;
  readonly cure?: string;
}

export interface Check {
  readonly what: string;
  readonly state: State;
  readonly text: string;
  /** What the text counts, for programs; absent where it was not to be seen. docs/operating.md has them all. */
  readonly counts?: Readonly<Record<string, number>>;
  /** What to do, where something is to be done about the whole. */
  readonly cure?: string;
  /** All of them, the gravest first. */
  readonly findings?: readonly Finding[];
}

/** Whether the install's namespace is on its way out, and takes with it whatever is made in it. */
export const isHomeEnding = ({ home }: Pick<ClusterView, 'home'>): boolean =>
  home !== 'hidden' && home?.metadata.deletionTimestamp !== undefined;

/** What makes again what is missing. */
export function applyCure(view: Pick<ClusterView, 'home'>): string {
  const apply = 'kubectl apply -k config/default';
  return isHomeEnding(view)
    ? `kubectl wait --for=delete namespace/${installNamespace} --timeout=5m && ${apply}`
    : apply;
}

/** Somebody has scaled it to nothing: there is no pod, and no log. */
export function isStopped({ deployment }: Pick<ClusterView, 'deployment'>): boolean {
  return deployment !== 'hidden' && deployment?.spec?.replicas === 0;
}

/** The pod's name; an identity has a random part behind it. */
export function leaderOf(lease: Lease | undefined, nowMs: number): string | undefined {
  const { holderIdentity = '', renewTime, leaseDurationSeconds = 15 } = lease?.spec ?? {};
  // Clocks differ between machines; a lease that is long over is nobody's.
  const isOld = renewTime === undefined || nowMs - Date.parse(renewTime) > 2000 * leaseDurationSeconds;
  return holderIdentity === '' || isOld ? undefined : holderIdentity.split('_')[0];
}

/** Where one may not see who leads, somebody is taken to. */
export function isUnled({ lease, nowMs }: Pick<ClusterView, 'lease' | 'nowMs'>): boolean {
  return lease !== 'hidden' && leaderOf(lease, nowMs) === undefined;
}

/** Where the controller has to say why something is not there; one that is not there itself says nothing. */
export function askController(view: Pick<ClusterView, 'home' | 'deployment'>): string {
  if (view.deployment === undefined) return applyCure(view);
  return isStopped(view) ? startController : controllerLogs;
}

/** For what was not to be seen. */
export const askAnother = 'run it by an account that may look, such as by your own kubeconfig';

export const hidden = (what: string): Check => {
  return { what, state: 'doubtful', text: 'this account may not look', cure: askAnother };
};

export const describe = (kind: string, name: string): string => `kubectl describe ${kind} ${name}`;

interface Conditioned {
  readonly status?: { readonly conditions?: ReadonlyArray<{ type?: string; status?: string; message?: string }> };
}

/** The condition, where it is as asked. */
export function conditionOf({ status }: Conditioned, type: string, is: 'True' | 'False') {
  return status?.conditions?.find((one) => one.type === type && one.status === is);
}
