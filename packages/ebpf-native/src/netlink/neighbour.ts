// SPDX-License-Identifier: Apache-2.0
// IPv4 neighbours: which MAC an address on a link has.
import {
  AF_INET,
  Attributes,
  Message,
  addressBytes,
  addressText,
  macBytes,
  macText,
  messageFlags,
  writeFlags,
} from './message.ts';
import type { RouteSocket } from './socket.ts';

const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const NDA = { destination: 1, mac: 2, device: 8 } as const;
const fixedSize = 28;

/** NUD_* (include/uapi/linux/neighbour.h). */
const states = {
  none: 0,
  incomplete: 1,
  reachable: 2,
  stale: 4,
  delay: 8,
  probe: 0x10,
  failed: 0x20,
  noarp: 0x40,
  permanent: 0x80,
} as const;
export type NeighbourState = keyof typeof states;

export interface Neighbour {
  /** Of the device. */
  index: number;
  address: string;
  /** Empty where it is not known. */
  mac: string;
  state: NeighbourState;
}

export interface NeighbourSpec {
  index: number;
  address: string;
  mac: string;
  /** permanent when absent. */
  state?: NeighbourState | undefined;
}

/** Of one device, or of all. */
export function listNeighbours(socket: RouteSocket, index?: number): Neighbour[] {
  const make = () =>
    fixed(new Message('list neighbours', RTM_GETNEIGH, messageFlags.dump), 0, 0).attribute(NDA.device, index);
  return socket
    .dump(make)
    .filter((bytes) => bytes.readUInt8(16) === AF_INET)
    .map(parseNeighbour)
    .filter((one) => index === undefined || one.index === index);
}

export function replaceNeighbour(socket: RouteSocket, spec: NeighbourSpec): void {
  const { index, address, mac, state = 'permanent' } = spec;
  const purpose = `replace neighbour ${address} at ${mac} of device ${index}`;
  const message = new Message(purpose, RTM_NEWNEIGH, messageFlags.ack | writeFlags.replace);
  fixed(message, index, states[state])
    .attribute(NDA.destination, addressBytes(address))
    .attribute(NDA.mac, macBytes(mac));
  socket.change(message);
}

/** Throws NetlinkError ENOENT when the device has no such neighbour. */
export function deleteNeighbour(socket: RouteSocket, spec: { index: number; address: string }): void {
  const { index, address } = spec;
  const message = new Message(`delete neighbour ${address} of device ${index}`, RTM_DELNEIGH, messageFlags.ack);
  socket.change(fixed(message, index, 0).attribute(NDA.destination, addressBytes(address)));
}

/** struct ndmsg. */
function fixed(message: Message, index: number, state: number): Message {
  return message.u8(AF_INET, 0).u16(0).u32(index).u16(state).u8(0, 0);
}

function parseNeighbour(bytes: Buffer): Neighbour {
  const attributes = new Attributes(bytes, fixedSize);
  const state = bytes.readUInt16LE(24);
  const found = Object.entries<number>(states).find(([, bits]) => bits === state);
  return {
    index: bytes.readInt32LE(20),
    address: addressText(attributes.bytes(NDA.destination)) ?? '',
    mac: macText(attributes.bytes(NDA.mac)),
    state: (found?.[0] ?? 'none') as NeighbourState,
  };
}
