// SPDX-License-Identifier: Apache-2.0
// `from_pod` on the host veths. It is a clsact filter, which waits for no grace period of the kernel. The plugin bandwidth
// needs that place for an `ingress` qdisc of its own, so on a limited pod's veth it is a tcx link instead: 8 ms more, and
// it runs before any qdisc. The pinned link is also what a restarted agent knows a limited wire by.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfLink, type BpfProgram, ensureClsact, listFilters, replaceFilter, SysError } from 'ebpf-native';
import type { Wire } from '../wiring/wire.ts';
import { filterHandle, filterName, filterPriority } from './constants.ts';
import type { Host } from './host.ts';
import { type Datapath, isInPlace } from './programs.ts';

type Place = Pick<Wire, 'interface' | 'ifindex' | 'isLimited'>;

const pinOf = ({ wirePins }: Pick<Datapath, 'wirePins'>, name: string): string => join(wirePins, name);

/** The pinned link of a limited wire, unless it is of a former veth of that name. */
function openLink(datapath: Pick<Datapath, 'wirePins'>, wire: Place): BpfLink | undefined {
  const pin = pinOf(datapath, wire.interface);
  if (!existsSync(pin)) return undefined;
  const link = BpfLink.openPinned(pin);
  if (link.info().ifindex === wire.ifindex) return link;
  link.close();
  return undefined;
}

function attachLink(host: Host, datapath: Datapath, wire: Place): void {
  const known = openLink(datapath, wire);
  if (known !== undefined) {
    known.update(datapath.fromPod);
    known.close();
    return;
  }
  mkdirSync(datapath.wirePins, { recursive: true });
  rmSync(pinOf(datapath, wire.interface), { force: true });
  const link = host.netns.run(() => attachTcx(datapath.fromPod, wire.ifindex));
  link.pin(pinOf(datapath, wire.interface));
  link.close();
}

/** A filter cannot stand in: it would have the place of the plugin's queues. */
function attachTcx(program: BpfProgram, ifindex: number): BpfLink {
  try {
    return BpfLink.attachTcx(program, ifindex, 'ingress');
  } catch (error) {
    if (!(error instanceof SysError && error.code === 'EINVAL')) throw error;
    const why = "a pod's bandwidth limit needs kernel 6.6 or newer on its node, for tcx links";
    const cure = 'take the annotations kubernetes.io/ingress-bandwidth and kubernetes.io/egress-bandwidth off the pod';
    throw new Error(`${why}; or ${cure}`, { cause: error });
  }
}

/** Puts `from_pod` on a host veth, in place of an older one. No packet passes in between. */
export function attachFromPod(host: Host, datapath: Datapath, wire: Place): void {
  if (wire.isLimited === true) {
    attachLink(host, datapath, wire);
    return;
  }
  ensureClsact(host.socket, wire.ifindex);
  const spec = { priority: filterPriority, handle: filterHandle, name: filterName, program: datapath.fromPod };
  replaceFilter(host.socket, wire.ifindex, 'ingress', spec);
}

function hasLink(datapath: Datapath, wire: Place): boolean {
  const link = openLink(datapath, wire);
  const programId = link?.info().programId;
  link?.close();
  return programId === datapath.fromPod.id;
}

/** Whether this very program is on the veth, where we put it. */
export function hasFromPod(host: Host, datapath: Datapath, wire: Place): boolean {
  if (wire.isLimited === true) return hasLink(datapath, wire);
  const programId = datapath.fromPod.id;
  return listFilters(host.socket, wire.ifindex, 'ingress').some((one) => isInPlace(one) && one.programId === programId);
}

/** The names of the host veths that were wired with limits. */
export function limitedWires(datapath: Pick<Datapath, 'wirePins'>): Set<string> {
  return new Set(existsSync(datapath.wirePins) ? readdirSync(datapath.wirePins) : []);
}

/** Forgets that a host veth was limited, unless one of that name is in use again: the pin is all that holds its link. */
export function forgetLimited(datapath: Pick<Datapath, 'wirePins'>, name: string, inUse: readonly Wire[]): void {
  const successor = inUse.find((wire) => wire.interface === name);
  const link = successor === undefined ? undefined : openLink(datapath, successor);
  link?.close();
  if (link === undefined) rmSync(pinOf(datapath, name), { force: true });
}
