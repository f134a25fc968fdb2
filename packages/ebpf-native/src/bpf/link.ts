// SPDX-License-Identifier: Apache-2.0
// tcx links (kernel 6.6 and later): a program on a device, with a place of its own among others. bpf(2) is called
// directly, because libbpf 1.1 can neither pass an anchor nor list them.
import { closeSync } from 'node:fs';
import { SysError } from '../errors.ts';
import { addressOf, bpfCall } from '../libc.ts';
import { libbpf } from './libbpf.ts';
import { openPin, pinObject, readInfo } from './object-info.ts';

export type Direction = 'ingress' | 'egress';

/** BPF_TCX_INGRESS and BPF_TCX_EGRESS. */
const attachTypes = { ingress: 46, egress: 47 } as const;
const BPF_PROG_QUERY = 16;
const BPF_LINK_GET_FD_BY_ID = 30;
const BPF_LINK_CREATE = 28;
const BPF_LINK_UPDATE = 29;
const BPF_F_REPLACE = 4;
const BPF_F_BEFORE = 8;
const BPF_F_AFTER = 16;
const BPF_F_ID = 1 << 5;
const BPF_F_LINK = 1 << 13;
/** Offsets in union bpf_attr: of LINK_CREATE (tcx), of PROG_QUERY. */
const EXPECTED_REVISION = 24;
const REVISION = 56;
const LINK_TYPE_TCX = 11;
/** BPF_MPROG_MAX: the kernel lets no more programs hang on one device and direction. */
const mostPrograms = 64;

/** Whom a program stands next to: a link, a program by its number whoever attached it, or all. */
type Beside = BpfLink | { programId: number } | 'all';
/** A place among the programs that are there already. Without one the kernel appends. */
export type Anchor = { before: Beside } | { after: Beside };

export interface AttachOptions {
  anchor?: Anchor | undefined;
  /** Attach only if the chain is still the one with this revision; else SysError ESTALE. */
  expectedRevision?: bigint | undefined;
}

export interface TcxChain {
  /** Grows with every change of the chain; 0 where there never was one. */
  revision: bigint;
  /** In the order in which they run. `linkId` is 0 for one without a link. */
  programs: Array<{ programId: number; linkId: number }>;
}

export interface LinkInfo {
  id: number;
  programId: number;
  /** 0 once the device is gone. */
  ifindex: number;
  direction: Direction;
}

export class BpfLink {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Attaches to a device of the present namespace. Takes some 8 ms, under the routing lock. Unpinned, the link dies with
   * its descriptor. Throws SysError EINVAL below kernel 6.6, ENODEV, EEXIST for the same program twice, ENOENT for an
   * anchor that is not there.
   */
  static attachTcx(
    program: { fd: number },
    ifindex: number,
    direction: Direction,
    { anchor, expectedRevision }: AttachOptions = {},
  ): BpfLink {
    const attributes = Buffer.alloc(64);
    attributes.writeUInt32LE(program.fd, 0);
    attributes.writeUInt32LE(ifindex, 4);
    attributes.writeUInt32LE(attachTypes[direction], 8);
    writeAnchor(attributes, anchor);
    attributes.writeBigUInt64LE(expectedRevision ?? 0n, EXPECTED_REVISION);
    const fd = bpfCall(BPF_LINK_CREATE, attributes);
    if (fd >= 0) return new BpfLink(fd);
    throw new SysError(`BPF_LINK_CREATE tcx ${direction} on device ${ifindex}`, -fd, '', attachCures[-fd]);
  }

  static openPinned(path: string): BpfLink {
    return new BpfLink(openPin('link', path));
  }

  /** By the kernel's number for it, as `tcxChain` tells it. Throws SysError ENOENT when it is gone. */
  static openById(id: number): BpfLink {
    const attributes = Buffer.alloc(64);
    attributes.writeUInt32LE(id, 0);
    const fd = bpfCall(BPF_LINK_GET_FD_BY_ID, attributes);
    if (fd < 0) throw new SysError(`open link ${id}`, -fd, '', fd === -2 ? 'it is gone' : undefined);
    return new BpfLink(fd);
  }

