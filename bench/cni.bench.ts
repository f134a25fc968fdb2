// SPDX-License-Identifier: Apache-2.0
// fast-cni and its agent against Debian's ptp and bridge, each with host-local: what a runtime waits for, and what the
// machine pays in all.
import { type Bench, type BenchResult, type BenchRun, interleaved, median, pairedRatio, percentile } from './bench.ts';
import type { Ratio, Table } from './bench.ts';
import { type ContestantName, contestantNames } from './cni/contestants.ts';
import type { PluginRun } from './cni/plugin.ts';
import { type PodStarts, podStarts, startedPods } from './cni/pod-starts.ts';
import type { Pair, Steady, WorkerMethods } from './cni/worker.ts';
import { Child } from './hollow/child.ts';

const podCount = 30;
const steadyPairs = 300;
const podStartRounds = 5;
const workerFile = new URL('cni/worker.ts', import.meta.url).pathname;

interface Round {
  readonly version: readonly PluginRun[];
  readonly rssKb: number;
  readonly alone: Pair;
  readonly together: Pair;
}

interface Measured {
  readonly rounds: Record<ContestantName, Round[]>;
  readonly steady: Record<ContestantName, Steady>;
}

type Ask = Child<WorkerMethods>;

async function roundOf(worker: Ask, name: ContestantName): Promise<Round> {
  const version = await worker.ask('version', name);
  const rssKb = await worker.ask('memory', name);
  return { version, rssKb, alone: await worker.ask('alone', name), together: await worker.ask('together', name) };
}

async function measure(order: BenchRun): Promise<Measured> {
  // Its API server, its agent and all wires are in namespaces of their own.
  const worker: Ask = new Child<WorkerMethods>(workerFile, [], ['unshare', '--net', '--mount']);
  try {
    order.say('starting an API server and an agent');
    await worker.ask('start', undefined);
    order.say('a warm-up');
    for (const name of contestantNames) await worker.ask('together', name);
    // First: what runs for days is measured as it runs then, not as it was compiled a moment ago.
    const steady: Partial<Record<ContestantName, Steady>> = {};
    for (const name of contestantNames) {
      order.say(`${steadyPairs} ADDs and DELs in a row by ${name}`);
      steady[name] = await worker.ask('steady', { name, pairs: steadyPairs });
    }
    const contestants = Object.fromEntries(contestantNames.map((name) => [name, () => roundOf(worker, name)]));
    const rounds = await interleaved(contestants as Record<ContestantName, () => Promise<Round>>, order);
    return { rounds, steady: steady as Record<ContestantName, Steady> };
  } finally {
    await worker.ask('stop', undefined).catch((error: unknown) => order.say(`the clean-up failed: ${String(error)}`));
    worker.end();
  }
}

const walls = (runs: readonly PluginRun[]): number[] => runs.map((one) => one.wallMs);
const cpus = (runs: readonly PluginRun[]): number[] => runs.map((one) => one.cpuMs);

function callsTable({ rounds }: Measured, way: 'alone' | 'together', title: string): Table {
  const columns = ['', 'ADD p50 ms', 'p99', 'CPU', 'DEL p50 ms', 'p99', 'CPU', 'all ADDs ms', 'all DELs ms'];
  const row = (name: ContestantName): (string | number)[] => {
    const pairs = rounds[name].map((round) => round[way]);
    const of = (command: 'add' | 'del'): number[] => {
      const runs = pairs.flatMap((pair) => pair[command]);
      return [median(walls(runs)), percentile(walls(runs), 0.99), median(cpus(runs))];
    };
    const all = [median(pairs.map((pair) => pair.addWallMs)), median(pairs.map((pair) => pair.delWallMs))];
    return [name, ...of('add'), ...of('del'), ...all];
  };
  return { title, columns, rows: contestantNames.map(row) };
}

function startTable({ rounds }: Measured): Table {
  const row = (name: ContestantName): (string | number)[] => {
    const runs = rounds[name].flatMap((round) => round.version);
    const rssKb = median(rounds[name].map((round) => round.rssKb));
    return [name, median(walls(runs)), percentile(walls(runs), 0.99), median(cpus(runs)), rssKb];
  };
  return {
    title: 'VERSION: start and end of the executable',
    columns: ['', 'p50 ms', 'p99 ms', 'CPU ms', 'resident kB'],
    rows: contestantNames.map(row),
  };
}

function steadyTable({ steady }: Measured): Table {
  const row = (name: ContestantName): (string | number)[] => {
    const { pairs, wallMs, pluginCpuMs, agentCpuMs, serverCpuMs } = steady[name];
    const [plugin, agent, server] = [pluginCpuMs / pairs, agentCpuMs / pairs, serverCpuMs / pairs];
    return [name, wallMs / pairs, plugin, agent, plugin + agent, server];
  };
  return {
    title: `${steadyPairs} ADDs and DELs in a row until nothing is left of any wire; per ADD and DEL together`,
    columns: ['', 'wall ms', 'plugin CPU ms', 'agent CPU ms', 'both', 'API server CPU ms'],
    rows: contestantNames.map(row),
  };
}

