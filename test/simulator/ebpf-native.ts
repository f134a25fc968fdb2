// SPDX-License-Identifier: Apache-2.0
// Stands in the place of packages/ebpf-native while a simulation runs, with the calls that the agent's wires are made
// by: the agent above it is the real one, the kernel below it is kernel.ts.
import { filterHandle, filterName, filterPriority } from '../../src/node/constants.ts';
import { changes, type ModelLink, mounted, type Space } from './kernel.ts';

const numbers = { ENOENT: 2, EEXIST: 17, ENODEV: 19 } as const;

export class SysError extends Error {
  readonly code: keyof typeof numbers;
  readonly errno: number;

  constructor(call: string, code: keyof typeof numbers) {
    super(`${call}: ${code}`);
    this.code = code;
    this.errno = numbers[code];
  }
}

export class NetlinkError extends SysError {}

export class Netns {
  readonly space: Space;
  readonly inode: bigint;
  readonly path: string;

  constructor(space: Space, path: string) {
    this.space = space;
    this.inode = space.inode;
    this.path = path;
  }

  static open(path: string): Netns {
    const space = mounted.get(path);
    if (space === undefined) throw new SysError(`open namespace ${path}`, 'ENOENT');
    return new Netns(space, path);
  }

  static current(): Netns {
    throw new Error('a simulated machine is entered by name');
  }

  /** What is run inside reads and writes /proc, or starts programs: there is neither. */
  run(): undefined {
    return undefined;
  }

  close(): void {}
}

export class RouteSocket {
  readonly space: Space;

  private constructor(space: Space) {
    this.space = space;
  }

  static open(netns: Netns): RouteSocket {
    return new RouteSocket(netns.space);
  }

  close(): void {}
}

type By = { name: string } | { index: number };

export function listLinks({ space }: RouteSocket): ModelLink[] {
  space.gate();
  return [...space.links.values()].map((link) => ({ ...link }));
}

export function findLink({ space }: RouteSocket, by: By): ModelLink | undefined {
  space.gate();
  const link = 'index' in by ? space.links.get(by.index) : space.find(by.name);
  return link === undefined ? undefined : { ...link };
}

interface End {
  name: string;
  mac?: string;
  mtu?: number;
}

export function createVeth({ space }: RouteSocket, spec: End & { alias?: string; peer: End & { netns: Netns } }): void {
  space.gate();
  const inner = spec.peer.netns.space;
  for (const [where, name] of [
    [space, spec.name],
    [inner, spec.peer.name],
  ] as const) {
    if (where.find(name) !== undefined) throw new NetlinkError(`create veth ${name}`, 'EEXIST');
  }
  const end = ({ name, mac = '', mtu = 1500 }: End, alias = '') => ({ name, mac, mtu, alias, kind: 'veth' });
  const host = space.add(end(spec, spec.alias));
  const pod = inner.add(end(spec.peer));
  host.peer = { space: inner, index: pod.index };
  pod.peer = { space, index: host.index };
}

export function deleteLink({ space }: RouteSocket, index: number): void {
  space.gate();
  if (!space.links.has(index)) throw new NetlinkError(`delete device ${index}`, 'ENODEV');
  space.remove(index);
}

export function deleteLinkAsync({ space }: RouteSocket, index: number): Promise<void> {
  const asksStill = space.gate();
  return new Promise((resolve, reject) => {
    space.defer(() => {
      const isThere = space.links.has(index);
      space.remove(index);
      if (!asksStill()) return;
      if (isThere) resolve();
      else reject(new NetlinkError(`delete device ${index}`, 'ENODEV'));
    });
  });
}

export function deleteGroupAsync({ space }: RouteSocket, group: number): Promise<void> {
  const asksStill = space.gate();
  return new Promise((resolve, reject) => {
    space.defer(() => {
      const members = [...space.links.values()].filter((link) => link.group === group);
      for (const { index } of members) space.remove(index);
      if (!asksStill()) return;
      if (members.length > 0) resolve();
      else reject(new NetlinkError(`delete group ${group}`, 'ENODEV'));
    });
  });
}

type Change = Partial<Pick<ModelLink, 'up' | 'mtu' | 'mac' | 'alias' | 'group'>>;

export function setLink({ space }: RouteSocket, index: number, change: Change): void {
  space.gate();
  const link = space.links.get(index);
  if (link === undefined) throw new NetlinkError(`change device ${index}`, 'ENODEV');
  changes.count += 1;
  Object.assign(link, change);
}

export function listAddresses({ space }: RouteSocket, index: number): Array<{ address: string }> {
  space.gate();
  return [...(space.addresses.get(index) ?? [])].map((address) => ({ address }));
}

export function addAddress({ space }: RouteSocket, { index, address }: { index: number; address: string }): void {
  space.gate();
  const present = space.addresses.get(index) ?? new Set();
  space.addresses.set(index, present.add(address));
}

interface RouteSpec {
  destination: string;
  prefixLength: number;
  index: number;
  source?: string;
  protocol?: number;
  table?: number;
}

const RTPROT_STATIC = 4;
const RT_TABLE_MAIN = 254;

export function replaceRoute({ space }: RouteSocket, spec: RouteSpec): void {
  space.gate();
  const { destination, prefixLength, index, source, protocol = RTPROT_STATIC, table = RT_TABLE_MAIN } = spec;
  space.routes = space.routes.filter((one) => one.destination !== destination || one.prefixLength !== prefixLength);
  space.routes.push({ destination, prefixLength, index, source, protocol, table });
}

export const addRoute = replaceRoute;

export function deleteRoute({ space }: RouteSocket, { destination, index }: RouteSpec): void {
  space.gate();
  space.routes = space.routes.filter((one) => one.destination !== destination || one.index !== index);
}

export function listRoutes(
  { space }: RouteSocket,
  by: { index?: number; protocol?: number; table?: number } = {},
): Space['routes'] {
  space.gate();
  const { index, protocol, table } = by;
  return space.routes.filter(
    (one) =>
      one.index === (index ?? one.index) &&
      one.protocol === (protocol ?? one.protocol) &&
      one.table === (table ?? one.table),
  );
}

export function replaceNeighbour(
  { space }: RouteSocket,
  { index, address, mac }: { index: number; address: string; mac: string },
): void {
  space.gate();
  space.neighbours = space.neighbours.filter((one) => one.index !== index || one.address !== address);
  space.neighbours.push({ index, address, mac });
}

export function listNeighbours({ space }: RouteSocket, index?: number): Array<object> {
  space.gate();
  return space.neighbours
    .filter((one) => one.index === (index ?? one.index))
    .map((one) => ({ ...one, state: 'permanent' }));
}

export function ensureClsact({ space }: RouteSocket): void {
  space.gate();
}

export function replaceFilter(
  { space }: RouteSocket,
  index: number,
  _direction: string,
  { program }: { program: { id: number } },
): void {
  space.gate();
  const link = space.links.get(index);
  if (link !== undefined) link.programId = program.id;
}

/** Here nobody else hangs filters anywhere. */
export function listFilters({ space }: RouteSocket, index: number): Array<object> {
  space.gate();
  const programId = space.links.get(index)?.programId ?? 0;
  return programId === 0 ? [] : [{ priority: filterPriority, handle: filterHandle, name: filterName, programId }];
}

export function countFlows({ space }: RouteSocket): number {
  space.gate();
  return 0;
}

/** There are no flows to forget. */
export function deleteFlows({ space }: RouteSocket): Promise<void> {
  space.gate();
  return Promise.resolve();
}
