// SPDX-License-Identifier: Apache-2.0
// Whether Fast is well, by what its objects say: a line for each thing that can be amiss, with its cure. Pure; what was not
// to be seen is undefined and is said.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Ips } from '../api/generated/ips.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { removalAnnotation } from '../api/names.ts';
import { controllerLogs } from './kubectl-lines.ts';
import type { DaemonSet, Deployment, Lease, Node } from '../kube/resources.ts';

export interface ClusterView {
  readonly deployment: Deployment | undefined | 'hidden';
  readonly agents: DaemonSet | undefined | 'hidden';
  readonly lease: Lease | undefined | 'hidden';
  /** Those admission policies and bindings that are not there. */
  readonly missingPolicies: readonly string[] | 'hidden';
  readonly nodes: readonly Node[] | 'hidden';
  readonly endpoints: readonly NodeEndpoint[];
  readonly pools: readonly Ips[];
  readonly records: readonly IpAllocation[];
  readonly nowMs: number;
}

export type State = 'good' | 'doubtful' | 'bad';

export interface Check {
  readonly what: string;
  readonly state: State;
  readonly text: string;
  /** What to do, where something is to be done. */
  readonly cure?: string;
}

const hidden = (what: string): Check => ({ what, state: 'doubtful', text: 'this account may not look' });
const namespace = 'fast-system';

export function assess(view: ClusterView): Check[] {
  return [
    controller(view),
    agents(view),
    nodes(view),
    pools(view),
    addresses(view),
    waiting(view),
    orphans(view),
    policies(view),
  ];
}

function controller({ deployment, lease, nowMs }: ClusterView): Check {
  const what = 'controller';
  if (deployment === 'hidden') return hidden(what);
  if (deployment === undefined) {
    return { what, state: 'bad', text: 'not installed', cure: 'kubectl apply -k config/default' };
  }
  const { spec, status } = deployment;
  const [wanted, ready] = [spec?.replicas ?? 1, status?.readyReplicas ?? 0];
  const leader = lease === 'hidden' ? undefined : leaderOf(lease, nowMs);
  const leads = leader === undefined ? 'nobody leads' : `${leader} leads`;
  const text = `${ready} of ${wanted} replicas ready, ${lease === 'hidden' ? 'this account may not see who leads' : leads}`;
  const look = `kubectl get pods -n ${namespace} -o wide; ${controllerLogs}`;
  if (ready === 0 || (leader === undefined && lease !== 'hidden')) return { what, state: 'bad', text, cure: look };
  if (lease === 'hidden') return { what, state: 'doubtful', text };
  return ready < wanted ? { what, state: 'doubtful', text, cure: look } : { what, state: 'good', text };
}

/** The pod's name; an identity has a random part behind it. */
function leaderOf(lease: Lease | undefined, nowMs: number): string | undefined {
  const { holderIdentity = '', renewTime, leaseDurationSeconds = 15 } = lease?.spec ?? {};
  // Clocks differ between machines; a lease that is long over is nobody's.
  const isOld = renewTime === undefined || nowMs - Date.parse(renewTime) > 2000 * leaseDurationSeconds;
  return holderIdentity === '' || isOld ? undefined : holderIdentity.split('_')[0];
}

function agents({ agents: daemonSet }: ClusterView): Check {
  const what = 'agents';
  if (daemonSet === 'hidden') return hidden(what);
  const look = `kubectl get pods -n ${namespace} -l app.kubernetes.io/name=fast-agent -o wide`;
  if (daemonSet === undefined) {
    return { what, state: 'bad', text: 'no DaemonSet; the controller makes it', cure: controllerLogs };
  }
  const { desiredNumberScheduled: wanted = 0, numberReady: ready = 0, updatedNumberScheduled } = daemonSet.status ?? {};
  const updated = updatedNumberScheduled ?? 0;
  const text = `${ready} of ${wanted} ready${updated < wanted ? `, ${updated} of the newest version` : ''}`;
  if (ready < wanted) return { what, state: 'bad', text, cure: look };
  return updated < wanted
    ? { what, state: 'doubtful', text, cure: `kubectl rollout status -n ${namespace} ds/fast-agent` }
    : { what, state: 'good', text };
}

function isTrue(endpoint: NodeEndpoint, type: string): boolean {
  return endpoint.status?.conditions?.some((one) => one.type === type && one.status === 'True') ?? false;
}

/** The endpoints but for those of nodes that the agents' DaemonSet leaves out, such as another architecture's. */
function wanted({ endpoints, nodes: all, agents: daemonSet }: ClusterView): NodeEndpoint[] {
  if (all === 'hidden' || daemonSet === 'hidden') return [...endpoints];
  const selector = Object.entries((daemonSet?.spec?.template.spec?.['nodeSelector'] ?? {}) as Record<string, string>);
  const isLeftOut = ({ metadata: { labels = {} } }: Node): boolean =>
    selector.some(([label, value]) => labels[label] !== value);
  const leftOut = new Set(all.filter(isLeftOut).map(({ metadata }) => metadata.name));
  return endpoints.filter(({ metadata }) => !leftOut.has(metadata.name));
}