  info(): LinkInfo {
    const info = readInfo('link', this.fd, Buffer.alloc(64));
    const type = info.readUInt32LE(0);
    if (type !== LINK_TYPE_TCX) throw new SysError('read link', 22, `its type is ${type}, not tcx (${LINK_TYPE_TCX})`);
    return {
      id: info.readUInt32LE(4),
      programId: info.readUInt32LE(8),
      ifindex: info.readUInt32LE(16),
      direction: info.readUInt32LE(20) === attachTypes.ingress ? 'ingress' : 'egress',
    };
  }

  /** Replaces the program in place, with no packet between the two; with `old` only where that is the link's program
   * now. Throws SysError ENOLINK when the device is gone, EPERM where `old` is not the link's.
   */
  update(program: { fd: number }, old?: { fd: number }): void {
    const attributes = Buffer.alloc(64);
    attributes.writeUInt32LE(this.fd, 0);
    attributes.writeUInt32LE(program.fd, 4);
    if (old !== undefined) {
      attributes.writeUInt32LE(BPF_F_REPLACE, 8);
      attributes.writeUInt32LE(old.fd, 12);
    }
    const result = bpfCall(BPF_LINK_UPDATE, attributes);
    if (result >= 0) return;
    const isOther = result === -1 && old !== undefined;
    const cure = isOther ? 'the link has another program by now: read it again' : updateCures[-result];
    throw new SysError('BPF_LINK_UPDATE', -result, '', cure);
  }

  pin(path: string): void {
    pinObject('link', this.fd, path);
  }

  /** Takes the program off its device now, whoever else holds the link. */
  detach(): void {
    const result = libbpf().detachLink(this.fd) as number;
    if (result < 0) throw new SysError('BPF_LINK_DETACH', -result);
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** By error number. */
const attachCures: Partial<Record<number, string>> = {
  2: 'the anchor does not stand on this device and direction',
  17: 'the program is attached there already: update its link',
  22: 'tcx needs kernel 6.6 and a program of type sched_cls',
  34: `the chain has ${mostPrograms} programs, the most that the kernel takes`,
  116: 'others changed the chain meanwhile: query it again',
};
const updateCures: Partial<Record<number, string>> = { 67: 'its device is gone' };

function writeAnchor(attributes: Buffer, anchor: Anchor | undefined): void {
  if (anchor === undefined) return;
  const [place, other] = 'before' in anchor ? [BPF_F_BEFORE, anchor.before] : [BPF_F_AFTER, anchor.after];
  const [kind, number] =
    other === 'all' ? [0, 0] : other instanceof BpfLink ? [BPF_F_LINK, other.fd] : [BPF_F_ID, other.programId];
  attributes.writeUInt32LE(place | kind, 12);
  attributes.writeUInt32LE(number, 16);
}

/** The programs at the tcx hook of a device of the present namespace. Throws SysError EINVAL below kernel 6.6, ENODEV. */
export function tcxChain(ifindex: number, direction: Direction): TcxChain {
  const programIds = Buffer.alloc(4 * mostPrograms);
  const linkIds = Buffer.alloc(4 * mostPrograms);
  const attributes = Buffer.alloc(64);
  attributes.writeUInt32LE(ifindex, 0);
  attributes.writeUInt32LE(attachTypes[direction], 4);
  attributes.writeBigUInt64LE(addressOf(programIds), 16);
  attributes.writeUInt32LE(mostPrograms, 24);
  attributes.writeBigUInt64LE(addressOf(linkIds), 40);
  const result = bpfCall(BPF_PROG_QUERY, attributes);
  // A device that never had one answers ENOENT.
  if (result === -2) return { revision: 0n, programs: [] };
  if (result < 0) throw new SysError(`BPF_PROG_QUERY tcx ${direction} on device ${ifindex}`, -result);
  const programs = Array.from({ length: attributes.readUInt32LE(24) }, (_, i) => ({
    programId: programIds.readUInt32LE(4 * i),
    linkId: linkIds.readUInt32LE(4 * i),
  }));
  return { revision: attributes.readBigUInt64LE(REVISION), programs };
}
