// SPDX-License-Identifier: Apache-2.0
// Every failure of the kernel has one shape, so that callers branch on a code and people read a sentence with its cure.
import { constants } from 'node:os';

/** ENOTSUPP (include/linux/errno.h) is the kernel's own and no libc knows it; bpf(2) lets it out all the same. */
export const kernelNotSupported = 524;

const codes = new Map(Object.entries(constants.errno).map(([code, errno]) => [errno, code]));
codes.set(kernelNotSupported, 'ENOTSUPP');
// libbpf's own numbers (tools/lib/bpf/libbpf_legacy.h, enum libbpf_errno) begin at 4000.
const libbpfCodes = ['LIBELF', 'FORMAT', 'KVERSION', 'ENDIAN', 'INTERNAL', 'RELOC', 'LOAD', 'VERIFY', 'PROG2BIG'];
for (const [i, code] of libbpfCodes.entries()) codes.set(4000 + i, `LIBBPF_${code}`);
// Two names share a number on Linux; the first is the one in manual pages.
codes.set(constants.errno.EAGAIN, 'EAGAIN');
codes.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');

/** Cures that fit whatever the call was; a call that knows better brings its own. */
const cures: Record<string, string> = {
  EPERM: 'run as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN (namespaces)',
  EACCES: 'run as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN (namespaces)',
  ENOSYS: 'the kernel was built without this call',
  ENODEV: 'the device is gone, or its index belongs to another namespace',
  EMFILE: 'raise the limit of open files (ulimit -n)',
};

/** The name of an error number, for example `ENOENT` for 2; an unknown one as `E999`. */
export function codeOf(errno: number): string {
  return codes.get(errno) ?? `E${errno}`;
}

/** A call into the kernel, libc or libbpf that failed. */
export class SysError extends Error {
  /** The call and what it was about, for example `setns /run/netns/a`. */
  readonly call: string;
  /** Positive error number. */
  readonly errno: number;
  /** Its name, for example `ENOENT`. */
  readonly code: string;

  /** `detail` is a sentence on what was found; `cure` replaces the general one for the code. */
  constructor(call: string, errno: number, detail = '', cure?: string) {
    const code = codeOf(errno);
    const remedy = cure ?? cures[code];
    super(`${call}: ${code}${detail ? `: ${detail}` : ''}${remedy ? ` (${remedy})` : ''}`);
    this.name = 'SysError';
    this.call = call;
    this.errno = errno;
    this.code = code;
  }
}

/** rtnetlink refused; `extAck` is the kernel's own sentence about it, empty where it gave none. */
export class NetlinkError extends SysError {
  readonly extAck: string;

  constructor(call: string, errno: number, extAck: string, cure?: string) {
    super(call, errno, extAck, cure);
    this.name = 'NetlinkError';
    this.extAck = extAck;
  }
}