function nodes(view: ClusterView): Check {
  const what = 'nodes';
  const { nodes: all } = view;
  const endpoints = wanted(view);
  const broken = endpoints.filter((one) => !isTrue(one, 'DatapathReady'));
  const slow = endpoints.filter((one) => !isTrue(one, 'FastPath')).length;
  const unknown = all === 'hidden' ? 0 : Math.max(0, all.length - view.endpoints.length);
  const leftOut = view.endpoints.length - endpoints.length;
  const more = [
    leftOut > 0 ? `${leftOut} where the DaemonSet wants no agent` : '',
    slow > 0 ? `${slow} without the fast path` : '',
    unknown > 0 ? `${unknown} without a NodeEndpoint` : '',
  ];
  const text = [`${endpoints.length - broken.length} of ${endpoints.length} datapaths ready`, ...more]
    .filter((part) => part !== '')
    .join(', ');
  const leaving = endpoints.filter(({ metadata }) => metadata.annotations?.[removalAnnotation] !== undefined).length;
  if (leaving > 0) {
    const cure = `fast-ctl uninstall --yes goes on with it; kubectl annotate nodeendpoints --all ${removalAnnotation}- takes it back`;
    return { what, state: 'bad', text: `${text}; ${leaving} asked to be without Fast`, cure };
  }
  const [first] = broken;
  if (first !== undefined) {
    const said =
      first.status?.conditions?.find((one) => one.type === 'DatapathReady')?.message ?? 'its agent is silent';
    return {
      what,
      state: 'bad',
      text: `${text}; ${first.metadata.name}: ${said}`,
      cure: describe('nodeendpoint', first),
    };
  }
  if (slow + unknown > 0) return { what, state: 'doubtful', text, cure: 'kubectl get nodeendpoints' };
  return { what, state: view.endpoints.length === 0 ? 'bad' : 'good', text };
}

const describe = (kind: string, { metadata }: { metadata: { name: string } }): string =>
  `kubectl describe ${kind} ${metadata.name}`;

function fillOf({ status }: Ips): number {
  const total = status?.total ?? 0;
  return total === 0 ? 0 : 1 - (status?.free ?? 0) / total;
}

function pools({ pools: all }: ClusterView): Check {
  const what = 'pools';
  const forPods = all.filter(({ spec }) => spec.usage !== 'Node');
  if (forPods.length === 0) {
    return { what, state: 'doubtful', text: 'none for pods', cure: 'kubectl apply -f config/samples/ips.yaml' };
  }
  const coolingOf = ({ status }: Ips): number => status?.cooling ?? 0;
  const fullest = all.toSorted((a, b) => fillOf(b) - fillOf(a) || coolingOf(a) - coolingOf(b))[0] as Ips;
  const { free = 0, cooling = 0, total = 0 } = fullest.status ?? {};
  const rest = cooling > 0 ? `, ${cooling} cooling` : '';
  const text = `${forPods.length} for pods; fullest ${fullest.metadata.name}: ${free} of ${total} free${rest}`;
  const unready = all.find((pool) =>
    pool.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'False'),
  );
  if (unready !== undefined) {
    return { what, state: 'bad', text: `${unready.metadata.name} is not ready`, cure: describe('ips', unready) };
  }
  // What cools down is given out in need, as the pool's condition Exhausted has it too.
  if (total > 0 && free + cooling === 0)
    return { what, state: 'bad', text, cure: `kubectl edit ips ${fullest.metadata.name}` };
  return fillOf(fullest) > 0.9
    ? { what, state: 'doubtful', text, cure: `kubectl edit ips ${fullest.metadata.name}` }
    : { what, state: 'good', text };
}

/** Releasing is the node's turn; longer than this it is not coming. */
const releasingLimitMs = 5 * 60_000;

function addresses({ records, nowMs }: ClusterView): Check {
  const what = 'addresses';
  const count = (state: string): number => records.filter(({ spec }) => spec.state === state).length;
  const text = ['Bound', 'Releasing', 'Cooling', 'Reserved']
    .map((state) => `${count(state)} ${state.toLowerCase()}`)
    .join(', ');
  const stuck = records.find(
    ({ spec }) => spec.state === 'Releasing' && nowMs - Date.parse(spec.stateSince) > releasingLimitMs,
  );
  if (stuck === undefined) return { what, state: 'good', text };
  const why = `${text}; ${stuck.metadata.name} waits for node ${stuck.spec.nodeName} to let go`;
  return { what, state: 'doubtful', text: why, cure: `kubectl get node ${stuck.spec.nodeName}` };
}

function waiting({ endpoints }: ClusterView): Check {
  const what = 'pods';
  const all = endpoints.flatMap(({ spec }) => spec.waiting ?? []);
  const [first] = all;
  if (first === undefined) return { what, state: 'good', text: 'none waits for an address' };
  const text = `${all.length} wait for an address; ${first.namespace}/${first.name}: ${first.message}`;
  return { what, state: 'bad', text, cure: `kubectl describe pod -n ${first.namespace} ${first.name}` };
}

function orphans({ endpoints }: ClusterView): Check {
  const what = 'wires';
  const all = endpoints.flatMap(({ metadata, status }) => (status?.orphans ?? []).map((one) => ({ ...one, metadata })));
  const [first] = all;
  if (first === undefined) return { what, state: 'good', text: 'each has its record' };
  const text = `${all.length} without a record, ${first.address} on ${first.metadata.name}`;
  return { what, state: 'doubtful', text, cure: describe('nodeendpoint', first) };
}

function policies({ missingPolicies }: ClusterView): Check {
  const what = 'policies';
  if (missingPolicies === 'hidden') return hidden(what);
  if (missingPolicies.length === 0) return { what, state: 'good', text: 'agents are kept to their own nodes' };
  const text = `${missingPolicies.join(', ')} missing: an agent can write for other nodes`;
  return { what, state: 'doubtful', text, cure: 'kubectl apply -k config/policy' };
}
