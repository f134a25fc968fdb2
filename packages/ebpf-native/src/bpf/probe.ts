// SPDX-License-Identifier: Apache-2.0
// What the running kernel can do, asked of the kernel itself. A probe has three answers: yes, surely not, could not tell.
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { SysError, codeOf } from '../errors.ts';
import { addressOf, bpfCall } from '../libc.ts';
import { Btf } from './btf.ts';
import { libbpf } from './libbpf.ts';
import { tcxChain } from './link.ts';
import { BpfMap, type MapType } from './map.ts';
import { readInfo } from './object-info.ts';

export type Probe = 'yes' | 'no' | { unknown: string };

const btfFolder = '/sys/kernel/btf';
const BPF_PROG_LOAD = 5;
const pageBytes = 65_536;

/** enum bpf_prog_type, as far as a program of these types loads without a target to be attached to. */
const programTypes = {
  socket_filter: 1,
  kprobe: 2,
  sched_cls: 3,
  sched_act: 4,
  tracepoint: 5,
  xdp: 6,
  perf_event: 7,
  cgroup_skb: 8,
  cgroup_sock: 9,
  raw_tracepoint: 17,
} as const;
export type ProgramType = keyof typeof programTypes;

/** Key, value, entries and flags where the kernel asks for others than 4, 4, 1 and 0. */
const smallestMaps: Partial<Record<MapType, readonly [number, number, number, number]>> = {
  lpm_trie: [8, 4, 1, 1],
  ringbuf: [0, 0, pageBytes, 0],
};
/** How the verifier refuses a program. */
const refusals = ['EACCES', 'EINVAL'];
const mostBtfObjects = 10_000;

/** Whether programs can hang at the tcx hook (kernel 6.6). */
export function probeTcx(): Probe {
  try {
    tcxChain(1, 'ingress');
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

/** Whether the kernel makes maps of this type. */
export function probeMapType(type: MapType): Probe {
  const [keySize, valueSize, maxEntries, flags] = smallestMaps[type] ?? [4, 4, 1, 0];
  try {
    BpfMap.create({ type, name: 'probe', keySize, valueSize, maxEntries, flags }).close();
    return 'yes';
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.code === 'EINVAL' ? 'no' : { unknown: error.message };
  }
}

/** Whether the kernel loads programs of this type. */
export function probeProgramType(type: ProgramType): Probe {
  const { result, log } = tryProgram(type, [setZero, exit]);
  if (result >= 0) return 'yes';
  return codeOf(-result) === 'EINVAL' ? 'no' : notTold(result, log);
}

/** Whether programs of this type may call a helper, by its number (enum bpf_func_id, include/uapi/linux/bpf.h). */
export function probeHelper(type: ProgramType, helper: number): Probe {
  const { result, log } = tryProgram(type, [instruction(0x85, 0, 0, helper), exit]);
  // The words of the verifier before and since kernel 6.13.
  if (/unknown func|invalid func|cannot use helper/.test(log)) return 'no';
  return verdict(result, log);
}

/** Loads `call function; exit`, which always fails: by the missing arguments, or because the function is not allowed. */
function tryCall(id: number, btfFd: number | undefined): Probe {
  const BPF_PSEUDO_KFUNC_CALL = 2;
  const call = instruction(0x85, BPF_PSEUDO_KFUNC_CALL << 4, btfFd === undefined ? 0 : 1, id);
  const { result, log } = tryProgram('sched_cls', [call, exit], btfFd);
  return log.includes('is not allowed') ? 'no' : verdict(result, log);
}

/** struct bpf_insn. */
function instruction(code: number, registers: number, offset: number, immediate: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(code, 0);
  bytes.writeUInt8(registers, 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}

/** Gives a program to the verifier and closes what comes of it. `btfFd` is the module's that its second BTF slot names. */
function tryProgram(type: ProgramType, instructions: Buffer[], btfFd = 0): { result: number; log: string } {
  const code = Buffer.concat(instructions);
  const license = Buffer.from('Dual BSD/GPL\0');
  const log = Buffer.alloc(65_536);
  const descriptors = Buffer.alloc(8);
  descriptors.writeInt32LE(btfFd, 4);
  const attributes = Buffer.alloc(144);
  attributes.writeUInt32LE(programTypes[type], 0);
  attributes.writeUInt32LE(instructions.length, 4);
  attributes.writeBigUInt64LE(addressOf(code), 8);
  attributes.writeBigUInt64LE(addressOf(license), 16);
  attributes.writeUInt32LE(1, 24);
  attributes.writeUInt32LE(log.length, 28);
  attributes.writeBigUInt64LE(addressOf(log), 32);
  attributes.writeBigUInt64LE(addressOf(descriptors), 120);
  const result = bpfCall(BPF_PROG_LOAD, attributes);
  if (result >= 0) closeSync(result);
  // The pointers above are plain numbers to the engine; this use keeps their bytes alive until here.
  if (code.length + license.length + descriptors.length === 0) throw new RangeError('empty program');
  return { result, log: log.toString('latin1', 0, log.indexOf(0)) };
}

function verdict(result: number, log: string): Probe {
  // Any other complaint about the call itself came after the question whether it is allowed.
  if (result >= 0 || (refusals.includes(codeOf(-result)) && log.includes('(85) call'))) return 'yes';
  return notTold(result, log);
}

function notTold(result: number, log: string): Probe {
  return { unknown: `${codeOf(-result)}: ${log.trim().split('\n').slice(-3).join(' ') || 'no log'}` };
}

/** `r0 = 0` and `exit`: the shortest program that is one. */
const setZero = instruction(0xb7, 0, 0, 0);
const exit = instruction(0x95, 0, 0, 0);
