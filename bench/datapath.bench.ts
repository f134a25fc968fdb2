// SPDX-License-Identifier: Apache-2.0
// How fast pods reach each other, against a Linux bridge on one node, the kernel's VXLAN between nodes, and the hosts
// themselves.
import { type Bench, type BenchResult, type BenchRun, interleaved, median, pairedRatio, type Table } from './bench.ts';
import { type Answers, buildTraffic, type Datagrams, type Pair, type Throughput, Traffic } from './datapath/traffic.ts';
import { pairs, servers, World } from './datapath/world.ts';

/** Of each of the five measurements. */
const measureMs = 450;
const warmUpMs = 200;
const manyStreams = 8;
const datagramBytes = 1024;

interface Measured {
  readonly one: Throughput;
  readonly many: Throughput;
  readonly udp: Datagrams;
  readonly rr: Answers;
  readonly crr: Answers;
}

async function measure(traffic: Traffic, pair: Pair, ms: number): Promise<Measured> {
  return {
    one: await traffic.stream(pair, 1, ms),
    many: await traffic.stream(pair, manyStreams, ms),
    udp: await traffic.udp(pair, datagramBytes, ms),
    rr: await traffic.requests(pair, ms),
    crr: await traffic.connections(pair, ms),
  };
}

const titles = {
  host: 'host to host',
  wire: 'one veth pair and nothing else: the limit on one node',
  bridge: 'a Linux bridge, one node',
  bare: 'the same past netfilter',
  same: 'Fast, one node',
  vxlan: "the kernel's VXLAN, two nodes",
  cross: 'Fast by tunnel, two nodes',
  direct: 'Fast directly, two nodes',
} as const;
type Name = keyof typeof titles;
type Rounds = Record<Name, Measured[]>;

async function run(order: BenchRun): Promise<BenchResult> {
  const traffic = new Traffic(await buildTraffic());
  order.say('two nodes as namespaces, with pods of both kinds');
  const world = await World.up();
  try {
    for (const netns of servers) await traffic.serve(netns);
    for (const pair of Object.values(pairs)) await measure(traffic, pair, warmUpMs);
    const go = (name: keyof typeof pairs) => () => measure(traffic, pairs[name], measureMs);
    const bare = async () => {
      world.filterBridged(false);
      const measured = await measure(traffic, pairs.bridge, measureMs);
      world.filterBridged(true);
      return measured;
    };
    const contestants = {
      host: go('host'),
      wire: go('wire'),
      bridge: go('bridge'),
      bare,
      same: go('same'),
      vxlan: go('vxlan'),
      cross: go('cross'),
      direct: go('direct'),
    };
    return resultOf(await interleaved(contestants, order));
  } finally {
    await traffic.stop();
    await world.down();
  }
}

function table(rounds: Rounds): Table {
  const row = (name: Name) => {
    const of = (figure: (one: Measured) => number): number => median(rounds[name].map(figure));
    return [
      titles[name],
      of(({ one }) => one.gbps),
      of(({ many }) => many.gbps),
      of(({ udp }) => udp.perSecond / 1000),
      of(({ rr }) => rr.p50Us),
      of(({ rr }) => rr.p99Us),
      of(({ crr }) => crr.perSecond),
      of(({ one }) => one.retransmits),
      of(({ many }) => many.retransmits),
    ];
  };
  return {
    title: `medians of ${rounds.same.length} interleaved rounds, ${measureMs} ms each`,
    columns: [
      '',
      'TCP Gb/s',
      `${manyStreams} streams Gb/s`,
      `UDP ${datagramBytes} B, k/s`,
      'answer p50 µs',
      'p99 µs',
      'connections/s',
      'retransmits',
      `of ${manyStreams} streams`,
    ],
    rows: (Object.keys(titles) as Name[]).map(row),
  };
}

function resultOf(rounds: Rounds): BenchResult {
  const ratio = (ours: Name, theirs: Name, figure: (one: Measured) => number): number =>
    pairedRatio(rounds[ours].map(figure), rounds[theirs].map(figure));
  const gbps = (one: Measured): number => one.one.gbps;
  const p50 = (one: Measured): number => one.rr.p50Us;
  const opened = (one: Measured): number => one.crr.perSecond;
  return {
    tables: [table(rounds)],
    notes: [
      `Every figure is what one CPU carries from end to end, taken where packets arrive. Streams are sent from pages and
dropped unread: the copies of both ends, the same for all, would be half of them.`,
      `All pods have an MTU of 1450 bytes, all tunnels zero UDP checksums, all nodes the rules of kube-proxy for 100 Services
and Fast's own. Bridged packets meet the rules, as kube-proxy asks for it; the bridge past netfilter, which has no
Services, is shown for comparison.`,
    ],
    ratios: {
      same_node_vs_bridge: {
        value: ratio('same', 'bridge', gbps),
        aim: { atLeast: 1.05 },
        of: 'TCP, one stream: Fast / bridge, one node',
      },
      same_rtt_vs_bridge: {
        value: ratio('same', 'bridge', p50),
        aim: { atMost: 0.8 },
        of: 'request and response p50: Fast / bridge, one node',
      },
      same_node_vs_bare_bridge: {
        value: ratio('same', 'bare', gbps),
        of: 'TCP, one stream: Fast / bridge past netfilter',
      },
      same_rtt_vs_bare_bridge: {
        value: ratio('same', 'bare', p50),
        of: 'request and response p50: Fast / bridge past netfilter',
      },
      same_rtt_vs_limit: {
        value: ratio('same', 'wire', p50),
        of: 'request and response p50: Fast / one veth pair, one node',
      },
      limit_rtt_vs_bridge: {
        value: ratio('wire', 'bridge', p50),
        of: 'the same: one veth pair / bridge, as low as same_rtt_vs_bridge could get',
      },
      cross_vs_vxlan: {
        value: ratio('cross', 'vxlan', gbps),
        aim: { atLeast: 1.1 },
        of: 'TCP, one stream: Fast by tunnel / VXLAN',
      },
      cross_vs_host: { value: ratio('cross', 'host', gbps), of: 'TCP, one stream: Fast by tunnel / host to host' },
      direct_vs_host: {
        value: ratio('direct', 'host', gbps),
        aim: { atLeast: 0.9 },
        of: 'TCP, one stream: Fast directly / host to host',
      },
      rtt_vs_vxlan: {
        value: ratio('cross', 'vxlan', p50),
        aim: { atMost: 0.85 },
        of: 'request and response p50: Fast by tunnel / VXLAN',
      },
      crr_vs_vxlan: { value: ratio('cross', 'vxlan', opened), of: 'connections a second: Fast by tunnel / VXLAN' },
    },
  };
}

export const bench: Bench = {
  name: 'datapath',
  about: "pods to pods, against a Linux bridge, the kernel's VXLAN and the hosts themselves",
  defaultRounds: 8,
  run,
};
