// SPDX-License-Identifier: Apache-2.0
// How fast pods get their addresses, against the least that has to be done for it: the creates of their records.
import { type Bench, type BenchResult, type BenchRun, interleaved, median, pairedRatio, type Table } from './bench.ts';
import { requestsBetween } from './hollow/api-meter.ts';
import { Child } from './hollow/child.ts';
import { HollowBench } from './hollow/hollow-bench.ts';
import type { LimitMethods } from './ipam/limit.ts';
import { type Burst, type Life, Lives } from './ipam/lives.ts';
import { Observer } from './ipam/observer.ts';
import { arriveSteadily, type Steady } from './ipam/steady.ts';

const nodeCount = 100;
const podCount = 1000;
const steadySeconds = 30;
const coolDownSeconds = 2;
const pools = {
  wide: { name: 'bench-wide', ips: ['10.32.0.0/16'], coolDownSeconds },
  exact: { name: 'bench-exact', ips: ['10.64.0.0-10.64.3.231'], coolDownSeconds },
} as const;
const limitFile = new URL('ipam/limit.ts', import.meta.url).pathname;

interface Measured {
  readonly limit: Life[];
  readonly burst: Life[];
  readonly exact: Life[];
  /** Pods a second: bind, create and the agents' reports, by a plain loop. */
  readonly plain: number[];
  readonly steady: Steady;
  readonly beforeAdd: { readonly done: number; readonly refused: number };
}

async function measure(bench: HollowBench, order: BenchRun): Promise<Measured> {
  const { say } = order;
  const observer = new Observer(bench.client);
  const limit = new Child<LimitMethods>(limitFile);
  try {
    await observer.start();
    const { url, pki, kubeconfig } = bench.server;
    await limit.ask('connect', { url, pki, kubeconfig });
    const lives = new Lives({ bench, observer, limit });
    say(`${podCount} pods while no agent speaks, also as a warm-up`);
    const beforeAdd = await lives.writesBeforeAdd(podCount, pools.wide.name);
    await lives.live(podCount, pools.wide.name, 'limit');
    const plain: number[] = [];
    const rounds = await interleaved(
      {
        limit: async () => {
          plain.push(await lives.plainRate(podCount, pools.wide.name));
          return await lives.live(podCount, pools.wide.name, 'limit');
        },
        burst: () => lives.live(podCount, pools.wide.name, 'controller'),
        exact: () => lives.live(podCount, pools.exact.name, 'controller'),
      },
      order,
    );
    const rate = median(plain) / 2;
    say(`${Math.round(rate)} pods a second for ${steadySeconds} s`);
    const steady = await arriveSteadily(
      { bench, lives, observer },
      { rate, seconds: steadySeconds, pool: pools.wide.name },
    );
    return { ...rounds, plain, steady, beforeAdd };
  } finally {
    limit.end();
    await observer.stop();
  }
}

async function run(order: BenchRun): Promise<BenchResult> {
  const bench = await HollowBench.start({ nodes: nodeCount, pools: Object.values(pools), say: order.say });
  try {
    return resultOf(await measure(bench, order));
  } finally {
    await bench.stop();
  }
}

const of = (lives: readonly Life[], field: keyof Burst): number[] => lives.map((life) => life[field]);

function burstTable({ limit, burst, exact }: Measured): Table {
  const row = (name: string, lives: readonly Life[]) => [
    name,
    ...(['rate', 'p50Ms', 'p99Ms', 'controllerMs', 'serverMs', 'endpointWrites'] as const).map((field) =>
      median(of(lives, field)),
    ),
  ];
  return {
    title: `${podCount} pods bound at once to ${nodeCount} nodes, medians of ${burst.length} rounds`,
    columns: [
      '',
      'pods/s',
      'p50 ms',
      'p99 ms',
      'controller CPU ms/pod',
      'API server CPU ms/pod',
      'NodeEndpoint writes/pod',
    ],
    rows: [
      row('the controller', burst),
      row(`the controller, a pool of exactly ${podCount}`, exact),
      row('the limit: plain creates of the same records', limit),
    ],
  };
}

