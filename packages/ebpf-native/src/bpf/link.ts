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
const BPF_LINK_CREATE = 28;
const BPF_F_BEFORE = 8;
const BPF_F_AFTER = 16;
const BPF_F_LINK = 1 << 13;
const LINK_TYPE_TCX = 11;
/** BPF_MPROG_MAX: the kernel lets no more programs hang on one device and direction. */
const mostPrograms = 64;

/** A place among the programs that are there already. Without one the kernel appends. */
export type Anchor = { before: BpfLink | 'all' } | { after: BpfLink | 'all' };

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
   * its descriptor. Throws SysError EINVAL below kernel 6.6, ENODEV, EEXIST for the same program twice.
   */
  static attachTcx(program: { fd: number }, ifindex: number, direction: Direction, anchor?: Anchor): BpfLink {
    const attributes = Buffer.alloc(64);
    attributes.writeUInt32LE(program.fd, 0);
    attributes.writeUInt32LE(ifindex, 4);
    attributes.writeUInt32LE(attachTypes[direction], 8);
    writeAnchor(attributes, anchor);
    const fd = bpfCall(BPF_LINK_CREATE, attributes);
    if (fd >= 0) return new BpfLink(fd);
    const cure = fd === -22 ? 'tcx needs kernel 6.6 and a program of type sched_cls' : undefined;
    throw new SysError(`BPF_LINK_CREATE tcx ${direction} on device ${ifindex}`, -fd, '', cure);
  }

  static openPinned(path: string): BpfLink {
    return new BpfLink(openPin('link', path));
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

  /** Replaces the program in place, with no packet between the two. Throws SysError ENOLINK when the device is gone. */
  update(program: { fd: number }): void {
    const result = libbpf().updateLink(this.fd, program.fd, null) as number;
    if (result < 0)
      throw new SysError('BPF_LINK_UPDATE', -result, '', -result === 67 ? 'its device is gone' : undefined);
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

function writeAnchor(attributes: Buffer, anchor: Anchor | undefined): void {
  if (anchor === undefined) return;
  const [place, other] = 'before' in anchor ? [BPF_F_BEFORE, anchor.before] : [BPF_F_AFTER, anchor.after];
  attributes.writeUInt32LE(other === 'all' ? place : place | BPF_F_LINK, 12);
  if (other !== 'all') attributes.writeUInt32LE(other.fd, 16);
}

/** The programs at a device's tcx hook in the order in which they run. `linkId` is 0 for one without a link. */
export function tcxPrograms(ifindex: number, direction: Direction): Array<{ programId: number; linkId: number }> {
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
  if (result === -2) return [];
  if (result < 0) throw new SysError(`BPF_PROG_QUERY tcx ${direction} on device ${ifindex}`, -result);
  return Array.from({ length: attributes.readUInt32LE(24) }, (_, i) => ({
    programId: programIds.readUInt32LE(4 * i),
    linkId: linkIds.readUInt32LE(4 * i),
  }));
}
