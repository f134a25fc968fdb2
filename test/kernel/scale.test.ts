// SPDX-License-Identifier: Apache-2.0
// The maps of a big cluster: 5,000 nodes with 150,000 pods, from objects to the kernel. How fast is the bench's matter.
import type { BpfMap } from 'ebpf-native';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { formatAddress, parseAddress } from '../../src/ip/address.ts';
import { ClusterChanges } from '../../src/datapath/cluster-changes.ts';
import { byTunnel } from '../../src/datapath/way.ts';
import { syncClusterPods, writeClusterPods } from '../../src/node/maps.ts';
import { DatapathObject } from './datapath-object.ts';

const [nodeCount, podsPerNode] = [5000, 30];
const after = (first: string, by: number): string => formatAddress(parseAddress(first) + by);

function endpoint(index: number): NodeEndpoint {
  const first = index * podsPerNode;
  return {
    metadata: { name: `node-${index}` },
    spec: {
      nodeUID: `uid-${index}`,
      tunnelAddress: after('172.16.0.1', index),
      overlayAddress: after('10.244.224.0', index),
      podAddresses: Array.from({ length: podsPerNode }, (_, pod) => after('10.0.0.0', first + pod)),
    },
  };
}

const endpoints = Array.from({ length: nodeCount }, (_, index) => endpoint(index));
let datapath: DatapathObject;
let map: BpfMap;

beforeAll(async () => {
  datapath = await DatapathObject.load();
  map = datapath.object.map('cluster_pod_ips');
});

afterAll(() => {
  datapath?.close();
});

/** All addresses but the own node's. */
const entries = (nodeCount - 1) * (podsPerNode + 1);

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

it('takes every pod and node, in batches and not one by one', async () => {
  const single = vi.spyOn(map, 'update');
  expect(await syncClusterPods(map, endpoints, 'node-0')).toEqual({ changes: entries, entries, refused: [] });
  expect(single).not.toHaveBeenCalled();
  expect([...map.entries()]).toHaveLength(entries);
});

it('writes nothing more when nothing changed', async () => {
  expect((await syncClusterPods(map, endpoints, 'node-0')).changes).toBe(0);
});

it('lets others have their turns meanwhile, such as an ADD', async () => {
  let [lastMs, longestMs, isDone] = [performance.now(), 0, false];
  const turn = (): void => {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
    if (!isDone) setImmediate(turn);
  };
  turn();
  await syncClusterPods(map, endpoints, 'node-0');
  const wholeMs = await timed(() => syncClusterPods(map, endpoints, 'node-0'));
  isDone = true;
  turn();
  expect(longestMs).toBeLessThan(wholeMs / 4);
});

it('knows what changed from the lists alone, and writes that', async () => {
  const changes = new ClusterChanges('node-0');
  changes.remember(endpoints, () => byTunnel);
  const walked = vi.spyOn(map, 'pieces');
  const [node] = endpoints.slice(7, 8);
  if (node === undefined) throw new Error('there is no such node');
  const came = { ...node, spec: { ...node.spec, podAddresses: [...(node.spec.podAddresses ?? []), '10.9.0.1'] } };
  const next = endpoints.with(7, came);
  const difference = changes.next(next, () => byTunnel);
  expect(difference && writeClusterPods(map, difference)).toBe(1);
  expect(changes.entries).toBe(entries + 1);
  const back = changes.next(endpoints, () => byTunnel);
  expect(back && writeClusterPods(map, back)).toBe(1);
  expect(walked).not.toHaveBeenCalled();
  walked.mockRestore();
  expect((await syncClusterPods(map, endpoints, 'node-0')).changes).toBe(0);
});

it('writes a moved pod once, and an ended one once', async () => {
  const [from, to] = [endpoints[1], endpoints[2]];
  if (from === undefined || to === undefined) throw new Error('there are no such nodes');
  const [moved, ended, ...rest] = from.spec.podAddresses ?? [];
  endpoints[1] = { ...from, spec: { ...from.spec, podAddresses: rest } };
  endpoints[2] = { ...to, spec: { ...to.spec, podAddresses: [...(to.spec.podAddresses ?? []), moved ?? ''] } };
  expect(ended).toBe('10.0.0.31');
  expect(await syncClusterPods(map, endpoints, 'node-0')).toMatchObject({ changes: 2, entries: entries - 1 });
});
