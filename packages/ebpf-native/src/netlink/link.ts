// SPDX-License-Identifier: Apache-2.0
// Network devices: listed, made as veth pairs or as a VXLAN without fixed peers, changed, deleted.
import { NetlinkError } from '../errors.ts';
import type { Netns } from '../netns.ts';
import { Attributes, Message, macBytes, macText, messageFlags, writeFlags } from './message.ts';
import type { RouteSocket } from './socket.ts';

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const IFF_UP = 1;
const IFF_NOARP = 0x80;
/** Attributes of a device (include/uapi/linux/if_link.h). */
const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  operState: 16,
  linkInfo: 18,
  alias: 20,
  group: 27,
  netnsFd: 28,
  txQueues: 31,
  rxQueues: 32,
  netnsId: 37,
} as const;
const INFO_KIND = 1;
const INFO_DATA = 2;
const VETH_PEER = 1;
const VXLAN = { id: 1, learning: 7, port: 15, udpChecksum: 18, zero6Tx: 19, zero6Rx: 20, collectMetadata: 25 } as const;
const fixedSize = 32;
/** IF_OPER_* (include/uapi/linux/if.h), by number. */
const operStates = ['unknown', 'notPresent', 'down', 'lowerLayerDown', 'testing', 'dormant', 'up'] as const;

export interface Link {
  index: number;
  name: string;
  /** `veth`, `vxlan`, `bridge`; empty for a device without a kind, such as `lo`. */
  kind: string;
  mac: string;
  /** Bytes. */
  mtu: number;
  /** Set up by somebody, whether or not anything passes yet. */
  up: boolean;
  /** RFC 2863. Before `up` the kernel throws away what a device with a carrier is to send. */
  operState: (typeof operStates)[number];
  alias: string;
  /** IFLA_LINK: the index of a veth's other end, in that end's namespace; 0 for none. */
  peerIndex: number;
  /** The other end's namespace as numbered by this one; -1 for the same one, or none. */
  netnsId: number;
  arp: boolean;
  vxlan?: { id: number; port: number; collectMetadata: boolean };
}

export interface VethSpec {
  name: string;
  mac?: string | undefined;
  mtu?: number | undefined;
  alias?: string | undefined;
  /** The other end, made in its namespace: moving it there later would cost 16 ms. */
  peer: { name: string; mac?: string | undefined; mtu?: number | undefined; netns: Netns };
}

export interface VxlanSpec {
  name: string;
  port: number;
  mac?: string | undefined;
  mtu?: number | undefined;
}

export interface LinkChange {
  up?: boolean | undefined;
  mtu?: number | undefined;
  mac?: string | undefined;
  alias?: string | undefined;
  /** A number that devices are known by together; 0 unless somebody gave another. */
  group?: number | undefined;
  arp?: boolean | undefined;
}

export function listLinks(socket: RouteSocket): Link[] {
  return socket.dump(() => start('list devices', RTM_GETLINK, messageFlags.dump)).map(parseLink);
}

/** Since Linux 6.8 the kernel brings a device's state up to date before it answers (linkwatch_sync_dev in rtnl_getlink). */
export function findLink(socket: RouteSocket, by: { name: string } | { index: number }): Link | undefined {
  const [index, name] = 'index' in by ? [by.index, undefined] : [0, by.name];
  const message = start(`find device ${name ?? index}`, RTM_GETLINK, 0, index).attribute(IFLA.name, name);
  const found = socket.get(message, ['ENODEV']);
  return found && parseLink(found);
}

/** Makes a pair with both ends in place. Throws NetlinkError EEXIST when either name is taken. */
export function createVeth(socket: RouteSocket, spec: VethSpec): void {
  const { name, peer } = spec;
  const message = start(`create veth ${name} with peer ${peer.name}`, RTM_NEWLINK, messageFlags.ack | writeFlags.add);
  oneQueue(describe(message, spec)).attribute(IFLA.linkInfo, () => {
    message.attribute(INFO_KIND, 'veth').attribute(INFO_DATA, () => {
      message.attribute(VETH_PEER, () => {
        oneQueue(describe(fixed(message), peer)).attribute(IFLA.netnsFd, peer.netns.fd);
      });
    });
  });
  socket.change(message);
  if (spec.alias === undefined) return;
  // The kernel takes no alias while it makes a device. A pair without it would be one that nobody recognises.
  try {
    change(socket, start(`set alias of ${name}`, RTM_NEWLINK, messageFlags.ack).attribute(IFLA.name, name), spec.alias);
  } catch (error) {
    socket.change(start(`delete veth ${name}`, RTM_DELLINK, messageFlags.ack).attribute(IFLA.name, name));
    throw error;
  }
}

/**
 * A veth uses one queue of each kind. Unless that is said, the kernel makes one for every CPU and then takes the rest away
 * again, which waits for a grace period at either end (veth_init_queues).
 */
function oneQueue(message: Message): Message {
  return message.attribute(IFLA.txQueues, 1).attribute(IFLA.rxQueues, 1);
}

function change(socket: RouteSocket, message: Message, alias: string): void {
  socket.change(message.attribute(IFLA.alias, alias));
}