/** Ours against another's, round by round. */
function versus(
  { rounds }: Measured,
  other: ContestantName,
  value: (round: Round) => number,
  of: string,
  atMost?: number,
): Ratio {
  const ratio = pairedRatio(rounds.fast.map(value), rounds[other].map(value));
  return { value: ratio, of, ...(atMost === undefined ? {} : { aim: { atMost } }) };
}

function pluginRatios(measured: Measured): Record<string, Ratio> {
  const start = (round: Round): number => median(walls(round.version));
  const add1 = (round: Round): number => median(walls(round.alone.add));
  const del1 = (round: Round): number => median(walls(round.alone.del));
  const add30 = (round: Round): number => round.together.addWallMs;
  const { fast, ptp } = measured.steady;
  const bill = ({ pluginCpuMs, agentCpuMs, pairs }: Steady): number => (pluginCpuMs + agentCpuMs) / pairs;
  return {
    start_vs_go_plugin: versus(measured, 'ptp', start, 'VERSION, p50: fast-cni / ptp', 0.7),
    rss_vs_go_plugin: versus(measured, 'ptp', (round) => round.rssKb, 'VERSION, resident: fast-cni / ptp', 0.8),
    add1_vs_ptp: versus(measured, 'ptp', add1, 'ADD alone, p50: ours / ptp with host-local', 0.6),
    add30_wall_vs_ptp: versus(measured, 'ptp', add30, `${podCount} ADDs at once, until the last: ours / ptp`, 0.6),
    add1_vs_bridge: versus(measured, 'bridge', add1, 'ADD alone, p50: ours / bridge with host-local'),
    add30_wall_vs_bridge: versus(measured, 'bridge', add30, `${podCount} ADDs at once: ours / bridge`),
    del1_vs_ptp: versus(measured, 'ptp', del1, 'DEL alone, p50: ours / ptp'),
    steady_cpu_vs_ptp: {
      value: bill(fast) / bill(ptp),
      of: 'CPU of an ADD and a DEL, agent and clean-up too: ours / ptp',
    },
    steady_wall_vs_ptp: { value: fast.wallMs / ptp.wallMs, of: 'the same, wall' },
  };
}

async function pluginResult(order: BenchRun): Promise<BenchResult> {
  const measured = await measure(order);
  return {
    tables: [
      startTable(measured),
      callsTable(measured, 'alone', `${podCount} pods, one call at a time`),
      callsTable(measured, 'together', `${podCount} pods at once`),
      steadyTable(measured),
    ],
    ratios: pluginRatios(measured),
    notes: [
      `A call is measured from posix_spawn(3) to the reaped process; its CPU is that of the plugin and of what it ran. The agent's
CPU, with the removal of wires behind the answers and its reports to the API server, is in the steady state's bill; so is
the time until the last wire is gone. What Fast's records cost the API server stands beside it: host-local keeps files.`,
    ],
  };
}

function podsResult({ fast, bridge }: PodStarts): BenchResult {
  const row = (name: string, seconds: readonly number[]): (string | number)[] => [
    name,
    median(seconds),
    Math.max(...seconds),
  ];
  return {
    tables: [
      {
        title: `${startedPods} pods on two nodes of the test cluster, from their creation until the last one runs`,
        columns: ['', 'median s', 'worst s'],
        rows: [row('Fast', fast), row('bridge', bridge)],
      },
    ],
    ratios: {
      podstart60_vs_bridge: {
        value: pairedRatio(fast, bridge),
        aim: { atMost: 1 },
        of: `${startedPods} pods running on the cluster: Fast / bridge with host-local`,
      },
    },
  };
}

async function run(order: BenchRun): Promise<BenchResult> {
  const { only } = order;
  const plugins = only === 'pods' ? undefined : await pluginResult(order);
  if (only === 'plugins' && plugins !== undefined) return plugins;
  const pods = podsResult(await podStarts({ ...order, rounds: Math.min(order.rounds, podStartRounds) }));
  if (plugins === undefined) return pods;
  return { ...plugins, tables: [...plugins.tables, ...pods.tables], ratios: { ...plugins.ratios, ...pods.ratios } };
}

export const bench: Bench = {
  name: 'cni',
  about: 'ADD and DEL against ptp and bridge: alone, at once, in a row; pod starts on the test cluster',
  defaultRounds: 5,
  parts: ['plugins', 'pods'],
  run,
};
