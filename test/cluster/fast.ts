// SPDX-License-Identifier: Apache-2.0
// Fast on the test cluster: its images brought to the nodes and the install that the README names, waited for.
import { fileURLToPath } from 'node:url';
import { imageArchive } from '../../scripts/build-images.ts';
import { kubectl, loadImage } from './cluster.ts';
import type { Say } from './progress.ts';
import { step } from './progress.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pollMs = 200;

/** Runs kubectl as administrator and gives its output. @throws Error with the command and what it said. */
export async function kube(args: readonly string[], stdin?: string): Promise<string> {
  const result = await kubectl(args, stdin);
  if (result.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${(result.stderr || result.stdout).trim()}`);
  return result.stdout;
}

/** The objects that `kubectl get` names, parsed. */
export async function objects<T>(...args: string[]): Promise<T[]> {
  return (JSON.parse(await kube(['get', ...args, '-o', 'json'])) as { items: T[] }).items;
}

/** Asks until `ask` answers with a value. @throws Error with the last obstacle that it named. */
export async function eventually<T>(what: string, limitMs: number, ask: () => Promise<T | string>): Promise<T> {
  const endMs = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (typeof answer !== 'string') return answer;
    if (Date.now() > endMs) throw new Error(`${what} did not come true within ${limitMs / 1000} s: ${answer}`);
    await new Promise((resolve) => {
      setTimeout(resolve, pollMs);
    });
  }
}

interface DaemonSetStatus {
  status: { desiredNumberScheduled: number; numberReady: number; updatedNumberScheduled?: number };
}

async function agentsReady(): Promise<true | string> {
  const [agents] = await objects<DaemonSetStatus>(
    'daemonsets',
    '-n',
    'fast-system',
    '-l',
    'app.kubernetes.io/name=fast-agent',
  );
  if (agents === undefined) return 'the controller has not made the DaemonSet fast-agent yet';
  const { desiredNumberScheduled: wanted, numberReady: ready, updatedNumberScheduled: updated = 0 } = agents.status;
  return wanted > 0 && ready === wanted && updated === wanted ? true : `${ready} of ${wanted} agents are ready`;
}

interface NodeStatus {
  metadata: { name: string };
  status: { conditions: Array<{ type: string; status: string; message: string }> };
}

export async function nodesReady(): Promise<true | string> {
  const late = (await objects<NodeStatus>('nodes'))
    .map((node) => ({ name: node.metadata.name, ready: node.status.conditions.find((one) => one.type === 'Ready') }))
    .filter((node) => node.ready?.status !== 'True');
  return late.length === 0 ? true : late.map((node) => `${node.name}: ${node.ready?.message}`).join('; ');
}

/** Installs Fast as README says, and waits until every node is Ready. Programs of an older build are replaced. */
export async function installFast(say: Say): Promise<void> {
  const isUpgrade = (await kubectl(['get', 'deployment', '-n', 'fast-system', 'fast-controller-manager'])).code === 0;
  const loaded = await step(say, 'images brought to the nodes', async () => {
    const both = await Promise.all([loadImage(imageArchive('controller')), loadImage(imageArchive('agent'))]);
    return both.flat();
  });
  await step(say, 'kubectl apply -k config/default', () => kube(['apply', '-k', `${root}config/default`]));
  if (isUpgrade && loaded.length > 0) {
    await step(say, 'pods of the older build replaced', () =>
      kube(['delete', 'pods', '-n', 'fast-system', '--all', '--wait']),
    );
  }
  await step(say, 'the controller runs', () =>
    kube(['rollout', 'status', '-n', 'fast-system', 'deployment/fast-controller-manager', '--timeout=120s']),
  );
  await step(say, 'an agent is ready on every node', () => eventually('the agents being ready', 120_000, agentsReady));
  await step(say, 'every node is Ready', () => eventually('the nodes being Ready', 60_000, nodesReady));
}