/** Makes a VXLAN whose tunnel ends are set per packet ("external"), with zero checksums in the outer UDP header. */
export function createVxlan(socket: RouteSocket, spec: VxlanSpec): void {
  const { name, port } = spec;
  const message = start(`create vxlan ${name} on port ${port}`, RTM_NEWLINK, messageFlags.ack | writeFlags.add);
  const portBe = Buffer.alloc(2);
  portBe.writeUInt16BE(port);
  describe(message, spec).attribute(IFLA.linkInfo, () => {
    message.attribute(INFO_KIND, 'vxlan').attribute(INFO_DATA, () => {
      message
        .attribute(VXLAN.id, 0)
        .attribute(VXLAN.collectMetadata, Buffer.from([1]))
        .attribute(VXLAN.learning, Buffer.from([0]))
        .attribute(VXLAN.port, portBe)
        .attribute(VXLAN.udpChecksum, Buffer.from([0]))
        .attribute(VXLAN.zero6Tx, Buffer.from([1]))
        .attribute(VXLAN.zero6Rx, Buffer.from([1]));
    });
  });
  socket.change(message);
}

/** Throws NetlinkError ENODEV for a device that is gone; EADDRINUSE when a VXLAN comes up on a port that is taken. */
export function setLink(socket: RouteSocket, index: number, wanted: LinkChange): void {
  const bits = [
    { bit: IFF_UP, on: wanted.up },
    { bit: IFF_NOARP, on: wanted.arp === undefined ? undefined : !wanted.arp },
  ].filter(({ on }) => on !== undefined);
  const flags = bits.reduce((sum, { bit, on }) => (on ? sum | bit : sum), 0);
  const mask = bits.reduce((sum, { bit }) => sum | bit, 0);
  const message = start(`set device ${index}`, RTM_NEWLINK, messageFlags.ack, index, flags, mask);
  describe(message, { ...wanted, name: undefined })
    .attribute(IFLA.alias, wanted.alias)
    .attribute(IFLA.group, wanted.group);
  try {
    socket.change(message);
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.code !== 'EADDRINUSE') throw error;
    const cure = 'another tunnel or program has the UDP port: ip -d link show type vxlan; ss -lunp';
    throw new NetlinkError(error.call, error.errno, error.extAck, cure);
  }
}

/** Deletes a device; of a veth pair both ends. A veth takes 16-20 ms. Throws NetlinkError ENODEV when it is gone. */
export function deleteLink(socket: RouteSocket, index: number): void {
  socket.change(deletion(index));
}

/** Deletions wait on one kernel lock anyway; one at a time they leave the rest of the thread pool to others. */
let lastDeletion: Promise<void> = Promise.resolve();

/** As `deleteLink`, on a thread of libuv's pool. */
export function deleteLinkAsync(socket: RouteSocket, index: number): Promise<void> {
  // The namespace is taken now: the caller may close its socket before the turn comes.
  const own = socket.clone();
  const deleted = lastDeletion.then(() => own.changeAside(deletion(index))).finally(() => own.close());
  lastDeletion = deleted.catch(() => undefined);
  return deleted;
}

/**
 * Deletes all devices of a group, on a thread of libuv's pool: they share the grace periods that each would wait for
 * alone, and the kernel's lock is held once. Throws NetlinkError ENODEV for a group without devices, EOPNOTSUPP where one
 * of them cannot be deleted.
 */
export function deleteGroupAsync(socket: RouteSocket, group: number): Promise<void> {
  const own = socket.clone();
  const message = start(`delete devices of group ${group}`, RTM_DELLINK, messageFlags.ack).attribute(IFLA.group, group);
  const deleted = lastDeletion.then(() => own.changeAside(message)).finally(() => own.close());
  lastDeletion = deleted.catch(() => undefined);
  return deleted;
}

function deletion(index: number): Message {
  return start(`delete device ${index}`, RTM_DELLINK, messageFlags.ack, index);
}

function start(purpose: string, type: number, flags: number, index = 0, bits = 0, mask = 0): Message {
  return fixed(new Message(purpose, type, flags), index, bits, mask);
}

/** struct ifinfomsg. */
function fixed(message: Message, index = 0, bits = 0, mask = 0): Message {
  return message.u8(0, 0).u16(0).u32(index, bits, mask);
}

interface Description {
  name?: string | undefined;
  mac?: string | undefined;
  mtu?: number | undefined;
}

function describe(message: Message, { name, mac, mtu }: Description): Message {
  return message
    .attribute(IFLA.name, name)
    .attribute(IFLA.address, mac === undefined ? undefined : macBytes(mac))
    .attribute(IFLA.mtu, mtu);
}

function parseLink(bytes: Buffer): Link {
  const attributes = new Attributes(bytes, fixedSize);
  const info = attributes.nested(IFLA.linkInfo);
  const flags = bytes.readUInt32LE(24);
  const kind = info.text(INFO_KIND);
  const link: Link = {
    index: bytes.readInt32LE(20),
    name: attributes.text(IFLA.name),
    kind,
    mac: macText(attributes.bytes(IFLA.address)),
    mtu: attributes.u32(IFLA.mtu),
    up: (flags & IFF_UP) !== 0,
    operState: operStates[attributes.u8(IFLA.operState)] ?? 'unknown',
    alias: attributes.text(IFLA.alias),
    peerIndex: attributes.u32(IFLA.link),
    netnsId: attributes.bytes(IFLA.netnsId)?.readInt32LE(0) ?? -1,
    arp: (flags & IFF_NOARP) === 0,
  };
  if (kind !== 'vxlan') return link;
  const data = info.nested(INFO_DATA);
  const port = data.bytes(VXLAN.port)?.readUInt16BE(0) ?? 0;
  return { ...link, vxlan: { id: data.u32(VXLAN.id), port, collectMetadata: data.u8(VXLAN.collectMetadata) === 1 } };
}
