// SPDX-License-Identifier: Apache-2.0
// The tunnel's device and the node's own address on it, made and kept as they should be.
import {
  addAddress,
  createVxlan,
  deleteAddress,
  deleteLink,
  findLink,
  type Link,
  listAddresses,
  listLinks,
  listRoutes,
  setLink,
  SysError,
} from 'ebpf-native';
import { vxlanDevice, vxlanOverheadBytes } from '../api/names.ts';
import { parseAddress } from '../ip/address.ts';
import type { Range } from '../ip/range.ts';
import { tunnelMacOf } from '../wiring/wire.ts';
import { mainTable } from './constants.ts';
import { ensureSysctl, type Host, readSysctl } from './host.ts';

/**
 * The device that other nodes reach this one by: the one that `uplink` names, or with `auto` the one that has the
 * tunnel's address, else the default route's.
 * @throws Error that says what is missing
 */
export function findUplink(host: Host, uplink: string, tunnelAddress: string): Link {
  if (uplink !== 'auto') {
    const named = findLink(host.socket, { name: uplink });
    if (named === undefined) throw new Error(`--uplink names ${uplink}, which is no link of this node`);
    return named;
  }
  const holder = listAddresses(host.socket).find((one) => one.address === tunnelAddress);
  const fallback = listRoutes(host.socket, { table: mainTable }).find((one) => one.prefixLength === 0);
  const index = holder?.index ?? fallback?.index;
  const link = index === undefined ? undefined : findLink(host.socket, { index });
  if (link === undefined) {
    throw new Error(
      `no link of this node has the address ${tunnelAddress} and there is no default route; name one by --uplink`,
    );
  }
  return link;
}

/** The networks that a link stands in, by its addresses; a /32 stands in none. */
export function networksOf(host: Host, index: number): Range[] {
  return listAddresses(host.socket, index)
    .filter((one) => one.prefixLength < 32)
    .map((one) => {
      const size = 2 ** (32 - one.prefixLength);
      const first = Math.floor(parseAddress(one.address) / size) * size;
      return { first, last: first + size - 1 };
    });
}

/** Whether frames of the link have Ethernet's header, which a WireGuard's or a tun's have not. */
export function isEthernet(link: Link): boolean {
  return /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(link.mac);
}

/** The MTU of pods: what is left of the uplink's, in bytes. */
export function podMtu(uplink: Link): number {
  return uplink.mtu - vxlanOverheadBytes;
}

/** What of the tunnel's device can be chosen. */
export interface TunnelSpec {
  /** Of pods and device, in bytes. */
  readonly mtu: number;
  /** UDP, the same on all nodes. */
  readonly port: number;
}

function isOurKind(link: Link, port: number): boolean {
  return link.kind === 'vxlan' && link.vxlan?.collectMetadata === true && link.vxlan.port === port;
}

function create(host: Host, { mtu, port }: TunnelSpec, mac: string): Link {
  createVxlan(host.socket, { name: vxlanDevice, port, mtu, mac });
  const link = findLink(host.socket, { name: vxlanDevice });
  if (link === undefined) throw new Error(`${vxlanDevice} vanished right after it was made; does something remove it?`);
  return link;
}

/** Who has the tunnel's port, and what to do. */
function holderOfPort(host: Host, port: number): string {
  const other = listLinks(host.socket).find((one) => one.name !== vxlanDevice && one.vxlan?.port === port);
  return other === undefined
    ? `a program of this node has UDP port ${port}; ss -lunp 'sport = :${port}' names it`
    : `the vxlan device ${other.name} has UDP port ${port} already; ip link del ${other.name}, if nothing needs it, or another port by the knob tunnel-port`;
}

function bringUp(host: Host, link: Link, port: number): void {
  try {
    setLink(host.socket, link.index, { up: true });
  } catch (error) {
    if (error instanceof SysError && (error.code === 'EADDRINUSE' || error.code === 'EEXIST')) {
      throw new Error(`${vxlanDevice} cannot be brought up: ${holderOfPort(host, port)}`, { cause: error });
    }
    throw error;
  }
}

/** Makes `fast_vxlan` as it must be; answers the link and whether something had to be mended. */
export function ensureDevice(host: Host, spec: TunnelSpec, overlayAddress: string): { link: Link; changed: boolean } {
  const { mtu, port } = spec;
  const mac = tunnelMacOf(overlayAddress);
  let link = findLink(host.socket, { name: vxlanDevice });
  let changed = false;
  if (link !== undefined && !isOurKind(link, port)) {
    deleteLink(host.socket, link.index);
    link = undefined;
  }
  if (link === undefined) {
    link = create(host, spec, mac);
    changed = true;
  }
  const { index } = link;
  if (link.mtu !== mtu || link.mac !== mac || link.arp) {
    setLink(host.socket, index, { mtu, mac, arp: false });
    changed = true;
  }
  // from_overlay checks sources better than a reverse path can, and nothing of IPv6 passes it.
  ensureSysctl(host, `net/ipv4/conf/${vxlanDevice}/rp_filter`, '0');
  if (readSysctl(host, `net/ipv6/conf/${vxlanDevice}/disable_ipv6`) !== undefined) {
    ensureSysctl(host, `net/ipv6/conf/${vxlanDevice}/disable_ipv6`, '1');
  }
  if (!link.up) {
    bringUp(host, link, port);
    changed = true;
  }
  return { link, changed };
}

/** The overlay address as the device's only one. */
export function ensureOverlayAddress(host: Host, index: number, address: string): boolean {
  const present = listAddresses(host.socket, index);
  const others = present.filter((one) => one.address !== address || one.prefixLength !== 32);
  const isThere = present.length > others.length;
  if (!isThere) addAddress(host.socket, { index, address, prefixLength: 32 });
  for (const other of others) {
    deleteAddress(host.socket, { index, address: other.address, prefixLength: other.prefixLength });
  }
  return !isThere || others.length > 0;
}

/** Whether the device has the address, whoever gave it. */
export function hasOverlayAddress(host: Host, address: string): boolean {
  return overlayAddresses(host).some((one) => one.address === address);
}

/** Leaves the device without any. */
export function dropOverlayAddresses(host: Host): void {
  for (const { index, address, prefixLength } of overlayAddresses(host)) {
    deleteAddress(host.socket, { index, address, prefixLength });
  }
}

function overlayAddresses(host: Host): ReturnType<typeof listAddresses> {
  const link = findLink(host.socket, { name: vxlanDevice });
  return link === undefined ? [] : listAddresses(host.socket, link.index);
}
