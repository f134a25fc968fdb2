// SPDX-License-Identifier: Apache-2.0
// The eBPF programs and their pinned maps. A new agent adopts the maps and puts its programs in the place of the old
// ones, each by one atomic exchange, so that no packet meets a moment without a program.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BpfMap, BpfObject, type BpfProgram, deleteFilter, type Filter, isBpffs, listFilters } from 'ebpf-native';
import { maps } from '../datapath/generated/layout.ts';
import { isLayoutFolder, mapPins, pinFolder } from '../datapath/pins.ts';
import { filterHandle, filterPriority } from './constants.ts';
import type { Host } from './host.ts';

export interface Datapath {
  readonly localPods: BpfMap;
  readonly clusterPods: BpfMap;
  readonly localDev: BpfMap;
  readonly counters: BpfMap;
  readonly fromPod: BpfProgram;
  readonly toOverlay: BpfProgram;
  readonly fromOverlay: BpfProgram;
  readonly fromUplink: BpfProgram;
  /** All maps, by the path of their pins. */
  readonly pins: ReadonlyMap<string, BpfMap>;
  /** Where the links of limited wires are pinned: under the host veths' names, whatever the maps' layout. */
  readonly wirePins: string;
}

/**
 * Loads the object file with its maps pinned below `folder`; pins that are there are adopted with what is in them.
 * @throws Error where `folder` is in no bpffs, SysError with the verifier's words
 */
export function loadDatapath(objectFile: string, folder: string, version?: number): Datapath {
  if (!isBpffs(dirname(folder))) {
    throw new Error(`${dirname(folder)} is no bpffs, so maps cannot outlive the agent; mount -t bpf bpf /sys/fs/bpf`);
  }
  mkdirSync(pinFolder(folder, version), { recursive: true });
  const pinPaths = mapPins(folder, version);
  const object = BpfObject.open(objectFile, { pinPaths });
  return {
    localPods: object.map(maps.localPodIps.name),
    clusterPods: object.map(maps.clusterPodIps.name),
    localDev: object.map(maps.localDev.name),
    counters: object.map(maps.counters.name),
    fromPod: object.program('from_pod'),
    toOverlay: object.program('to_overlay'),
    fromOverlay: object.program('from_overlay'),
    fromUplink: object.program('from_uplink'),
    pins: new Map(Object.entries(pinPaths).map(([name, path]) => [path, object.map(name)])),
    wirePins: join(folder, 'wires'),
  };
}

/** Pins again what somebody unpinned, or the next start would begin with empty maps. Answers how many. */
export function ensureMapPins({ pins }: Datapath): number {
  const lost = [...pins].filter(([path]) => !existsSync(path));
  for (const [path, map] of lost) map.pin(path);
  return lost.length;
}

/**
 * Takes away the pins of other builds' layouts, older or newer. Only right once this build's programs hang everywhere:
 * until then the former ones work on, with the maps that they know.
 */
export function removeOtherLayouts(folder: string, version?: number): number {
  const own = pinFolder(folder, version);
  const others = readdirSync(folder).filter((name) => isLayoutFolder(name) && join(folder, name) !== own);
  for (const name of others) rmSync(join(folder, name), { recursive: true });
  return others.length;
}

/** Whether a filter stands where we put ours. */
export function isInPlace(one: Filter): boolean {
  return one.priority === filterPriority && one.handle === filterHandle;
}

/** Takes away filters of our name that stand elsewhere: a packet must not be judged twice. Answers how many. */
export function removeStrayFilters(host: Host, ifindex: number, direction: 'ingress' | 'egress', name: string): number {
  const strays = listFilters(host.socket, ifindex, direction).filter((one) => one.name === name && !isInPlace(one));
  for (const { priority, handle } of strays) deleteFilter(host.socket, ifindex, direction, priority, handle);
  return strays.length;
}
