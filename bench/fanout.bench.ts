// SPDX-License-Identifier: Apache-2.0
// What it costs an API server and an agent that each agent watches its own records and every NodeEndpoint, against every
// agent watching every record. The controller is the product's, so that what is merged is merged by the product.
import type { NodeEndpoint } from '../src/api/generated/node-endpoint.ts';
import { formatAddress, parseAddress } from '../src/ip/address.ts';
import { endpointKind } from '../src/operator/kinds.ts';
import { eventually } from '../test/api/hollow-cluster.ts';
import { type Bench, type BenchResult, type BenchRun, interleaved, median, pairedRatio, type Table } from './bench.ts';
import type { AgentMethods, Way } from './fanout/agents.ts';
import { Churn } from './fanout/churn.ts';
import { cpuSeconds, readRequests, requestsBetween } from './hollow/api-meter.ts';
import { Child } from './hollow/child.ts';
import { HollowBench, width } from './hollow/hollow-bench.ts';
import { atOnce } from './api/at-once.ts';

const nodeCount = 1000;
const podsPerNode = 30;
const changesPerSecond = 30;
const agentCount = 50;
/** Processes that the agents are spread over. */
const childCount = 5;
const windowSeconds = 12;
/** After the agents have synced: caches and connections come to rest. */
const settleMs = 1000;
/** Until as many addresses leave their rest as enter it. */
const warmUpMs = 10_000;
/** The size that the figures are extrapolated to. */
const large = { nodes: 5000, pods: 150_000 };
const pool = 'bench-fanout';
const seed = 20_261;

/** Per agent and second. */
interface Rate {
  readonly events: number;
  readonly bytes: number;
  /** CPU seconds of the API server in each second of the clock, of all agents and everything else. */
  readonly serverCpu: readonly number[];
  /** Per second: writes of NodeEndpoints, by the controller and by agents, of records and of pools. */
  readonly endpointWrites: number;
  readonly endpointStatusWrites: number;
  readonly recordWrites: number;
  readonly poolWrites: number;
}

interface Lists {
  readonly own: Listed;
  readonly all: Listed;
  /** The same as `own` with the nodes of `large`. */
  readonly ownLarge: Listed;
}
type Listed = Awaited<ReturnType<AgentMethods['listOnce']>>;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const agentsFile = new URL('fanout/agents.ts', import.meta.url).pathname;

class FanOut {
  readonly #bench: HollowBench;
  readonly #children: Child<AgentMethods>[];

  constructor(bench: HollowBench) {
    this.#bench = bench;
    this.#children = Array.from({ length: childCount }, () => new Child<AgentMethods>(agentsFile));
  }

