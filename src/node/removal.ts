// SPDX-License-Identifier: Apache-2.0
// Takes everything of Fast off a node, for good: what `fast-ctl uninstall` asks each agent for. Pods that run lose their
// network. It looks at the kernel and at the files alone, so it also clears away what no agent knows of.
import { existsSync, globSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  BpfLink,
  deleteFilter,
  deleteGroupAsync,
  deleteLinkAsync,
  deleteLink,
  deleteRoute,
  findLink,
  type Link,
  listFilters,
  listLinks,
  listRoutes,
  setLink,
} from 'ebpf-native';
import { vxlanDevice } from '../api/names.ts';
import { isHostVethName } from '../wiring/wire.ts';
import { type CniPaths, removeCni } from './cni-install.ts';
import { filterHandle, filterPriority, leavingGroup, routeProtocol } from './constants.ts';
import { type Host, isGone, runProgram } from './host.ts';
import { removeHostFiles } from './host-files.ts';

export interface RemovalPlaces {
  readonly host: Host;
  readonly pinFolder: string;
  readonly cni: CniPaths;
  /** The host's /run. */
  readonly hostRun: string;
}

interface Removal {
  readonly what: string;
  readonly run: () => Promise<void> | void;
}

/** What could not be taken away, each with the reason; empty when nothing is left. One that fails stops no other. */
export async function removeFromNode(places: RemovalPlaces): Promise<string[]> {
  const problems: string[] = [];
  for (const { what, run } of removals(places)) {
    try {
      await run();
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return problems;
}

/** The configuration first: from then on the runtime starts no pod here. Pins last: they hold what still carries traffic. */
function removals({ host, pinFolder, cni, hostRun }: RemovalPlaces): Removal[] {
  return [
    { what: 'CNI files', run: () => removeCni(cni) },
    { what: 'wires', run: () => removeWires(host) },
    { what: `device ${vxlanDevice}`, run: () => removeDevice(host) },
    { what: 'routes', run: () => removeRoutes(host) },
    { what: 'masquerading rules', run: () => removeTable(host) },
    { what: 'filters', run: () => removeFilters(host) },
    { what: 'files for udev, networkd and NetworkManager', run: () => removeHostFiles(hostRun) },
    { what: 'links', run: () => detachLinks(pinFolder) },
    { what: `pins in ${pinFolder}`, run: () => rmSync(pinFolder, { recursive: true, force: true }) },
    // The folder itself is where a volume of the agent's pod is mounted.
    { what: 'socket', run: () => removeSocket(cni.socket) },
  ];
}

function isWire(link: Link): boolean {
  return link.kind === 'veth' && isHostVethName(link.name);
}

/** All as one group, so that they share the grace periods of the kernel that each deletion waits for. */
async function removeWires(host: Host): Promise<void> {
  const wires = (): Link[] => listLinks(host.socket).filter(isWire);
  for (const { index } of wires()) await passing(() => setLink(host.socket, index, { group: leavingGroup }));
  await deleteGroupAsync(host.socket, leavingGroup).catch(() => undefined);
  // Where the kernel would not have the group.
  for (const { index } of wires()) await passing(() => deleteLinkAsync(host.socket, index));
}

/** A wire whose pod's namespace goes at this moment goes along. */
async function passing(work: () => Promise<void> | void): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Its addresses, routes, neighbours and programs go with it. */
function removeDevice(host: Host): void {
  const link = findLink(host.socket, { name: vxlanDevice });
  if (link !== undefined) deleteLink(host.socket, link.index);
}

function removeRoutes(host: Host): void {
  for (const route of listRoutes(host.socket, { protocol: routeProtocol })) deleteRoute(host.socket, route);
}

async function removeTable(host: Host): Promise<void> {
  // Declared first, since deleting a table that is not there is an error.
  const { code, stderr } = await runProgram(host, ['nft', '-f', '-'], 'table ip fast\ndelete table ip fast\n');
  if (code !== 0) throw new Error(stderr.trim());
}

/** Ours on devices that stay, such as the uplink's where the kernel has no tcx. */
function removeFilters(host: Host): void {
  for (const { index } of listLinks(host.socket)) {
    for (const direction of ['ingress', 'egress'] as const) {
      const isOurs = filtersOf(host, index, direction).some(
        (one) => one.priority === filterPriority && one.handle === filterHandle,
      );
      if (isOurs) deleteFilter(host.socket, index, direction, filterPriority, filterHandle);
    }
  }
}

/** An agent that still runs holds them open, so that without their pins they would live until its end. */
function detachLinks(pinFolder: string): void {
  for (const pin of globSync(join(pinFolder, '*/link_*'))) {
    const link = BpfLink.openPinned(pin);
    link.detach();
    link.close();
  }
}

/** A device without a clsact qdisc has none, which the kernel answers as an error. */
function filtersOf(host: Host, index: number, direction: 'ingress' | 'egress') {
  try {
    return listFilters(host.socket, index, direction);
  } catch {
    return [];
  }
}

function removeSocket(path: string): void {
  if (existsSync(dirname(path))) rmSync(path, { force: true });
}
