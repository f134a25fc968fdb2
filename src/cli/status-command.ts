// SPDX-License-Identifier: Apache-2.0
// `fast-ctl status`: ten lines that say whether all is well, and what is amiss by its name and what to do if not.
import { Command } from 'commander';
import { agentName, configMapName, controllerName, installNamespace } from '../api/names.ts';
import { isReason } from '../kube/errors.ts';
import { configMaps, daemonSets, deployments, leases, namespaces, nodes, pods } from '../kube/resources.ts';
import { unknownServices } from '../reconcilers/services.ts';
import { type ClusterView, isUnled } from './health-check.ts';
import { assess } from './health-checks.ts';
import { areGated } from './health-pods.ts';
import { areDoubted, untold } from './health-wires.ts';
import { type SandboxTroubles, sandboxTroubles } from './sandbox-troubles.ts';
import { stuckPatienceMs } from './stuck-pods.ts';
import { guards } from './installed.ts';
import { namespaceKind, podKind } from './ipam-world.ts';
import { allOf, endpointKind, poolKind, recordKind } from './kinds.ts';
import { silentKubelets } from './kubelet-silence.ts';
import { formatData, type OutputFormat, outputOption } from './output.ts';
import { atCluster, checksAt } from './same-cluster.ts';
import { servicesIn } from './services.ts';
import { type Cluster, type ClusterChoice, Ended, type Surroundings } from './surroundings.ts';
import { formatChecks } from './status-report.ts';
import { colours, plain } from './tones.ts';

interface StatusOptions extends ClusterChoice {
  readonly output: OutputFormat;
}

async function orHidden<T>(look: Promise<T>): Promise<T | 'hidden'> {
  try {
    return await look;
  } catch (error) {
    if (isReason(error, 'forbidden')) return 'hidden';
    throw error;
  }
}

async function missingPolicies(cluster: Cluster): Promise<string[]> {
  const found = await Promise.all(guards.map(async (one) => ({ one, is: await cluster.find(one.resource, one.name) })));
  return [...new Set(found.filter(({ is }) => is === undefined).map(({ one }) => one.name))];
}

/** The agents' own pods, and all that no node has: two lists that the API server selects. */
const agentsOwn = { namespace: installNamespace, labelSelector: `app.kubernetes.io/name=${agentName}` };
const withoutNode = { fieldSelector: 'spec.nodeName=' };
const inPhase = (phase: string) => ({ fieldSelector: `status.phase=${phase}` });

async function together<T extends object>(looks: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  const found = Object.entries<Promise<unknown>>(looks).map(async ([key, look]) => [key, await look]);
  return Object.fromEntries(await Promise.all(found)) as T;
}

async function viewOf(cluster: Cluster, nowMs: number): Promise<ClusterView> {
  const at = installNamespace;
  const seen = await together<Omit<ClusterView, 'services' | 'running' | 'pending' | 'troubles' | 'nowMs'>>({
    home: orHidden(cluster.find(namespaces, at)),
    deployment: orHidden(cluster.find(deployments, controllerName, at)),
    agents: orHidden(cluster.find(daemonSets, agentName, at)),
    agentPods: orHidden(cluster.list(pods, agentsOwn).then(({ items }) => items)),
    lease: orHidden(cluster.find(leases, controllerName, at)),
    knobs: orHidden(cluster.find(configMaps, configMapName, at)),
    missingPolicies: orHidden(missingPolicies(cluster)),
    nodes: orHidden(allOf(cluster, nodes)),
    silences: orHidden(silentKubelets(cluster, nowMs)),
    unscheduled: orHidden(cluster.list(podKind, withoutNode).then(({ items }) => items)),
    namespaces: orHidden(allOf(cluster, namespaceKind)),
    endpoints: allOf(cluster, endpointKind),
    pools: allOf(cluster, poolKind),
    records: allOf(cluster, recordKind),
  });
  const services = areGated(seen.unscheduled) ? await servicesIn(cluster) : unknownServices;
  const isUntold = areDoubted({ ...seen, nowMs });
  const running = isUntold ? await orHidden(cluster.list(podKind, inPhase('Running')).then(({ items }) => items)) : [];
  const isLate = untold(seen.records, nowMs, stuckPatienceMs).length > 0;
  const isPendingAsked = isLate || isUnled({ ...seen, nowMs });
  const pending = isPendingAsked
    ? await orHidden(cluster.list(podKind, inPhase('Pending')).then(({ items }) => items))
    : [];
  const troubles: SandboxTroubles | 'hidden' = isLate ? await orHidden(sandboxTroubles(cluster)) : new Map();
  return { ...seen, services, running, pending, troubles, nowMs };
}

export function statusCommand(s: Surroundings): Command {
  return new Command('status')
    .description('say in ten lines whether all is well in the cluster, and what to do if not')
    .addOption(outputOption())
    .addHelpText('after', '\nOf each kind of trouble it names three; -o wide names all.')
    .addHelpText('after', '\nIt exits with 1 when something is wrong, with 0 when all is well or only doubtful.')
    .action(async (_own: object, command: Command) => {
      const options = command.optsWithGlobals<StatusOptions>();
      const checks = checksAt(assess(await viewOf(await s.cluster(options), s.nowMs())), options);
      const paint = s.isColourful ? colours : plain;
      s.print(
        formatData(checks, options.output) ??
          atCluster(formatChecks(checks, options.output === 'wide', paint), options),
      );
      if (checks.some(({ state }) => state === 'bad')) throw new Ended(1);
    });
}