  end(): void {
    for (const child of this.#children) child.end();
  }

  /** What the agents hear while pods come and go; without a way nobody listens. */
  async measure(way?: Way): Promise<Rate> {
    if (way !== undefined) await this.#start(way);
    await sleep(settleMs);
    const before = await this.#read();
    const serverCpu = await this.#cpuSamples();
    const after = await this.#read();
    if (way !== undefined) await Promise.all(this.#children.map((child) => child.ask('stop', undefined)));
    const seconds = (after.atMs - before.atMs) / 1000;
    const requests = (matches: RegExp): number => requestsBetween(before.done, after.done, matches) / seconds;
    return {
      events: (after.events - before.events) / agentCount / seconds,
      bytes: (after.bytes - before.bytes) / agentCount / seconds,
      serverCpu,
      endpointWrites: requests(/^(POST|PUT|PATCH|DELETE) nodeendpoints$/),
      endpointStatusWrites: requests(/^(PUT|PATCH) nodeendpoints\/status$/),
      recordWrites: requests(/^(POST|PUT|PATCH|DELETE) ipallocations/),
      poolWrites: requests(/^(POST|PUT|PATCH|DELETE) ipses/),
    };
  }

  async #start(way: Way): Promise<void> {
    const { nodes, client, server } = this.#bench;
    const newest = (await client.raw('GET', '/apis/sample.fast.io/v1alpha1/ipallocations?limit=1')) as {
      metadata: { resourceVersion: string };
    };
    const each = agentCount / childCount;
    const start = (child: Child<AgentMethods>, at: number) =>
      child.ask('start', {
        kubeconfig: server.kubeconfig,
        way,
        nodes: nodes.slice(at * each, (at + 1) * each),
        from: newest.metadata.resourceVersion,
      });
    await Promise.all(this.#children.map(start));
  }

  async #cpuSamples(): Promise<number[]> {
    const { pid } = this.#bench.server;
    const samples: number[] = [];
    const read = () => ({ atMs: performance.now(), cpu: cpuSeconds(pid) });
    for (let before = read(); samples.length < windowSeconds; ) {
      await sleep(1000);
      const after = read();
      samples.push(((after.cpu - before.cpu) * 1000) / (after.atMs - before.atMs));
      before = after;
    }
    return samples;
  }

  async #read() {
    const { client } = this.#bench;
    const { done } = await readRequests(client);
    const heard = await Promise.all(this.#children.map((child) => child.ask('heard', undefined)));
    const sum = (of: 'events' | 'bytes'): number => heard.reduce((total, each) => total + each[of], 0);
    return { atMs: performance.now(), done, events: sum('events'), bytes: sum('bytes') };
  }

  async listOnce(way: Way): Promise<Listed> {
    const child = new Child<AgentMethods>(agentsFile, ['--expose-gc']);
    try {
      return await child.ask('listOnce', {
        kubeconfig: this.#bench.server.kubeconfig,
        way,
        node: this.#bench.nodes[0] ?? '',
      });
    } finally {
      child.end();
    }
  }
}

/** Endpoints of nodes that are only told of, as large as those of the nodes that are there. The controller is stopped. */
async function addEndpoints(bench: HollowBench, count: number): Promise<void> {
  const model = await bench.client.get(endpointKind, bench.nodes[0] ?? '');
  const first = parseAddress('10.64.0.0');
  const numbers = Array.from({ length: count }, (_, at) => at);
  await atOnce(numbers, width, async (at) => {
    const podAddresses = Array.from({ length: podsPerNode }, (_, pod) => formatAddress(first + at * podsPerNode + pod));
    const metadata = { name: `told-${String(at).padStart(4, '0')}` };
    const endpoint: NodeEndpoint = { metadata, spec: { ...model.spec, podAddresses } };
    const made = await bench.client.create(endpointKind, endpoint);
    const status = model.status === undefined ? {} : { status: model.status };
    const told = await bench.client.replaceStatus(endpointKind, { ...made, ...status });
    // As the controller writes it: without the record of who wrote which field.
    const unmanaged = { ...told.metadata, managedFields: [{}] };
    await bench.client.replace(endpointKind, { ...told, metadata: unmanaged });
  });
}

async function fill(bench: HollowBench, { say, signal }: BenchRun): Promise<string[]> {
  const pods = Array.from({ length: nodeCount * podsPerNode }, (_, at) => `pod-${at}`);
  say(`making ${pods.length} pods on ${nodeCount} nodes`);
  await bench.makePods(pods, pool, (at) => bench.nodes[Math.floor(at / podsPerNode)] ?? '');
  say('waiting for their records, wires and entries');
  const isWhole = async (): Promise<boolean> => {
    signal.throwIfAborted();
    const { attached, podAddresses } = await bench.fleet.ask('seen', undefined);
    return attached === pods.length && podAddresses === pods.length;
  };
  await eventually('every pod attached and in its endpoint', isWhole, 240_000);
  return pods;
}

async function lists(bench: HollowBench, fanOut: FanOut, say: BenchRun['say']): Promise<Lists> {
  say('first lists of one agent, both ways');
  const own = await fanOut.listOnce('own');
  const all = await fanOut.listOnce('all');
  // They would take the endpoints of nodes that are not there away, and speak for those.
  await bench.controller?.stop();
  bench.fleet.end();
  say(`making the endpoints of ${large.nodes} nodes`);
  await addEndpoints(bench, large.nodes - nodeCount);
  return { own, all, ownLarge: await fanOut.listOnce('own') };
}

type Rates = Record<'own' | 'all' | 'none', Rate[]>;

async function run(order: BenchRun): Promise<BenchResult> {
  const { say } = order;
  const pools = [{ name: pool, ips: ['10.32.0.0-10.32.255.255'], coolDownSeconds: 5 }];
  const bench = await HollowBench.start({ nodes: nodeCount, pools, say });
  const fanOut = new FanOut(bench);
  try {
    const churn = new Churn(bench, pool, await fill(bench, order), seed);
    await bench.fleet.ask('sayAll', undefined);
    say(`${changesPerSecond} pod changes a second from here on`);
    churn.start(changesPerSecond);
    await sleep(warmUpMs);
    const rates: Rates = await interleaved(
      { own: () => fanOut.measure('own'), all: () => fanOut.measure('all'), none: () => fanOut.measure() },
      order,
    );
    churn.stop();
    return resultOf(rates, await lists(bench, fanOut, say));
  } finally {
    fanOut.end();
    await bench.stop();
  }
}

type Count = Exclude<keyof Rate, 'serverCpu'>;

const of = (rates: readonly Rate[], field: Count): number[] => rates.map((rate) => rate[field]);

/**
 * CPU of the API server per agent, in milliseconds a second: what it burns more than with nobody listening. Medians of the
 * seconds of all rounds: those in which Go's collector sweeps two gigabytes would hide the rest.
 */
function cpuPerAgentMs(rates: readonly Rate[], idle: readonly Rate[]): number {
  const middle = (all: readonly Rate[]): number => median(all.flatMap(({ serverCpu }) => serverCpu));
  return ((middle(rates) - middle(idle)) / agentCount) * 1000;
}

function ratesTable(rates: Rates): Table {
  const row = (name: string, of_: readonly Rate[]) => {
    const events = median(of(of_, 'events'));
    const cpuMs = cpuPerAgentMs(of_, rates.none);
    return [name, events, median(of(of_, 'bytes')) / 1000, cpuMs, (cpuMs * 1000) / events];
  };
  return {
    title: `${nodeCount} nodes, ${nodeCount * podsPerNode} pods, ${changesPerSecond} pod changes a second, ${agentCount} agents: per agent and second`,
    columns: ['each agent watches', 'events', 'KB', 'server CPU ms', 'µs per event'],
    rows: [row('own records, all endpoints, pools', rates.own), row('every record', rates.all)],
  };
}

function writesTable(rates: Rates): Table {
  const everyRate = Object.values(rates).flat();
  const row = (name: string, field: Count) => [name, median(of(everyRate, field))];
  return {
    title: 'writes a second that these events come from',
    columns: ['object', 'writes'],
    rows: [
      row('IpAllocation', 'recordWrites'),
      row('NodeEndpoint, by the controller', 'endpointWrites'),
      row('NodeEndpoint status, by agents', 'endpointStatusWrites'),
      row('Ips', 'poolWrites'),
    ],
  };
}

function listsTable({ own, all, ownLarge }: Lists): Table {
  const row = (name: string, nodes: number, { objects, bytes, heapMb }: Listed) => [
    name,
    nodes,
    objects,
    bytes / 1e6,
    heapMb,
  ];
  return {
    title: "one agent's first lists",
    columns: ['the agent watches', 'nodes', 'objects', 'MB on the wire', 'MB of heap'],
    rows: [
      row('own records, all endpoints, pools', nodeCount, own),
      row('own records, all endpoints, pools', large.nodes, ownLarge),
      row('every record', nodeCount, all),
    ],
  };
}

function notesOf(rates: Rates, { all, ownLarge }: Lists): string[] {
  const factor = large.nodes / nodeCount;
  const cores = (of_: readonly Rate[]): number => (cpuPerAgentMs(of_, rates.none) * large.nodes) / 1000;
  const [ownCores, allCores] = [cores(rates.own), cores(rates.all)];
  const n = (value: number): string => value.toPrecision(3);
  return [
    `Every agent watching every record would need the NodeEndpoints too, for the tunnels' ends; neither they nor the pools
are counted against it. The rates hold no lists. Server CPU is that above the same load with nobody listening, by medians
of one-second samples, which leave out the seconds in which Go collects its garbage.`,
    `For ${large.nodes} nodes, ${large.pods} pods:
  list per agent: measured with ${large.nodes} endpoints of ${podsPerNode} addresses, ${n(ownLarge.bytes / 1e6)} MB; every record: ${n(all.bytes / 1e6)} MB x ${factor} = ${n((all.bytes / 1e6) * factor)} MB
  heap per agent: measured likewise, ${n(ownLarge.heapMb)} MB; every record: ${n(all.heapMb)} MB x ${factor} = ${n(all.heapMb * factor)} MB
  server CPU at the same ${changesPerSecond} pod changes a second: ${n(ownCores)} cores (CPU per agent x ${large.nodes} agents); every record: ${n(allCores)}
  server CPU at ${changesPerSecond * factor} pod changes a second, the same rate per pod: ${n(ownCores)} x ${factor} = ${n(ownCores * factor)} cores; every record: ${n(allCores * factor)}`,
    `The pool's addresses rest for 5 s instead of 30, so that a short run is a steady state; it changes no event's number.`,
  ];
}

function resultOf(rates: Rates, lists: Lists): BenchResult {
  const perRound = (field: Count): number => pairedRatio(of(rates.own, field), of(rates.all, field));
  const cpu = cpuPerAgentMs(rates.own, rates.none) / cpuPerAgentMs(rates.all, rates.none);
  return {
    tables: [ratesTable(rates), writesTable(rates), listsTable(lists)],
    ratios: {
      events_vs_watch_all: {
        value: perRound('events'),
        aim: { atMost: 0.5 },
        of: 'events per agent / events of every record',
      },
      list_bytes_vs_watch_all: {
        value: lists.own.bytes / lists.all.bytes,
        aim: { atMost: 0.05 },
        of: "bytes of an agent's first lists / bytes of a list of every record",
      },
      bytes_vs_watch_all: { value: perRound('bytes'), of: 'bytes per agent and second / the same of every record' },
      cpu_vs_watch_all: { value: cpu, of: 'server CPU per agent and second / the same of every record' },
    },
    figures: {
      heap_mb_at_150k: {
        value: lists.ownLarge.heapMb,
        of: `heap of one agent's informers at ${large.nodes} endpoints of ${podsPerNode} addresses, measured`,
      },
    },
    notes: notesOf(rates, lists),
  };
}

export const bench: Bench = {
  name: 'fanout',
  about: 'what agents hear: own records and all endpoints, against every agent watching every record',
  defaultRounds: 3,
  run,
};
