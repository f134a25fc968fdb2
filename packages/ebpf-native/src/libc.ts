// SPDX-License-Identifier: Apache-2.0
// The few calls of libc that Node does not offer: namespaces, netlink sockets, bpf(2).
import koffi from 'koffi';
import { SysError } from './errors.ts';

const library = koffi.load('libc.so.6');

export const libc = {
  setns: library.func('int setns(int fd, int type)'),
  socket: library.func('int socket(int domain, int type, int protocol)'),
  bind: library.func('int bind(int fd, const uint8_t *address, uint32_t length)'),
  send: library.func('long send(int fd, const uint8_t *bytes, size_t length, int flags)'),
  recv: library.func('long recv(int fd, _Out_ uint8_t *bytes, size_t length, int flags)'),
  setsockopt: library.func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)'),
  ioctl: library.func('int ioctl(int fd, unsigned long request, long argument)'),
  syscall: library.func('long syscall(long number, long command, _Inout_ uint8_t *attributes, long size)'),
  mmap: library.func('void *mmap(void *at, size_t length, int protection, int flags, int fd, long offset)'),
  munmap: library.func('int munmap(void *address, size_t length)'),
  sysconf: library.func('long sysconf(int name)'),
  vsnprintf: library.func('int vsnprintf(_Out_ uint8_t *bytes, size_t length, const char *format, void *list)'),
} as const;

/** Passes a result on, or throws what errno says. Of an `.async` call errno is there in its callback alone. */
export function checked(call: string, result: number, cure?: string): number {
  if (result < 0) throw new SysError(call, koffi.errno(), '', cure);
  return result;
}

/** __NR_bpf, per architecture (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). */
const bpfNumbers: Partial<Record<string, number>> = { x64: 321, arm64: 280, riscv64: 280 };

/** bpf(2) itself, for what libbpf 1.1 has no words for. Answers the result, or the error as a negative number. */
export function bpfCall(command: number, attributes: Buffer): number {
  const number = bpfNumbers[process.arch];
  if (number === undefined) throw new SysError(`bpf(2) on ${process.arch}`, 38, 'its system call number is not known');
  const result = Number(libc.syscall(number, command, attributes, attributes.length));
  return result < 0 ? -koffi.errno() : result;
}

/** The address of bytes for a pointer field; the caller keeps them alive until the call is over. */
export function addressOf(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : koffi.address(bytes);
}
