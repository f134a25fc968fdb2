// SPDX-License-Identifier: Apache-2.0
// `--node`: the same command line for the fast-ctl in the agent's pod of another machine, so that a laptop sees a node's
// kernel without a shell on it.
import { agentName, installNamespace } from '../api/names.ts';
import { nodes, pods } from '../kube/resources.ts';
import { agentSelector, describeAgent } from './kubectl-lines.ts';
import type { Cluster } from './surroundings.ts';

/** What is left of a command line for the node itself: everything but the flags that led there. */
export function withoutFlags(args: readonly string[], flags: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? '';
    if (flags.includes(word)) at += 1;
    else if (!flags.some((flag) => word.startsWith(`${flag}=`))) kept.push(word);
  }
  return kept;
}

/** @throws Error that says why no agent can be asked */
export async function agentPodOf(cluster: Pick<Cluster, 'list'>, node: string): Promise<string> {
  const { items } = await cluster.list(pods, {
    namespace: installNamespace,
    labelSelector: `app.kubernetes.io/name=${agentName}`,
    fieldSelector: `spec.nodeName=${node}`,
  });
  const running = items.find((pod) => pod.status?.phase === 'Running' && pod.metadata.name !== undefined);
  if (running?.metadata.name !== undefined) return running.metadata.name;
  const names = (await cluster.list(nodes)).items.flatMap(({ metadata }) => metadata.name ?? []);
  if (!names.includes(node)) {
    const there = names.length === 0 ? 'the cluster has none' : `the nodes are ${names.join(', ')}`;
    throw new Error(`there is no node ${node}; ${there}`);
  }
  const state = items[0]?.status?.phase;
  throw new Error(
    state === undefined
      ? `no agent runs on ${node}; kubectl get pods ${agentSelector} -o wide`
      : `the agent on ${node} is ${state}; ${describeAgent(node)}`,
  );
}
