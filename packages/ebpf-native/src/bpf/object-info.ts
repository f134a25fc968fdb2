// SPDX-License-Identifier: Apache-2.0
// What every kernel object of bpf has: information by descriptor, and a name in a bpffs.
import { closeSync, existsSync, mkdirSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { SysError } from '../errors.ts';
import { addressOf } from '../libc.ts';
import { libbpf } from './libbpf.ts';

/** BPF_FS_MAGIC (include/uapi/linux/magic.h). */
const bpffsMagic = 0xcafe4a11;

/** The first `size` bytes of struct bpf_map_info, bpf_prog_info, bpf_link_info or bpf_btf_info; the kernel fills what it has. */
export function readInfo(what: string, fd: number, bytes: Buffer): Buffer {
  const result = libbpf().info(fd, bytes, [bytes.length]) as number;
  if (result < 0) throw new SysError(`BPF_OBJ_GET_INFO_BY_FD of ${what}`, -result);
  return bytes;
}

/** The bytes of a BTF by its number. */
export function readBtf(id: number): Buffer {
  const fd = libbpf().btfFdById(id) as number;
  if (fd < 0) throw new SysError(`open BTF ${id}`, -fd);
  try {
    const size = readInfo('BTF', fd, Buffer.alloc(32)).readUInt32LE(8);
    const bytes = Buffer.alloc(size);
    const info = Buffer.alloc(32);
    info.writeBigUInt64LE(addressOf(bytes), 0);
    info.writeUInt32LE(size, 8);
    readInfo('BTF', fd, info);
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** A fixed field of C: the text up to the first zero byte. */
export function readName(bytes: Buffer, from: number): string {
  const field = bytes.subarray(from, from + 16);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? field.length : end);
}

/** Whether the path lies in a bpf file system; false also where it does not exist. */
export function isBpffs(path: string): boolean {
  try {
    return statfsSync(path).type === bpffsMagic;
  } catch {
    return false;
  }
}

/** The nearest folder above the path that is there. */
function existingFolder(path: string): string {
  let folder = dirname(path);
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}

/**
 * Makes the folders above a pin, once it is sure that they lie in a bpffs: the kernel's own answer is a bare EINVAL, and
 * in sysfs, where a bpffs is expected to be mounted, Node's recursive mkdir never ends.
 */
export function preparePin(path: string): void {
  const folder = existingFolder(path);
  if (!isBpffs(folder)) {
    throw new SysError(`BPF_OBJ_PIN ${path}`, 22, `${folder} is no bpf file system`, 'mount -t bpf bpf /sys/fs/bpf');
  }
  mkdirSync(dirname(path), { recursive: true });
}

export function pinObject(what: string, fd: number, path: string): void {
  preparePin(path);
  const result = libbpf().pin(fd, path) as number;
  if (result < 0) throw new SysError(`BPF_OBJ_PIN ${what} at ${path}`, -result);
}

/** Opens what is pinned at the path. The kind is checked by what the opener reads from it. */
export function openPin(kind: 'map' | 'prog' | 'link', path: string): number {
  const fd = libbpf().getPinned(path) as number;
  if (fd < 0)
    throw new SysError(`BPF_OBJ_GET ${kind} ${path}`, -fd, '', -fd === 2 ? 'nothing is pinned there' : undefined);
  return fd;
}

/** Opens what the kernel knows under a number, for example one that a filter or a link names. */
export function openById(kind: 'map' | 'prog', id: number): number {
  const fd = (kind === 'map' ? libbpf().mapFdById(id) : libbpf().programFdById(id)) as number;
  if (fd < 0) throw new SysError(`open ${kind} ${id}`, -fd, '', -fd === 2 ? 'it is gone' : undefined);
  return fd;
}
