// SPDX-License-Identifier: Apache-2.0
// `fast-ctl status`: ten lines that say whether all is well, and what to do if not.
import { Command } from 'commander';
import { agentName, controllerName, installNamespace } from '../api/names.ts';
import { isReason } from '../kube/errors.ts';
import { daemonSets, deployments, leases, nodes } from '../kube/resources.ts';
import { assess, type Check, type ClusterView } from './health-checks.ts';
import { guards } from './installed.ts';
import { allOf, endpointKind, poolKind, recordKind } from './kinds.ts';
import { formatData, type OutputFormat, outputOption } from './output.ts';
import { type Cluster, type ClusterChoice, Ended, type Surroundings } from './surroundings.ts';
import { colours, type Paint, plain } from './tones.ts';

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

async function viewOf(cluster: Cluster, nowMs: number): Promise<ClusterView> {
  const at = installNamespace;
  const [deployment, agents, lease, missing, allNodes, endpoints, pools, records] = await Promise.all([
    orHidden(cluster.find(deployments, controllerName, at)),
    orHidden(cluster.find(daemonSets, agentName, at)),
    orHidden(cluster.find(leases, controllerName, at)),
    orHidden(missingPolicies(cluster)),
    orHidden(allOf(cluster, nodes)),
    allOf(cluster, endpointKind),
    allOf(cluster, poolKind),
    allOf(cluster, recordKind),
  ]);
  return {
    deployment,
    agents,
    lease,
    missingPolicies: missing,
    nodes: allNodes,
    endpoints,
    pools,
    records,
    nowMs,
  };
}

const marks = { good: 'ok', doubtful: '??', bad: '!!' } as const;

function formatChecks(checks: readonly Check[], paint: Paint): string {
  const width = Math.max(...checks.map(({ what }) => what.length));
  const lines = checks.map(({ what, state, text }) => `${paint(state, marks[state])}  ${what.padEnd(width)}  ${text}`);
  const amiss = checks.filter(({ state }) => state !== 'good');
  const bad = amiss.filter(({ state }) => state === 'bad').length;
  const headline =
    amiss.length === 0
      ? paint('good', 'Fast is well.')
      : paint(bad > 0 ? 'bad' : 'doubtful', `Fast needs a look: ${bad} wrong, ${amiss.length - bad} doubtful.`);
  const cures = amiss.flatMap(({ what, cure }) => (cure === undefined ? [] : [`    ${what}: ${cure}`]));
  return `${[headline, ...lines, ...(cures.length === 0 ? [] : ['To do:', ...cures])].join('\n')}\n`;
}

export function statusCommand(s: Surroundings): Command {
  return new Command('status')
    .description('say in ten lines whether all is well in the cluster, and what to do if not')
    .addOption(outputOption())
    .addHelpText('after', '\nIt exits with 1 when something is wrong, with 0 when all is well or only doubtful.')
    .action(async (_own: object, command: Command) => {
      const options = command.optsWithGlobals<StatusOptions>();
      const checks = assess(await viewOf(await s.cluster(options), s.nowMs()));
      s.print(formatData(checks, options.output) ?? formatChecks(checks, s.isColourful ? colours : plain));
      if (checks.some(({ state }) => state === 'bad')) throw new Ended(1);
    });
}
