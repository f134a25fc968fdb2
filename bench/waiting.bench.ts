// SPDX-License-Identifier: Apache-2.0
// How many pods of a burst find their address waiting when the runtime asks for it: real ADDs on the test cluster, told
// by the agents' own metric.
import { poolAnnotation } from '../src/api/names.ts';
import { buildAll } from '../scripts/build.ts';
import { execOnNode, nodeNames, up } from '../test/cluster/cluster.ts';
import { eventually, installFast, kube, objects } from '../test/cluster/fast.ts';
import { type Bench, type BenchResult, type BenchRun, median } from './bench.ts';

const podCount = 60;
const name = 'bench-waiting';
const within = 240_000;
/** Where the agents serve their metrics, as src/node/options.ts has it. */
const agentPort = 9441;

type Met = 'found' | 'awaited' | 'missing';
type Adds = Record<Met, number>;

interface PodSeen {
  readonly metadata: { readonly name: string };
  readonly status: { readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }> };
}

/** The ADDs of all agents so far. They serve their metrics to their own machine alone. */
async function readAdds(): Promise<Adds> {
  const adds: Adds = { found: 0, awaited: 0, missing: 0 };
  for (const node of nodeNames()) {
    const { stdout } = await execOnNode(node, ['curl', '-sS', `http://127.0.0.1:${agentPort}/metrics`]);
    const lines = [...stdout.matchAll(/^fast_cni_adds_total\{record="(found|awaited|missing)"\} (\d+)$/gm)];
    if (lines.length !== 3) throw new Error(`the agent of ${node} does not tell its ADDs`);
    for (const [, met, count] of lines) adds[met as Met] += Number(count);
  }
  return adds;
}

function deployment(): object {
  const labels = { app: name };
  const container = {
    name: 'c',
    image: 'busybox:latest',
    imagePullPolicy: 'IfNotPresent',
    command: ['sleep', '10000'],
  };
  const template = {
    metadata: { labels, annotations: { [poolAnnotation]: name } },
    spec: { containers: [container], terminationGracePeriodSeconds: 0 },
  };
  const spec = { replicas: podCount, selector: { matchLabels: labels }, template };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: name }, spec };
}

/** From the Deployment to the last of its pods being ready, through the scheduler. */
async function burst(): Promise<Adds> {
  const before = await readAdds();
  await kube(['create', '-f', '-'], JSON.stringify(deployment()));
  await eventually(`${podCount} pods being ready`, within, async () => {
    const pods = await objects<PodSeen>('pods', '-n', name);
    const ready = pods.filter(({ status }) =>
      status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True'),
    );
    return ready.length === podCount ? true : `${ready.length} are`;
  });
  const after = await readAdds();
  await kube(['delete', 'deployment', name, '-n', name]);
  await eventually('all pods being gone', within, async () => {
    const left = await objects<PodSeen>('pods', '-n', name);
    return left.length === 0 ? true : `${left.length} are left`;
  });
  const of = (met: Met): number => after[met] - before[met];
  return { found: of('found'), awaited: of('awaited'), missing: of('missing') };
}

function resultOf(bursts: readonly Adds[]): BenchResult {
  const share = ({ found, awaited, missing }: Adds): number => found / (found + awaited + missing);
  return {
    tables: [
      {
        title: `ADDs of ${podCount} pods at once, by round`,
        columns: ['round', 'record found waiting', 'awaited', 'missing at the deadline'],
        rows: bursts.map(({ found, awaited, missing }, at) => [at + 1, found, awaited, missing]),
      },
    ],
    ratios: {},
    figures: {
      found_waiting_share: {
        value: median(bursts.map(share)),
        aim: { atLeast: 0.99 },
        of: 'ADDs that found the record of their pod in the agent, of all ADDs; median of the rounds',
      },
    },
    notes: ['The figure is from fast_cni_adds_total of every agent, before and after each burst.'],
  };
}

async function run({ rounds, say, signal }: BenchRun): Promise<BenchResult> {
  await buildAll();
  await up({ say, signal });
  await installFast(say);
  await kube(['create', 'namespace', name]);
  const spec = { subnet: '10.244.0.1/32', ips: ['10.244.42.0-10.244.43.255'] };
  const pool = { apiVersion: 'sample.fast.io/v1alpha1', kind: 'Ips', metadata: { name }, spec };
  await kube(['create', '-f', '-'], JSON.stringify(pool));
  const bursts: Adds[] = [];
  try {
    for (let round = 1; round <= rounds && !signal.aborted; round += 1) {
      say(`round ${round} of ${rounds}`);
      bursts.push(await burst());
    }
  } finally {
    await kube(['delete', 'namespace', name, '--wait=false']);
    await kube(['delete', 'ips', name, '--wait=false']);
  }
  return resultOf(bursts);
}

export const bench: Bench = {
  name: 'waiting',
  about: 'how many ADDs of a burst find the address of their pod waiting, on the test cluster',
  defaultRounds: 3,
  run,
};
