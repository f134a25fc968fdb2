// SPDX-License-Identifier: Apache-2.0
// Whether Fast is well, by what its objects say: a line for each thing that can be amiss, with what is amiss by its name and
// its cure. Pure.
import { installNamespace } from '../api/names.ts';
import { sayDuration } from './duration.ts';
import {
  applyCure,
  askAnother,
  type Check,
  type ClusterView,
  hidden,
  isHomeEnding,
  isStopped,
  leaderOf,
} from './health-check.ts';
import { knobs } from './health-knobs.ts';
import { agents, isLeaving, nodes } from './health-nodes.ts';
import { waiting } from './health-pods.ts';
import { pools } from './health-pools.ts';
import { wires } from './health-wires.ts';
import { installCure } from './kinds.ts';
import { controllerLogs, startController } from './kubectl-lines.ts';

export function assess(view: ClusterView): Check[] {
  const ending = isHomeEnding(view) ? [install(view)] : undefined;
  if (isNothingThere(view)) {
    const text = 'nothing of Fast was found in this cluster';
    return ending ?? [{ what: 'install', state: 'bad', text, cure: installCure }];
  }
  const checks = [
    ...(ending ?? []),
    controller(view),
    agents(view),
    nodes(view),
    pools(view),
    addresses(view),
    waiting(view),
    wires(view),
    policies(view),
    knobs(view),
  ];
  return isLeaving(view) ? checks.map(withoutInstall) : checks;
}

/** While an uninstall is under way the line of the nodes has the choice, and no other line decides for one side of it. */
function withoutInstall(check: Check): Check {
  if (check.what === 'nodes') return check;
  const { cure, findings, ...rest } = check;
  const isInstall = (one: string | undefined): boolean => one?.includes('kubectl apply -k') === true;
  return {
    ...rest,
    ...(cure === undefined || isInstall(cure) ? {} : { cure }),
    ...(findings === undefined
      ? {}
      : {
          findings: findings.map(({ cure: own, ...one }) =>
            own === undefined || isInstall(own) ? one : { ...one, cure: own },
          ),
        }),
  };
}

function isNothingThere({ deployment, agents: daemonSet, endpoints, pools: all, records }: ClusterView): boolean {
  return deployment === undefined && daemonSet === undefined && endpoints.length + all.length + records.length === 0;
}

/** Of a namespace that is being deleted: as after an uninstall that is followed too soon by an install. */
function install(view: ClusterView): Check {
  const { home, nowMs } = view;
  const { metadata, status } = home === 'hidden' || home === undefined ? { metadata: {}, status: {} } : home;
  const since = sayDuration(nowMs - Date.parse(metadata.deletionTimestamp ?? ''));
  const remaining = (status?.conditions ?? []).filter(
    ({ type, status: is }) => is === 'True' && type?.endsWith('Remaining') === true,
  );
  const why = remaining.map(({ message }) => `; ${message}`).join('');
  const text = `the namespace ${installNamespace} is being deleted, for ${since}: what is applied now is refused or goes with it${why}`;
  return { what: 'install', state: 'bad', text, cure: applyCure(view) };
}

function controller(view: ClusterView): Check {
  const { deployment, lease, nowMs } = view;
  const what = 'controller';
  if (deployment === 'hidden') return hidden(what);
  if (deployment === undefined) {
    return { what, state: 'bad', text: 'not installed', cure: applyCure(view) };
  }
  const { spec, status } = deployment;
  const [wanted, ready] = [spec?.replicas ?? 1, status?.readyReplicas ?? 0];
  const leader = lease === 'hidden' ? undefined : leaderOf(lease, nowMs);
  const leads = leader === undefined ? 'nobody leads' : `${leader} leads`;
  const text = `${ready} of ${wanted} replicas ready, ${lease === 'hidden' ? 'this account may not see who leads' : leads}`;
  const look = `kubectl get pods -n ${installNamespace} -o wide; ${controllerLogs}`;
  const said = { what, text, counts: { wanted, ready } };
  if (isStopped(view))
    return { ...said, state: 'bad', text: 'scaled to 0 replicas, nobody leads', cure: startController };
  if (ready === 0 || (leader === undefined && lease !== 'hidden')) return { ...said, state: 'bad', cure: look };
  if (lease === 'hidden') return { ...said, state: 'doubtful', cure: askAnother };
  return ready < wanted ? { ...said, state: 'doubtful', cure: look } : { ...said, state: 'good' };
}

/** Releasing is the node's turn; longer than this it is not coming. */
const releasingLimitMs = 5 * 60_000;

function addresses({ records, nowMs }: ClusterView): Check {
  const what = 'addresses';
  const count = (state: string): number => records.filter(({ spec }) => spec.state === state).length;
  const states = ['Bound', 'Releasing', 'Cooling', 'Reserved'].map(
    (state) => [state.toLowerCase(), count(state)] as const,
  );
  const text = states.map(([state, some]) => `${some} ${state}`).join(', ');
  const stuck = records.filter(
    ({ spec }) => spec.state === 'Releasing' && nowMs - Date.parse(spec.stateSince) > releasingLimitMs,
  );
  const counts = { ...Object.fromEntries(states), overdue: stuck.length };
  if (stuck.length === 0) return { what, state: 'good', text, counts };
  const findings = stuck.map(({ metadata: { name }, spec: { nodeName } }) => {
    return { name, says: `node ${nodeName} has not let go of it`, cure: `kubectl get node ${nodeName}` };
  });
  return { what, state: 'doubtful', text: `${text}; ${stuck.length} of them overdue`, counts, findings };
}

/** What each of config/policy keeps from happening. */
const withoutPolicy: Readonly<Record<string, string>> = {
  'fast-agents': 'an agent can write for other nodes',
  'fast-records': 'others than the controller can write records',
  'fast-removal': 'the kinds can be deleted while pods use them',
  'fast-pods': 'a pod whose bandwidth limit cannot be read is taken, and can then never start',
};

function policies({ missingPolicies }: ClusterView): Check {
  const what = 'policies';
  if (missingPolicies === 'hidden') return hidden(what);
  const counts = { missing: missingPolicies.length };
  if (missingPolicies.length === 0) return { what, state: 'good', text: 'all in place', counts };
  const text = `${missingPolicies.length} missing`;
  const findings = missingPolicies.map((name) => ({ name, says: withoutPolicy[name] ?? 'missing' }));
  return { what, state: 'doubtful', text, counts, cure: 'kubectl apply -k config/policy', findings };
}
