// SPDX-License-Identifier: Apache-2.0
// IPv4 routes. The kernel knows a route by table, destination, type of service and metric: `replaceRoute` replaces the one
// that has these, whatever its device.
import { NetlinkError } from '../errors.ts';
import { AF_INET, Attributes, Message, addressBytes, addressText, messageFlags, writeFlags } from './message.ts';
import type { RouteSocket } from './socket.ts';

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA = {
  destination: 1,
  from: 2,
  input: 3,
  device: 4,
  gateway: 5,
  metric: 6,
  source: 7,
  metrics: 8,
  table: 15,
  mark: 16,
} as const;
const RTAX_MTU = 2;
const RTNH_F_ONLINK = 4;
const RTM_F_CLONED = 0x200;
const RTM_F_LOOKUP_TABLE = 0x1000;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const fixedSize = 28;

const scopes = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;
export type Scope = keyof typeof scopes;
const types = { unicast: 1, local: 2, broadcast: 3, multicast: 5, blackhole: 6, unreachable: 7, prohibit: 8 } as const;
export type RouteType = keyof typeof types;

export interface Route {
  /** `0.0.0.0` with a prefix length of 0 is the default route. */
  destination: string;
  prefixLength: number;
  type: RouteType;
  gateway?: string;
  /** Of the device; 0 for a route without one. */
  index: number;
  /** The address that this host takes as its own towards the destination. */
  source?: string;
  scope: Scope;
  /** The gateway is taken to be on the link, whatever the addresses say. */
  onlink: boolean;
  /** Who made it (include/uapi/linux/rtnetlink.h, RTPROT_*): 2 kernel, 3 boot, 4 static. */
  protocol: number;
  table: number;
  metric?: number;
  /** Bytes. */
  mtu?: number;
}

export interface RouteSpec {
  destination: string;
  prefixLength: number;
  index: number;
  /** unicast when absent. */
  type?: RouteType | undefined;
  gateway?: string | undefined;
  source?: string | undefined;
  /** link without a gateway, else global, when absent. */
  scope?: Scope | undefined;
  onlink?: boolean | undefined;
  /** 4 (static) when absent. */
  protocol?: number | undefined;
  /** 254 (main) when absent. */
  table?: number | undefined;
  metric?: number | undefined;
  mtu?: number | undefined;
}

export interface RouteFilter {
  index?: number | undefined;
  protocol?: number | undefined;
  table?: number | undefined;
}

export interface PacketQuestion {
  destination: string;
  source?: string | undefined;
  /** The device that the packet comes in by; absent for a packet of this host. */
  inputIndex?: number | undefined;
  mark?: number | undefined;
}

/** What the kernel means by its refusals of a look-up (net/ipv4/route.c, ip_route_input_slow). */
const lookupRefusals: Partial<Record<string, string>> = {
  ENETUNREACH: 'no route leads there',
  EHOSTUNREACH: 'the route says unreachable, or the device does not forward',
  EACCES: 'a route or rule prohibits it',
  EINVAL: 'a blackhole route, a source that no packet may have, or rp_filter of the incoming device',
  EXDEV: 'rp_filter of the incoming device would drop it',
};

/**
 * Asks the kernel which way one packet would take, by all its rules and tables (RTM_GETROUTE). Throws NetlinkError
 * ENETUNREACH and the like where it would take none.
 */
export function lookUpRoute(socket: RouteSocket, packet: PacketQuestion): Route {
  const { destination, source, inputIndex, mark } = packet;
  const from = source === undefined ? '' : ` from ${source}`;
  const message = new Message(`look up the route to ${destination}${from}`, RTM_GETROUTE, 0)
    .u8(AF_INET, 32, source === undefined ? 0 : 32, 0, 0, 0, 0, 0)
    .u32(RTM_F_LOOKUP_TABLE)
    .attribute(RTA.destination, addressBytes(destination))
    .attribute(RTA.from, optionalAddress(source))
    .attribute(RTA.input, inputIndex)
    .attribute(RTA.mark, mark);
  try {
    const answer = socket.get(message, []);
    if (answer !== undefined) return parseRoute(answer);
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    throw new NetlinkError(error.call, error.errno, error.extAck, lookupRefusals[error.code]);
  }
  throw new NetlinkError(message.purpose, 61, 'the kernel gave no answer');
}

