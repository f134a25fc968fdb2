// SPDX-License-Identifier: Apache-2.0
// Programs at the clsact qdisc as direct-action filters. Attaching one waits for no grace period of the kernel (0.7 ms
// with the qdisc, where a tcx link takes 8 ms), and one is replaced with no packet between old and new.
import { NetlinkError } from '../errors.ts';
import { Attributes, Message, messageFlags, writeFlags } from './message.ts';
import type { RouteSocket } from './socket.ts';

const RTM_NEWQDISC = 36;
const RTM_GETQDISC = 38;
const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const BPF = { fd: 6, name: 7, flags: 8, id: 11 } as const;
const TCA_BPF_FLAG_ACT_DIRECT = 1;
const TC_H_CLSACT = 0xfffffff1;
const CLSACT_HANDLE = 0xffff0000;
/** ETH_P_ALL in network order, as it stands in the low half of `tcm_info`. */
const allProtocolsBe = 0x0300;
const parents = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const;
const fixedSize = 36;

export type FilterDirection = keyof typeof parents;

export interface Filter {
  /** Lower runs first. */
  priority: number;
  /** Its number within the priority. */
  handle: number;
  name: string;
  /** 0 where the kernel does not say. */
  programId: number;
}

export interface FilterSpec {
  priority: number;
  handle: number;
  name: string;
  program: { fd: number };
}

/** Makes the qdisc on which filters hang, unless it is there. Throws when an `ingress` qdisc has its place. */
export function ensureClsact(socket: RouteSocket, index: number): void {
  const message = new Message(`create clsact of device ${index}`, RTM_NEWQDISC, messageFlags.ack | writeFlags.add);
  fixed(message, index, CLSACT_HANDLE, TC_H_CLSACT, 0).attribute(TCA_KIND, 'clsact');
  try {
    socket.change(message);
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.code !== 'EEXIST') throw error;
    const kind = qdiscAtClsact(socket, index);
    if (kind === 'clsact') return;
    const cure = `its place is taken by qdisc '${kind}': tc qdisc del dev <device> ${kind}`;
    throw new NetlinkError(error.call, error.errno, error.extAck, cure);
  }
}

function qdiscAtClsact(socket: RouteSocket, index: number): string {
  const make = () => fixed(new Message('list qdiscs', RTM_GETQDISC, messageFlags.dump), index, 0, 0, 0);
  const found = socket
    .dump(make)
    .find((bytes) => bytes.readInt32LE(20) === index && bytes.readUInt32LE(28) === TC_H_CLSACT);
  return found === undefined ? 'none' : new Attributes(found, fixedSize).text(TCA_KIND);
}

/** The eBPF filters of a device in the order in which they run; none where it has no clsact qdisc, or is gone. */
export function listFilters(socket: RouteSocket, index: number, direction: FilterDirection): Filter[] {
  const make = () =>
    fixed(
      new Message(`list filters of device ${index}`, RTM_GETTFILTER, messageFlags.dump),
      index,
      0,
      parents[direction],
      0,
    );
  return socket.dump(make).flatMap(parseFilter);
}

/** Adds the filter with that priority and handle, or replaces its program in place. Needs `ensureClsact` before. */
export function replaceFilter(socket: RouteSocket, index: number, direction: FilterDirection, spec: FilterSpec): void {
  const { priority, handle, name, program } = spec;
  const purpose = `replace filter ${name} (${direction}, priority ${priority}, handle ${handle}) of device ${index}`;
  const message = new Message(purpose, RTM_NEWTFILTER, messageFlags.ack | writeFlags.createOrChange);
  fixed(message, index, handle, parents[direction], info(priority))
    .attribute(TCA_KIND, 'bpf')
    .attribute(TCA_OPTIONS, () => {
      message.attribute(BPF.fd, program.fd).attribute(BPF.name, name).attribute(BPF.flags, TCA_BPF_FLAG_ACT_DIRECT);
    });
  socket.change(message);
}

/** Throws NetlinkError ENOENT when there is no such filter. */
export function deleteFilter(
  socket: RouteSocket,
  index: number,
  direction: FilterDirection,
  priority: number,
  handle: number,
): void {
  const purpose = `delete filter (${direction}, priority ${priority}, handle ${handle}) of device ${index}`;
  const message = new Message(purpose, RTM_DELTFILTER, messageFlags.ack);
  socket.change(fixed(message, index, handle, parents[direction], info(priority)).attribute(TCA_KIND, 'bpf'));
}

function info(priority: number): number {
  return ((priority << 16) | allProtocolsBe) >>> 0;
}

/** struct tcmsg. */
function fixed(message: Message, index: number, handle: number, parent: number, filterInfo: number): Message {
  return message.u8(0, 0).u16(0).u32(index, handle, parent, filterInfo);
}

function parseFilter(bytes: Buffer): Filter[] {
  const attributes = new Attributes(bytes, fixedSize);
  const handle = bytes.readUInt32LE(24);
  // Each priority is also listed by itself, without a handle.
  if (handle === 0 || attributes.text(TCA_KIND) !== 'bpf') return [];
  const options = attributes.nested(TCA_OPTIONS);
  const priority = bytes.readUInt32LE(32) >>> 16;
  return [{ priority, handle, name: options.text(BPF.name), programId: options.u32(BPF.id) }];
}
