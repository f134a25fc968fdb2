// SPDX-License-Identifier: Apache-2.0
// Each map of the datapath as rows: which fields, in which columns, in which order.
import { decodeClusterPod, decodeCounters, decodeLocalDev, decodeLocalPod } from '../datapath/codecs.ts';
import type { RawEntry } from '../datapath/codecs.ts';
import { maps } from '../datapath/generated/layout.ts';
import { parseAddress } from '../ip/address.ts';
import type { Column, Row } from './table.ts';

export interface MapView {
  name: string;
  columns: Column[];
  rows: (entries: RawEntry[]) => Row[];
}

/** 10.0.0.9 before 10.0.0.10, which the order of texts would not give. */
function byAddress<T extends { address: string }>(entries: T[]): T[] {
  return entries.toSorted((a, b) => parseAddress(a.address) - parseAddress(b.address));
}

export const mapViews: readonly MapView[] = [
  {
    name: maps.localPodIps.name,
    columns: [
      { title: 'ADDRESS', field: 'address' },
      { title: 'IFINDEX', field: 'ifindex' },
      { title: 'POD-MAC', field: 'podMac' },
      { title: 'HOST-MAC', field: 'hostMac' },
      { title: 'STACK-ONLY', field: 'stackOnly' },
    ],
    rows: (entries) => byAddress(entries.map(decodeLocalPod)).map((entry) => ({ ...entry })),
  },
  {
    name: maps.clusterPodIps.name,
    columns: [
      { title: 'ADDRESS', field: 'address' },
      { title: 'NODE-ADDRESS', field: 'nodeAddress' },
      { title: 'DIRECT', field: 'direct' },
      { title: 'ADJACENT', field: 'adjacent' },
    ],
    rows: (entries) => byAddress(entries.map(decodeClusterPod)).map((entry) => ({ ...entry })),
  },
  {
    name: maps.localDev.name,
    columns: [
      { title: 'OVERLAY-ADDRESS', field: 'overlayAddress' },
      { title: 'OVERLAY-MTU', field: 'overlayMtu' },
      { title: 'UPLINK-MTU', field: 'uplinkMtu' },
      { title: 'VXLAN-IFINDEX', field: 'vxlanIfindex' },
      { title: 'UPLINK-IFINDEX', field: 'uplinkIfindex' },
      { title: 'FAST-PATH', field: 'fastPath' },
    ],
    rows: (entries) => entries.map(decodeLocalDev).map((entry) => ({ ...entry })),
  },
  {
    name: maps.counters.name,
    columns: [
      { title: 'COUNTER', field: 'name' },
      { title: 'PACKETS', field: 'packets' },
      { title: 'DROP', field: 'drop' },
      { title: 'MEANING', field: 'meaning' },
    ],
    // A double counts to 9e15 packets exactly, a century at 2.8 million a second.
    rows: (entries) => decodeCounters(entries).map((reading) => ({ ...reading, packets: Number(reading.packets) })),
  },
];
