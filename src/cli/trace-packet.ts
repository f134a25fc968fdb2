// SPDX-License-Identifier: Apache-2.0
// The packet that `fast-ctl trace` runs through the programs: as the pod would open a flow with it.
import { parseAddress } from '../ip/address.ts';

export interface Flow {
  readonly source: string;
  readonly destination: string;
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly sourcePort: number;
  readonly port: number;
}

const protocolNumbers = { icmp: 1, tcp: 6, udp: 17 } as const;
const ethernetBytes = 14;
const ipBytes = 20;
const l4Bytes = { icmp: 8, tcp: 20, udp: 8 } as const;
const SYN = 2;
const ECHO_REQUEST = 8;

function macBytes(mac: string): number[] {
  return mac.split(':').map((octet) => Number.parseInt(octet, 16));
}

/** A frame: TCP's SYN, an empty datagram, or an echo request. The programs look at no checksum. */
export function firstPacket(flow: Flow): Uint8Array {
  const { protocol } = flow;
  const bytes = new Uint8Array(ethernetBytes + ipBytes + l4Bytes[protocol]);
  const view = new DataView(bytes.buffer);
  bytes.set([...macBytes(flow.destinationMac), ...macBytes(flow.sourceMac), 0x08, 0x00]);
  bytes.set([0x45, 0, 0, ipBytes + l4Bytes[protocol], 0, 0, 0x40, 0, 64, protocolNumbers[protocol]], ethernetBytes);
  view.setUint32(ethernetBytes + 12, parseAddress(flow.source));
  view.setUint32(ethernetBytes + 16, parseAddress(flow.destination));
  const l4 = ethernetBytes + ipBytes;
  if (protocol === 'icmp') {
    bytes[l4] = ECHO_REQUEST;
    return bytes;
  }
  view.setUint16(l4, flow.sourcePort);
  view.setUint16(l4 + 2, flow.port);
  if (protocol === 'udp') view.setUint16(l4 + 4, l4Bytes.udp);
  else bytes.set([l4Bytes.tcp << 2, SYN], l4 + 12);
  return bytes;
}
