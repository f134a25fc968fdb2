// SPDX-License-Identifier: Apache-2.0
// Pods that run follow the uplink's MTU too. A pod's end is set from inside its namespace, which is found by the number
// that the kernel gives it: no file says where a wire leads.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Link, listLinks, Netns, namespaceId, RouteSocket, setLink, SysError } from 'ebpf-native';
import { podMacOf, type Wire } from '../wiring/wire.ts';
import { type Host, isGone } from './host.ts';

export interface WireEnds {
  readonly wire: Wire;
  /** The host veth. */
  readonly link: Link;
}

/** Where runtimes and `ip netns` mount the namespaces that they make. */
const netnsFolder = '/run/netns';

/**
 * Gives both ends of the wires this MTU, in bytes; answers how many were changed. The end that may send more comes last
 * when it grows and first when it shrinks: a veth drops in silence what is bigger than its other end. A pod whose namespace
 * is not found keeps its MTU, and so does its host veth; the stack then answers its big packets with frag-needed.
 */
export function followMtu(host: Host, ends: readonly WireEnds[], mtu: number): number {
  const wrong = ends.filter(({ link }) => link.mtu !== mtu);
  if (wrong.length === 0) return 0;
  for (const { link } of wrong.filter((one) => one.link.mtu < mtu)) setMtu(host, link.index, mtu);
  const followed = setInPods(host, wrong, mtu);
  for (const { link } of wrong.filter((one) => one.link.mtu > mtu && followed.has(one.link.index))) {
    setMtu(host, link.index, mtu);
  }
  return wrong.length;
}

function setMtu(host: Host, index: number, mtu: number): void {
  try {
    setLink(host.socket, index, { mtu });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** The host veths' indexes whose pod's end was set. */
function setInPods(host: Host, ends: readonly WireEnds[], mtu: number): Set<number> {
  const followed = new Set<number>();
  for (const name of readdirSync(netnsFolder)) {
    const netns = open(join(netnsFolder, name));
    if (netns === undefined) continue;
    try {
      const number = namespaceId(host.socket, netns);
      const inside = ends.filter(({ link }) => number >= 0 && link.netnsId === number);
      if (inside.length > 0) for (const index of setInPod(netns, inside, mtu)) followed.add(index);
    } finally {
      netns.close();
    }
  }
  return followed;
}

function setInPod(netns: Netns, ends: readonly WireEnds[], mtu: number): number[] {
  const socket = RouteSocket.open(netns);
  try {
    const links = listLinks(socket);
    return ends.flatMap(({ wire, link }) => {
      const end = links.find((one) => one.index === link.peerIndex && one.mac === podMacOf(wire.address));
      if (end === undefined) return [];
      setLink(socket, end.index, { mtu });
      return [link.index];
    });
  } finally {
    socket.close();
  }
}

/** Undefined for what is no namespace, or gone by now. */
function open(path: string): Netns | undefined {
  try {
    return Netns.open(path);
  } catch (error) {
    if (error instanceof SysError) return undefined;
    throw error;
  }
}
