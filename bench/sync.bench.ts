// SPDX-License-Identifier: Apache-2.0
// How fast an agent that starts cold gets a big cluster into its kernel, against the least that can be done for it: the
// same entries, encoded beforehand, written by batches.
import { readFileSync } from 'node:fs';
import { BpfMap } from 'ebpf-native';
import type { NodeEndpoint } from '../src/api/generated/node-endpoint.ts';
import { encodeClusterPod, type RawEntry } from '../src/datapath/codecs.ts';
import { desiredClusterEntries } from '../src/datapath/desired.ts';
import { maps } from '../src/datapath/generated/layout.ts';
import { byTunnel } from '../src/datapath/way.ts';
import { formatAddress } from '../src/ip/address.ts';
import { syncClusterPods } from '../src/node/maps.ts';
import { type Bench, type BenchResult, type BenchRun, interleaved, median, pairedRatio } from './bench.ts';

const podCount = 100_000;
const podsPerNode = 20;
const nodeCount = podCount / podsPerNode;
const firstPod = 0x0a_40_00_00;
const firstNode = 0x0a_1d_00_01;
const firstOverlay = 0x0a_f4_e0_00;
const own = 'own-node';
/** As bpf/cluster_pods.h makes the map: memory comes with the entries. */
const BPF_F_NO_PREALLOC = 1;

function endpointOf(node: number): NodeEndpoint {
  const podAddresses = Array.from({ length: podsPerNode }, (_, i) => formatAddress(firstPod + node * podsPerNode + i));
  const tunnelAddress = formatAddress(firstNode + node);
  const overlayAddress = formatAddress(firstOverlay + node);
  return {
    metadata: { name: `node-${node}` },
    spec: { nodeUID: `${node}`, tunnelAddress, overlayAddress, podAddresses },
  };
}

/** All nodes and this one, which is the list's witness. */
function cluster(): NodeEndpoint[] {
  const others = Array.from({ length: nodeCount }, (_, node) => endpointOf(node));
  return [...others, { metadata: { name: own }, spec: { nodeUID: own, tunnelAddress: '10.28.0.1' } }];
}

async function withMap<T>(work: (map: BpfMap) => Promise<T>): Promise<T> {
  const { keySize, valueSize, maxEntries, name } = maps.clusterPodIps;
  const map = BpfMap.create({ type: 'hash', name, keySize, valueSize, maxEntries, flags: BPF_F_NO_PREALLOC });
  try {
    return await work(map);
  } finally {
    map.close();
  }
}

/** Of CPU, so that what else runs on the machine is not in it; all of the work is of one thread. */
async function timedMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** What the kernel says that a map takes: bytes, in the map's fdinfo. */
function memoryOf(map: BpfMap): number {
  return Number(/^memlock:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${map.fd}`, 'utf8'))?.[1]);
}

interface Filled {
  readonly fillMs: number;
  /** The same list once more: nothing to write. */
  readonly sameMs: number;
  /** A pod more and a pod less. */
  readonly changeMs: number;
  readonly bytesPerPod: number;
}

function fill(endpoints: readonly NodeEndpoint[], changed: readonly NodeEndpoint[]): Promise<Filled> {
  return withMap(async (map) => {
    const emptyBytes = memoryOf(map);
    const fillMs = await timedMs(() => syncClusterPods(map, endpoints, own, () => byTunnel));
    const bytesPerPod = (memoryOf(map) - emptyBytes) / podCount;
    const sameMs = await timedMs(() => syncClusterPods(map, endpoints, own, () => byTunnel));
    const changeMs = await timedMs(async () => {
      const { changes } = await syncClusterPods(map, changed, own, () => byTunnel);
      if (changes !== 2) throw new Error(`a pod that moved in and one that left are ${changes} changes, not 2`);
    });
    return { fillMs, sameMs, changeMs, bytesPerPod };
  });
}

function batch(entries: readonly RawEntry[]): Promise<number> {
  return withMap((map) => timedMs(() => map.updateBatch(entries)));
}

/** The last node has one pod more and its first pod less. */
function withOneChange(endpoints: readonly NodeEndpoint[]): NodeEndpoint[] {
  const last = endpointOf(nodeCount - 1);
  last.spec.podAddresses = [...(last.spec.podAddresses ?? []).slice(1), formatAddress(firstPod + podCount)];
  return endpoints.map((one) => (one.metadata.name === last.metadata.name ? last : one));
}

async function run(order: BenchRun): Promise<BenchResult> {
  const endpoints = cluster();
  const changed = withOneChange(endpoints);
  const entries = [...desiredClusterEntries(endpoints, own).entries.values()].map(encodeClusterPod);
  order.say(`${entries.length} entries of ${nodeCount} nodes, once to warm up`);
  await fill(endpoints, changed);
  await batch(entries);
  const filled: Filled[] = [];
  const ours = async (): Promise<number> => {
    const one = await fill(endpoints, changed);
    filled.push(one);
    return one.fillMs;
  };
  const measured = await interleaved({ ours, batch: () => batch(entries) }, order);
  const of = (field: keyof Filled): number => median(filled.map((one) => one[field]));
  return {
    tables: [
      {
        title: `${podCount} pods on ${nodeCount} other nodes, medians of ${order.rounds} rounds`,
        columns: ['', 'ms of CPU'],
        rows: [
          ['from NodeEndpoints into an empty map', median(measured.ours)],
          ['the same entries by bare batches', median(measured.batch)],
          ['the same NodeEndpoints once more, nothing to write', of('sameMs')],
          ['with one pod more and one less, two writes', of('changeMs')],
        ],
      },
    ],
    ratios: {
      fill100k_vs_batch: {
        value: pairedRatio(measured.ours, measured.batch),
        aim: { atMost: 3 },
        of: 'from objects to the kernel / bare batches of entries encoded beforehand',
      },
    },
    figures: {
      bytes_per_remote_pod: {
        value: Math.round(of('bytesPerPod')),
        of: "bytes of the node's kernel for each pod of another node",
      },
    },
  };
}

export const bench: Bench = {
  name: 'sync',
  about: "a big cluster's addresses from objects into the kernel, against bare batches of the same entries",
  defaultRounds: 7,
  run,
};
