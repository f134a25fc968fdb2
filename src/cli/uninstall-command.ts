// SPDX-License-Identifier: Apache-2.0
// `fast-ctl uninstall`: says what it would do, and does it with --yes.
import { Command, Option } from 'commander';
import { countOf } from '../api/count-of.ts';
import { installNamespace } from '../api/names.ts';
import { durationOf } from './duration.ts';
import { farewell } from './farewell.ts';
import { installed } from './installed.ts';
import { allOf, poolKind, recordKind } from './kinds.ts';
import { type Standing, sayAbsent, standingOf, uninstallLine } from './node-standing.ts';
import { operatorObjects, Removal } from './removal.ts';
import { atCluster } from './same-cluster.ts';
import type { Cluster, ClusterChoice, Surroundings } from './surroundings.ts';

interface UninstallOptions extends ClusterChoice {
  readonly yes?: boolean;
  readonly without: readonly string[];
  /** Milliseconds. */
  readonly timeout: number;
}

const order = `
The order:
  1. each node's agent takes away wires, the device fast_vxlan, routes, rules, eBPF pins and CNI files, and says so
  2. the operator's Subscription and version (OLM), controller, admission policies, agents
  3. the kinds Ips, IpAllocation and NodeEndpoint with all objects, rights, the namespace fast-system
It can be stopped by Ctrl-C or SIGTERM and run again at any point; it says then how to go on.

Before it, move workloads away or stop them: a pod that runs keeps its address but loses its network, and needs a new
sandbox from the next network plugin.`;

const timeout = { leastMs: 1_000, mostMs: 86_400_000 };

/** Pools without any NodeEndpoint are the rest of an install whose records somebody deleted with their kind. */
const forgotten = `No NodeEndpoint is left, so no node is cleaned: device, routes, rules, pins and CNI files of Fast stay on the nodes. To
clean them install once more (kubectl apply -k config/default), wait for fast-ctl status, and run this again.
`;

/** After an uninstall that came to its end; or the wrong cluster. */
const nothing = `Nothing of Fast was found in this cluster: no kind, program, policy or right of it. Another one is named by --context or
--kubeconfig.
`;

/** After an uninstall that was stopped at its last wait, or a bare kubectl delete. */
const onlyNamespace = `Only the namespace ${installNamespace} is still going: nothing to do but wait: kubectl wait --for=delete namespace/${installNamespace} --timeout=5m
`;

/** How it stands with all of an install: the namespace alone is what the control plane deletes by itself. */
async function whatIsThere(cluster: Cluster): Promise<'nothing' | 'a namespace that goes' | 'something'> {
  let isNamespaceGoing = false;
  for (const { resource, name, namespace } of installed) {
    const object = await cluster.find(resource, name, namespace);
    if (object === undefined) continue;
    if (name !== installNamespace || object.metadata.deletionTimestamp === undefined) return 'something';
    isNamespaceGoing = true;
  }
  // Asked last: an account that may look at Fast need not be one that may look at OLM.
  if ((await operatorObjects(cluster)).length > 0) return 'something';
  return isNamespaceGoing ? 'a namespace that goes' : 'nothing';
}

/** What is there to lose, and what is gone already. */
async function plan(cluster: Cluster, without: readonly string[], standing: Standing): Promise<string> {
  const { known, clean, dirty, untouched } = standing;
  const unknown = without.filter((name) => !known.includes(name));
  if (unknown.length > 0 && clean.length + dirty.length > 0) {
    throw new Error(`--without ${unknown.join(' ')}: there is no such node; the nodes are ${known.join(', ')}`);
  }
  const nodes = dirty.filter((name) => !without.includes(name));
  const pools = await allOf(cluster, poolKind);
  const records = await allOf(cluster, recordKind);
  const ofPods = records.filter(({ spec }) => spec.owner.kind === 'Pod' && spec.state === 'Bound').length;
  const left =
    without.length === 0 ? '' : `, leaves ${without.join(', ')} as ${without.length === 1 ? 'it is' : 'they are'}`;
  const done = clean.length === 0 ? '' : `Fast is off ${countOf(clean.length, 'node')} already: ${clean.join(', ')}\n`;
  const never = untouched.length === 0 ? '' : `No agent was ever on ${untouched.join(', ')}: nothing to clean there\n`;
  const lose = ofPods === 1 ? 'has an address of Fast and loses its' : 'have an address of Fast and lose their';
  const what = `This takes Fast off ${countOf(nodes.length, 'node')}${left} and deletes ${countOf(pools.length, 'pool')}; ${countOf(ofPods, 'pod')} ${lose} network.\n`;
  const isForgotten = clean.length + dirty.length + untouched.length === 0 && pools.length > 0;
  return `${done}${never}${what}${isForgotten ? forgotten : ''}`;
}

export function uninstallCommand(s: Surroundings): Command {
  return new Command('uninstall')
    .description('take Fast off every node and out of the cluster; without --yes only say what would go')
    .option('--yes', 'do it')
    .addOption(
      new Option('--without <node...>', 'nodes that are left as they are, since they are gone or switched off').default(
        [],
        'none',
      ),
    )
    .addOption(
      new Option('--timeout <duration>', 'how long nodes, and then objects, may take, such as 90s or 5m')
        .default(120_000, '2m')
        .argParser(durationOf(timeout, 'a duration from 1s to 24h, such as 90s, 5m or 1h30m')),
    )
    .addHelpText('after', order)
    .action(async (_own: object, command: Command) => {
      const o = command.optsWithGlobals<UninstallOptions>();
      const cluster = await s.cluster(o);
      const say = (text: string): void => s.print(atCluster(text, o));
      const there = await whatIsThere(cluster);
      if (there === 'nothing') {
        say(nothing);
        return;
      }
      const standing = await standingOf(cluster, s.nowMs());
      const absent = sayAbsent(o.without, standing);
      // A pod on a node that is off keeps the namespace.
      const isWaitAll = there === 'a namespace that goes' && absent === '' && o.without.length === 0;
      say(isWaitAll ? onlyNamespace : await plan(cluster, o.without, standing));
      if (o.yes !== true) {
        if (isWaitAll) return;
        say(`${absent}Nothing was done. To do it: ${uninstallLine(o.without, standing)}\n`);
        return;
      }
      const options = { timeoutMs: o.timeout, without: o.without };
      await new Removal(cluster, s, options, (line) => say(`${line}\n`)).run(standing);
      const isDirty = (name: string): boolean => ![...standing.clean, ...standing.untouched].includes(name);
      say(farewell(o.without.filter(isDirty), s.terminalWidth));
    });
}
