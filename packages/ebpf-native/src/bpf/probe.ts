// SPDX-License-Identifier: Apache-2.0
// What the running kernel can do, asked of the kernel itself. A probe has three answers: yes, surely not, could not tell.
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { SysError, codeOf } from '../errors.ts';
import { addressOf, bpfCall } from '../libc.ts';
import { Btf } from './btf.ts';
import { libbpf } from './libbpf.ts';
import { tcxPrograms } from './link.ts';
import { readInfo } from './object-info.ts';

export type Probe = 'yes' | 'no' | { unknown: string };

const btfFolder = '/sys/kernel/btf';
const BPF_PROG_LOAD = 5;
const PROG_TYPE_SCHED_CLS = 3;
/** How the verifier refuses a program. */
const refusals = ['EACCES', 'EINVAL'];
const mostBtfObjects = 10_000;

/** Whether programs can hang at the tcx hook (kernel 6.6). */
export function probeTcx(): Probe {
  try {
    tcxPrograms(1, 'ingress');
    return 'yes';
  } catch (error) {
    if (error instanceof SysError && error.code === 'EINVAL') return 'no';
    if (error instanceof SysError && error.code === 'ENODEV') return 'yes';
    return { unknown: error instanceof Error ? error.message : String(error) };
  }
}

/** Whether programs of type sched_cls may call a kernel function. Its name in the BTF of the kernel or of a loaded module
 * is not enough, so a program that calls it is given to the verifier, which names a function that is not allowed.
 */
export function probeKfunc(name: string): Probe {
  try {
    const kernel = new Btf(readFileSync(`${btfFolder}/vmlinux`));
    const id = kernel.functionId(name);
    if (id !== undefined) return tryCall(id, undefined);
    for (const module of readdirSync(btfFolder).filter((file) => file !== 'vmlinux')) {
      const moduleId = new Btf(readFileSync(`${btfFolder}/${module}`), kernel).functionId(name);
      if (moduleId !== undefined) return tryModuleCall(module, moduleId);
    }
    return 'no';
  } catch (error) {
    return { unknown: error instanceof Error ? error.message : String(error) };
  }
}

function tryModuleCall(module: string, id: number): Probe {
  const fd = moduleBtf(module);
  if (fd === undefined) return { unknown: `the kernel lists no BTF of module ${module}` };
  try {
    return tryCall(id, fd);
  } finally {
    closeSync(fd);
  }
}

/** The descriptor of a module's BTF, which a call into it must name. */
function moduleBtf(module: string): number | undefined {
  let id = 0;
  for (let step = 0; step < mostBtfObjects; step++) {
    const next = [0];
    if ((libbpf().nextBtfId(id, next) as number) < 0) return undefined;
    id = Number(next[0]);
    const fd = libbpf().btfFdById(id) as number;
    if (fd < 0) continue;
    if (btfName(fd) === module) return fd;
    closeSync(fd);
  }
  return undefined;
}

function btfName(fd: number): string {
  const name = Buffer.alloc(64);
  const info = Buffer.alloc(32);
  info.writeBigUInt64LE(addressOf(name), 16);
  info.writeUInt32LE(name.length, 24);
  readInfo('BTF', fd, info);
  return name.toString('latin1', 0, name.indexOf(0));
}

/** Loads `call function; exit`, which always fails: by the missing arguments, or because the function is not allowed. */
function tryCall(id: number, btfFd: number | undefined): Probe {
  const code = Buffer.alloc(16);
  const BPF_PSEUDO_KFUNC_CALL = 2;
  code.writeUInt8(0x85, 0);
  code.writeUInt8(BPF_PSEUDO_KFUNC_CALL << 4, 1);
  code.writeInt16LE(btfFd === undefined ? 0 : 1, 2);
  code.writeInt32LE(id, 4);
  code.writeUInt8(0x95, 8);
  const license = Buffer.from('Dual BSD/GPL\0');
  const log = Buffer.alloc(65_536);
  const descriptors = Buffer.alloc(8);
  descriptors.writeInt32LE(btfFd ?? 0, 4);
  const attributes = Buffer.alloc(144);
  attributes.writeUInt32LE(PROG_TYPE_SCHED_CLS, 0);
  attributes.writeUInt32LE(code.length / 8, 4);
  attributes.writeBigUInt64LE(addressOf(code), 8);
  attributes.writeBigUInt64LE(addressOf(license), 16);
  attributes.writeUInt32LE(1, 24);
  attributes.writeUInt32LE(log.length, 28);
  attributes.writeBigUInt64LE(addressOf(log), 32);
  attributes.writeBigUInt64LE(addressOf(descriptors), 120);
  const result = bpfCall(BPF_PROG_LOAD, attributes);
  if (result >= 0) closeSync(result);
  const text = log.toString('latin1', 0, log.indexOf(0));
  // The pointers above are plain numbers to the engine; this use keeps their bytes alive until here.
  if (code.length + license.length + descriptors.length === 0) throw new RangeError('empty program');
  return verdict(result, text);
}

function verdict(result: number, log: string): Probe {
  if (log.includes('is not allowed')) return 'no';
  // Any other complaint about the call itself came after that question.
  if (result >= 0 || (refusals.includes(codeOf(-result)) && log.includes('(85) call'))) return 'yes';
  return { unknown: `${codeOf(-result)}: ${log.trim().split('\n').slice(-3).join(' ') || 'no log'}` };
}
