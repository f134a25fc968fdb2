// SPDX-License-Identifier: Apache-2.0
// IPv4 addresses of devices.
import { AF_INET, Attributes, Message, addressBytes, addressText, messageFlags, writeFlags } from './message.ts';
import type { RouteSocket } from './socket.ts';

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const fixedSize = 24;

export interface Address {
  /** Of the device. */
  index: number;
  address: string;
  prefixLength: number;
  /** 0 global, 253 link, 254 host (include/uapi/linux/rtnetlink.h, enum rt_scope_t). */
  scope: number;
}

export interface AddressSpec {
  index: number;
  address: string;
  prefixLength: number;
  /** 0 (global) when absent. */
  scope?: number | undefined;
}

/** Of one device, or of all. */
export function listAddresses(socket: RouteSocket, index?: number): Address[] {
  const make = () => fixed(new Message('list addresses', RTM_GETADDR, messageFlags.dump), 0, 0, index ?? 0);
  return socket
    .dump(make)
    .map(parseAddress)
    .filter((one) => index === undefined || one.index === index);
}

/** Throws NetlinkError EEXIST when the device has it already. */
export function addAddress(socket: RouteSocket, spec: AddressSpec): void {
  socket.change(write('add', RTM_NEWADDR, writeFlags.add, spec));
}

export function replaceAddress(socket: RouteSocket, spec: AddressSpec): void {
  socket.change(write('replace', RTM_NEWADDR, writeFlags.replace, spec));
}

/** Throws NetlinkError EADDRNOTAVAIL when the device has no such address. */
export function deleteAddress(socket: RouteSocket, spec: AddressSpec): void {
  socket.change(write('delete', RTM_DELADDR, writeFlags.change, spec));
}

function write(verb: string, type: number, flags: number, spec: AddressSpec): Message {
  const { index, address, prefixLength, scope = 0 } = spec;
  const purpose = `${verb} address ${address}/${prefixLength} of device ${index}`;
  const bytes = addressBytes(address);
  return fixed(new Message(purpose, type, messageFlags.ack | flags), prefixLength, scope, index)
    .attribute(IFA_LOCAL, bytes)
    .attribute(IFA_ADDRESS, bytes);
}

/** struct ifaddrmsg. */
function fixed(message: Message, prefixLength: number, scope: number, index: number): Message {
  return message.u8(AF_INET, prefixLength, 0, scope).u32(index);
}

function parseAddress(bytes: Buffer): Address {
  const attributes = new Attributes(bytes, fixedSize);
  return {
    index: bytes.readUInt32LE(20),
    address: addressText(attributes.bytes(IFA_LOCAL) ?? attributes.bytes(IFA_ADDRESS)) ?? '',
    prefixLength: bytes.readUInt8(17),
    scope: bytes.readUInt8(19),
  };
}
