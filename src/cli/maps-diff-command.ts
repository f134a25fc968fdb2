// SPDX-License-Identifier: Apache-2.0
// `fast-ctl maps diff`: the maps as the API server's objects want them, against the maps of the kernel.
import { Command } from 'commander';
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { decodeClusterPod, decodeLocalDev, decodeLocalPod, type RawEntry } from '../datapath/codecs.ts';
import { desiredClusterEntries } from '../datapath/desired.ts';
import type { ClusterPodEntry, LocalPodEntry } from '../datapath/entries.ts';
import { maps } from '../datapath/generated/layout.ts';
import { allOfOurs, endpointKind, recordKind } from './kinds.ts';
import { formatRows, type OutputFormat } from './output.ts';
import type { ReadMap } from './pinned-maps.ts';
import { type Cluster, type ClusterChoice, Ended, type Surroundings } from './surroundings.ts';
import type { Column, Row } from './table.ts';
import { colours, plain } from './tones.ts';

const columns: Column[] = [
  { title: 'MAP', field: 'map' },
  { title: 'ADDRESS', field: 'address' },
  { title: 'DIFFERENCE', field: 'difference', tone: () => 'bad' },
  { title: 'DESIRED', field: 'desired' },
  { title: 'KERNEL', field: 'kernel' },
];

type Entries = ReadonlyMap<string, string>;

/** By address, a word on each side of what the address should have and has. */
export function differences(map: string, desired: Entries, kernel: Entries): Row[] {
  const missing = [...desired].flatMap(([address, wanted]): Row[] => {
    const found = kernel.get(address);
    if (found === wanted) return [];
    return [{ map, address, difference: found === undefined ? 'missing' : 'differs', desired: wanted, kernel: found }];
  });
  const stray = [...kernel].filter(([address]) => !desired.has(address));
  return [...missing, ...stray.map(([address, found]) => ({ map, address, difference: 'stray', kernel: found }))];
}

const clusterWord = ({ nodeAddress }: ClusterPodEntry): string => `node ${nodeAddress}`;

function byAddress<E extends { address: string }>(entries: Iterable<E>, word: (entry: E) => string): Entries {
  return new Map(Array.from(entries, (entry) => [entry.address, word(entry)]));
}

/** Which node this is: the kernel knows its overlay address, and the API server whose that is. */
export function ownEndpoint(endpoints: readonly NodeEndpoint[], localDev: readonly RawEntry[]): NodeEndpoint {
  const overlay = localDev.map(decodeLocalDev)[0]?.overlayAddress ?? 'none';
  const own = endpoints.find(({ spec }) => spec.overlayAddress === overlay);
  if (own !== undefined) return own;
  throw new Error(
    `this machine's overlay address is ${overlay} and no NodeEndpoint of the cluster has it; is the kubeconfig another cluster's?`,
  );
}

/** Who has a wire here by the records: the agent has said so, and has not said since that it is gone. */
function wired(records: readonly IpAllocation[], node: string): IpAllocation[] {
  return records.filter(({ spec, status }) => {
    if (spec.nodeName !== node || spec.owner.kind !== 'Pod') return false;
    return status?.attached?.owner.uid === spec.owner.uid && status.released?.owner.uid !== spec.owner.uid;
  });
}

/** Who may have a wire here: an agent tells of a new one in a calm moment, up to ten seconds later. */
function untold(records: readonly IpAllocation[], node: string): ReadonlySet<string> {
  const bound = records.filter(({ spec, status }) => {
    return spec.nodeName === node && spec.state === 'Bound' && status?.attached?.owner.uid !== spec.owner.uid;
  });
  return new Set(bound.map(({ spec }) => spec.address));
}

async function compare(read: ReadMap, cluster: Pick<Cluster, 'list'>, s: Surroundings): Promise<Row[]> {
  const endpoints = await allOfOurs(cluster, endpointKind);
  const own = ownEndpoint(endpoints, await read(maps.localDev.name)).metadata.name;
  const { entries } = desiredClusterEntries(endpoints, own);
  const remote = (await read(maps.clusterPodIps.name)).map(decodeClusterPod);
  const clusterRows = differences(
    maps.clusterPodIps.name,
    byAddress(entries.values(), clusterWord),
    byAddress(remote, clusterWord),
  );
  const { items: records } = await cluster.list(recordKind, { fieldSelector: `spec.nodeName=${own}` });
  const wires = new Map(
    wired(records, own).map(({ spec, status }) => [spec.address, status?.attached?.interface ?? '']),
  );
  const mayBe = untold(records, own);
  const local = (await read(maps.localPodIps.name)).map(decodeLocalPod).filter(({ address }) => !mayBe.has(address));
  const deviceWord = ({ ifindex }: LocalPodEntry): string => s.deviceName(ifindex) ?? `device ${ifindex}`;
  return [...differences(maps.localPodIps.name, wires, byAddress(local, deviceWord)), ...clusterRows];
}

export function mapsDiffCommand(s: Surroundings): Command {
  return new Command('diff')
    .description("how the kernel's maps differ from what the API server's objects want; exit code 1 where they do")
    .action(async (options: { output: OutputFormat; pinFolder: string }, command: Command) => {
      const cluster = await s.cluster(command.optsWithGlobals<ClusterChoice>());
      const rows = await compare(s.openMaps(options.pinFolder), cluster, s);
      const nothing = 'no difference';
      s.print(formatRows(columns, rows, options.output, { nothing, paint: s.isColourful ? colours : plain }));
      if (rows.length > 0) throw new Ended(1);
    });
}