function steadyTable({ steady, plain }: Measured): Table {
  return {
    title: `a steady arrival at half of what a plain loop gets with bind, create and reports (${Math.round(median(plain))} pods/s), ${steadySeconds} s`,
    columns: [
      'pods/s',
      'bind to record p50 ms',
      'p99 ms',
      'the bind call itself p99 ms',
      'controller cores',
      'API server cores',
    ],
    rows: [
      [
        Math.round(steady.rate),
        steady.p50Ms,
        steady.p99Ms,
        steady.bindP99Ms,
        steady.controllerCores,
        steady.serverCores,
      ],
    ],
  };
}

/** Requests of all that is not the pod's own make, bind and end. */
const kindsOfRequests: readonly (readonly [string, RegExp])[] = [
  ['IpAllocation create', /^POST ipallocations$/],
  ['IpAllocation spec (Releasing, Cooling)', /^(PUT|PATCH) ipallocations$/],
  ['IpAllocation status (attached, released; by the agents)', /^(PUT|PATCH) ipallocations\/status$/],
  ['IpAllocation delete', /^DELETE ipallocations$/],
  ['NodeEndpoint spec', /^(POST|PUT|PATCH|DELETE) nodeendpoints$/],
  ['NodeEndpoint status (by the agents)', /^(PUT|PATCH) nodeendpoints\/status$/],
  ['Ips and its status', /^(POST|PUT|PATCH|DELETE) ipses/],
  ['Event', /^(POST|PUT|PATCH|DELETE) events/],
  ['read of a Pod, Node or IpAllocation', /^(GET|LIST) (pods|nodes|ipallocations)$/],
];

function perLife(lives: readonly Life[], matches: RegExp, which: 'done' | 'refused'): number {
  return median(lives.map(({ before, after }) => requestsBetween(before[which], after[which], matches) / podCount));
}

function requestsTable({ burst }: Measured): Table {
  const row = ([name, matches]: (typeof kindsOfRequests)[number]) => [
    name,
    perLife(burst, matches, 'done'),
    perLife(burst, matches, 'refused'),
  ];
  return {
    title: 'requests per pod life',
    columns: ['', 'answered', 'refused (conflict, not found)'],
    rows: kindsOfRequests.map(row),
  };
}

function resultOf(measured: Measured): BenchResult {
  const { limit, burst, exact, steady, beforeAdd } = measured;
  const vsLimit = (lives: readonly Life[]): number => pairedRatio(of(lives, 'rate'), of(limit, 'rate'));
  return {
    tables: [burstTable(measured), steadyTable(measured), requestsTable(measured)],
    ratios: {
      burst_vs_limit: {
        value: vsLimit(burst),
        aim: { atLeast: 0.8 },
        of: 'allocations a second / plain creates a second',
      },
      exact_vs_limit: {
        value: vsLimit(exact),
        aim: { atLeast: 0.75 },
        of: `the same with a pool of exactly ${podCount} addresses`,
      },
    },
    figures: {
      steady_p99_ms: {
        value: steady.p99Ms,
        aim: { atMost: 500 },
        of: 'from the binding sent to the record seen, at half the limit of bind, create and reports',
      },
      record_writes_per_pod: {
        value: perLife(burst, /^(POST|PUT|PATCH|DELETE) ipallocations/, 'done'),
        aim: { atMost: 6 },
        of: `IpAllocation writes in a pod's whole life, its address cooled for ${coolDownSeconds} s`,
      },
      writes_before_add: {
        value: beforeAdd.done + beforeAdd.refused,
        aim: { atMost: 1 },
        of: 'IpAllocation writes, refused ones too, before any agent speaks',
      },
    },
    notes: [
      `All pods of a burst are bound while the controller is stopped (SIGSTOP): it finds ${podCount} bound pods at once, and the
clock starts when it goes on. The limit creates the same records for such pods in a process of its own, 64 at once, with
the controller stopped. Both end when a watch has shown the last record; then the nodes' agents report their wires.`,
      `A pod that arrives costs the API server a binding, a record and an agent's report: at half the rate of bare creates these
alone would ask for more than all of it. So the steady arrival is at half the rate at which a plain loop binds pods and
creates their records while the agents report.`,
      'All of it shares the cores of one machine: the API server, etcd, the controller, the agents and the one who looks.',
    ],
  };
}

export const bench: Bench = {
  name: 'ipam',
  about: "how fast pods get addresses, against plain creates of their records; writes per pod's life",
  defaultRounds: 5,
  run,
};
