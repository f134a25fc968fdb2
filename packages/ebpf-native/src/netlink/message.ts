// SPDX-License-Identifier: Apache-2.0
// rtnetlink's format (man 7 netlink, 7 rtnetlink): a header, a fixed part per kind of message, then attributes, which may
// nest. Numbers are in the machine's byte order, which is little-endian wherever this package runs; addresses in network
// order, as written.
import { isIPv4 } from 'node:net';

/** Flags of a message (include/uapi/linux/netlink.h). */
export const messageFlags = {
  request: 1,
  multi: 2,
  ack: 4,
  interrupted: 0x10,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  dump: 0x300,
} as const;

/** What is asked for: fail when it exists, replace it, or change what exists. */
export const writeFlags = {
  add: messageFlags.create | messageFlags.exclusive,
  replace: messageFlags.create | messageFlags.replace,
  createOrChange: messageFlags.create,
  change: 0,
} as const;

export const AF_INET = 2;
export const headerSize = 16;
const largest = 8192;
const typeMask = 0x3fff;

export type AttributeValue = Uint8Array | number | string | (() => void);

/** A message that is being written. */
export class Message {
  readonly type: number;
  readonly flags: number;
  /** What it is for, for the error that it may cause. */
  readonly purpose: string;
  readonly #bytes = Buffer.alloc(largest);
  #length = headerSize;

  constructor(purpose: string, type: number, flags: number) {
    this.purpose = purpose;
    this.type = type;
    this.flags = flags | messageFlags.request;
  }

  u8(...values: number[]): this {
    for (const value of values) this.#length = this.#bytes.writeUInt8(value, this.#length);
    return this;
  }

  u16(value: number): this {
    this.#length = this.#bytes.writeUInt16LE(value, this.#length);
    return this;
  }

  u32(...values: number[]): this {
    for (const value of values) this.#length = this.#bytes.writeUInt32LE(value >>> 0, this.#length);
    return this;
  }

  /** A number has four bytes, a string its final zero, a function writes nested attributes; undefined writes nothing. */
  attribute(type: number, value: AttributeValue | undefined): this {
    if (value === undefined) return this;
    const start = this.#length;
    this.#length += 4;
    if (typeof value === 'function') value();
    else if (typeof value === 'number') this.u32(value);
    else this.#append(typeof value === 'string' ? Buffer.from(`${value}\0`) : value);
    this.#bytes.writeUInt16LE(this.#length - start, start);
    this.#bytes.writeUInt16LE(type, start + 2);
    this.#length = (this.#length + 3) & ~3;
    return this;
  }

  finish(sequence: number): Buffer {
    this.#bytes.writeUInt32LE(this.#length, 0);
    this.#bytes.writeUInt16LE(this.type, 4);
    this.#bytes.writeUInt16LE(this.flags, 6);
    this.#bytes.writeUInt32LE(sequence, 8);
    return this.#bytes.subarray(0, this.#length);
  }

  #append(bytes: Uint8Array): void {
    if (this.#length + bytes.length + 4 > largest) {
      throw new RangeError(`${this.purpose}: the message has more than ${largest} bytes; shorten its names`);
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }
}

/**
 * Where the value of the first attribute of this type begins, among those from `from` to `to`; -1 when it is absent. For
 * answers of so many messages that an `Attributes` of each costs too much.
 */
export function findAttribute(bytes: Buffer, from: number, to: number, type: number): number {
  for (let at = from; at + 4 <= to; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > to) break;
    if ((bytes.readUInt16LE(at + 2) & typeMask) === type) return at + 4;
    at += (length + 3) & ~3;
  }
  return -1;
}

/** The attributes from an offset to the end, by type; of a repeated one the last. */
export class Attributes {
  readonly #values = new Map<number, Buffer>();

  constructor(bytes: Buffer, from: number) {
    let at = from;
    while (at + 4 <= bytes.length) {
      const length = bytes.readUInt16LE(at);
      if (length < 4 || at + length > bytes.length) break;
      this.#values.set(bytes.readUInt16LE(at + 2) & typeMask, bytes.subarray(at + 4, at + length));
      at += (length + 3) & ~3;
    }
  }

  bytes(type: number): Buffer | undefined {
    return this.#values.get(type);
  }

  /** 0 when absent. */
  u32(type: number): number {
    const bytes = this.#values.get(type);
    return bytes !== undefined && bytes.length >= 4 ? bytes.readUInt32LE(0) : 0;
  }

  /** 0 when absent. */
  u8(type: number): number {
    return this.#values.get(type)?.[0] ?? 0;
  }

  /** Empty when absent. */
  text(type: number): string {
    const bytes = this.#values.get(type);
    if (bytes === undefined) return '';
    const end = bytes.indexOf(0);
    return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
  }

  nested(type: number): Attributes {
    return new Attributes(this.#values.get(type) ?? Buffer.alloc(0), 0);
  }
}

/** Four bytes in network order. */
export function addressBytes(address: string): Buffer {
  if (!isIPv4(address)) throw new RangeError(`address '${address}' is no IPv4 address; write it as 10.244.0.1`);
  return Buffer.from(address.split('.').map(Number));
}

export function addressText(bytes: Uint8Array | undefined): string | undefined {
  return bytes?.length === 4 ? bytes.join('.') : undefined;
}

export function macBytes(mac: string): Buffer {
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(mac)) {
    throw new RangeError(`MAC '${mac}' is none; write it as 02:00:00:00:00:01`);
  }
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

/** Empty for a device without a link-layer address. */
export function macText(bytes: Buffer | undefined): string {
  return bytes?.toString('hex').match(/../g)?.join(':') ?? '';
}