/** All tables' routes, or those that fit the filter. */
export function listRoutes(socket: RouteSocket, filter: RouteFilter = {}): Route[] {
  const { index, protocol, table } = filter;
  const make = () =>
    new Message('list routes', RTM_GETROUTE, messageFlags.dump)
      .u8(AF_INET, 0, 0, 0, 0, protocol ?? 0, 0, 0)
      .u32(0)
      .attribute(RTA.device, index);
  return socket
    .dump(make)
    .filter((bytes) => bytes.readUInt8(16) === AF_INET && (bytes.readUInt32LE(24) & RTM_F_CLONED) === 0)
    .map(parseRoute)
    .filter((route) => index === undefined || route.index === index)
    .filter((route) => protocol === undefined || route.protocol === protocol)
    .filter((route) => table === undefined || route.table === table);
}

/** Throws NetlinkError EEXIST when there is one with the same table, destination and metric. */
export function addRoute(socket: RouteSocket, spec: RouteSpec): void {
  socket.change(write('add', RTM_NEWROUTE, writeFlags.add, spec));
}

export function replaceRoute(socket: RouteSocket, spec: RouteSpec): void {
  socket.change(write('replace', RTM_NEWROUTE, writeFlags.replace, spec));
}

/** Throws NetlinkError ESRCH when there is no such route. */
export function deleteRoute(socket: RouteSocket, spec: RouteSpec): void {
  socket.change(write('delete', RTM_DELROUTE, writeFlags.change, spec));
}

function write(verb: string, messageType: number, flags: number, spec: RouteSpec): Message {
  const { destination, prefixLength, index, gateway, source, table = RT_TABLE_MAIN, metric, mtu } = spec;
  const scope = scopes[spec.scope ?? (gateway === undefined ? 'link' : 'global')];
  const type = types[spec.type ?? 'unicast'];
  const protocol = spec.protocol ?? RTPROT_STATIC;
  const via = gateway === undefined ? '' : ` via ${gateway}`;
  const purpose = `${verb} route ${destination}/${prefixLength}${via} on device ${index}`;
  const message = new Message(purpose, messageType, messageFlags.ack | flags)
    // Tables above 255 stand in the attribute alone.
    .u8(AF_INET, prefixLength, 0, 0, table < 256 ? table : 0, protocol, scope, type)
    .u32(spec.onlink ? RTNH_F_ONLINK : 0)
    .attribute(RTA.table, table)
    .attribute(RTA.destination, prefixLength === 0 ? undefined : addressBytes(destination))
    .attribute(RTA.device, index === 0 ? undefined : index)
    .attribute(RTA.gateway, optionalAddress(gateway))
    .attribute(RTA.source, optionalAddress(source))
    .attribute(RTA.metric, metric);
  if (mtu !== undefined) message.attribute(RTA.metrics, () => message.attribute(RTAX_MTU, mtu));
  return message;
}

function optionalAddress(address: string | undefined): Buffer | undefined {
  return address === undefined ? undefined : addressBytes(address);
}

function parseRoute(bytes: Buffer): Route {
  const attributes = new Attributes(bytes, fixedSize);
  const gateway = addressText(attributes.bytes(RTA.gateway));
  const source = addressText(attributes.bytes(RTA.source));
  const mtu = attributes.nested(RTA.metrics).u32(RTAX_MTU);
  return {
    destination: addressText(attributes.bytes(RTA.destination)) ?? '0.0.0.0',
    prefixLength: bytes.readUInt8(17),
    type: nameOf(types, bytes.readUInt8(23), 'unicast'),
    ...(gateway === undefined ? {} : { gateway }),
    index: attributes.u32(RTA.device),
    ...(source === undefined ? {} : { source }),
    scope: nameOf(scopes, bytes.readUInt8(22), 'global'),
    onlink: (bytes.readUInt32LE(24) & RTNH_F_ONLINK) !== 0,
    protocol: bytes.readUInt8(21),
    table: attributes.u32(RTA.table) || bytes.readUInt8(20),
    ...(attributes.bytes(RTA.metric) === undefined ? {} : { metric: attributes.u32(RTA.metric) }),
    ...(mtu === 0 ? {} : { mtu }),
  };
}

function nameOf<Name extends string>(names: Record<Name, number>, value: number, otherwise: Name): Name {
  const found = Object.entries<number>(names).find(([, number]) => number === value);
  return found === undefined ? otherwise : (found[0] as Name);
}
