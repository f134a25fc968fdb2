// SPDX-License-Identifier: Apache-2.0
// The knobs of an installed Fast, turned as an administrator does it: by the ConfigMap, and waited for on every node.
import { nodeNames } from './cluster.ts';
import { eventually, kube, objects } from './fast.ts';
import { mapEntries } from './quick-start.ts';

interface AgentSet {
  spec: { template: { spec: { containers: Array<{ args: string[] }> } } };
}

/** Whether every knob stands among the agents' arguments as `--knob value`, and one that is empty does not. */
async function areTold(knobs: Record<string, string>): Promise<true | string> {
  const [agents] = await objects<AgentSet>('daemonsets', '-n', 'fast-system');
  const args = agents?.spec.template.spec.containers[0]?.args ?? [];
  const untold = Object.entries(knobs).filter(([knob, value]) => args.includes(`--${knob}`) !== (value !== ''));
  if (untold.length > 0) return `the agents' DaemonSet is not told of ${untold.map(([knob]) => knob).join(', ')}`;
  const { mode } = knobs;
  return mode === undefined || args[args.indexOf('--mode') + 1] === mode ? true : 'the mode is the former one';
}

/** Whether every node sends to all others' addresses by the way of a mode. */
async function isTaken(mode: string): Promise<true | string> {
  for (const node of nodeNames()) {
    const entries = await mapEntries(node, 'cluster_pod_ips');
    const others = entries.filter((entry) => entry['direct'] !== (mode === 'direct'));
    if (others.length > 0) return `${node} reaches ${others.map((entry) => entry['address']).join(', ')} the other way`;
  }
  return true;
}

/** Sets keys of the ConfigMap and waits until every agent runs with them. */
export async function turnKnobs(knobs: Record<string, string>): Promise<void> {
  await kube(['patch', 'configmap', 'fast-config', '-n', 'fast-system', '-p', JSON.stringify({ data: knobs })]);
  await eventually('the agents being told', 60_000, () => areTold(knobs));
  await kube(['rollout', 'status', '-n', 'fast-system', 'daemonset/fast-agent', '--timeout=180s']);
  const { mode } = knobs;
  if (mode !== undefined) await eventually(`mode ${mode} on every node`, 60_000, () => isTaken(mode));
}
