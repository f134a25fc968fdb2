// SPDX-License-Identifier: Apache-2.0
// Frames from plain words, so that a packet in a test reads like what it is. Checksums are left at zero: no program
// looks at them.
import { encodeAddressKey } from '../../src/datapath/codecs.ts';

export interface PacketWords {
  source: string;
  destination: string;
  /** tcp, udp and icmp build their header; a number is the protocol field with a payload of zeros. */
  protocol: 'tcp' | 'udp' | 'icmp' | number;
  sourcePort?: number;
  destinationPort?: number;
  tcpFlags?: 'S' | 'SA' | 'A';
  icmpType?: number;
  /** The packet inside an ICMP error. */
  quoted?: PacketWords;
  moreFragments?: boolean;
  fragmentOffset?: number;
  /** Bytes of IP options, a multiple of four. */
  optionBytes?: number;
  payloadBytes?: number;
}

export const sentMacs = '02fa57000001' + '0a00000000aa';
const protocols = { tcp: 6, udp: 17, icmp: 1 };
const tcpFlags = { S: 0x02, SA: 0x12, A: 0x10 };

function be16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255);
}

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(/[ :]/g, ''), 'hex'));
}

function l4(words: PacketWords): Uint8Array {
  const { protocol, sourcePort = 40_000, destinationPort = 8080, icmpType = 8, payloadBytes = 8 } = words;
  const ports = join(be16(sourcePort), be16(destinationPort));
  const payload = new Uint8Array(payloadBytes);
  if (protocol === 'tcp') {
    const control = Uint8Array.of(0x50, tcpFlags[words.tcpFlags ?? 'A']);
    return join(ports, new Uint8Array(8), control, new Uint8Array(6), payload);
  }
  if (protocol === 'udp') return join(ports, be16(8 + payloadBytes), be16(0), payload);
  if (protocol === 'icmp') {
    const body = words.quoted === undefined ? payload : ipv4(words.quoted).subarray(0, 28);
    return join(Uint8Array.of(icmpType, 0), new Uint8Array(6), body);
  }
  return payload;
}

/** RFC 791 section 3.1. */
export function ipv4(words: PacketWords): Uint8Array {
  const { source, destination, protocol, optionBytes = 0, moreFragments = false, fragmentOffset = 0 } = words;
  const body = l4(words);
  const headerBytes = 20 + optionBytes;
  const number = typeof protocol === 'number' ? protocol : protocols[protocol];
  return join(
    Uint8Array.of(0x40 | (headerBytes / 4), 0),
    be16(headerBytes + body.length),
    be16(1),
    be16((moreFragments ? 0x2000 : 0) | fragmentOffset),
    Uint8Array.of(64, number),
    be16(0),
    encodeAddressKey(source),
    encodeAddressKey(destination),
    new Uint8Array(optionBytes).fill(1),
    body,
  );
}

/** An Ethernet frame; `type` is the EtherType in hex. */
export function frame(type: string, body: Uint8Array): Uint8Array {
  return join(hex(sentMacs), hex(type), body);
}

export function packet(words: PacketWords): Uint8Array {
  return frame('0800', ipv4(words));
}
