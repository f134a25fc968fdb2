// SPDX-License-Identifier: Apache-2.0
// A loaded program: its identity, its pin, and a run on a packet that a test has made.
import { closeSync } from 'node:fs';
import { SysError } from '../errors.ts';
import { addressOf } from '../libc.ts';
import { libbpf } from './libbpf.ts';
import { openById, openPin, pinObject, readInfo, readName } from './object-info.ts';

/** sizeof(struct __sk_buff) on today's kernels; other contexts are smaller. */
const contextSize = 192;
/** What a program may add in front of and behind a packet, at most. */
const growth = 256;

export interface TestRunInput {
  /** The packet from its Ethernet header on, at least 14 bytes. */
  data: Uint8Array;
  /** struct __sk_buff or the like; the kernel refuses fields that it does not let a test set. */
  context?: Uint8Array | undefined;
  repeat?: number | undefined;
  dataOutSize?: number | undefined;
}

export interface TestRunOutput {
  /** The program's return value, signed: TCX_NEXT is -1. */
  verdict: number;
  data: Buffer;
  context?: Buffer;
  /** Mean of one run. */
  durationNs: number;
}

export class BpfProgram {
  readonly fd: number;
  readonly id: number;
  readonly name: string;
  /** Hash of the instructions, 16 hex digits: equal for equal code. */
  readonly tag: string;
  /** enum bpf_prog_type: 3 is sched_cls, 6 is xdp. */
  readonly type: number;
  readonly #owned: boolean;

  /** `owned` says that `close` closes the descriptor; else it belongs to the object that loaded the program. */
  constructor(fd: number, owned: boolean, fullName?: string) {
    const info = readInfo('program', fd, Buffer.alloc(80));
    this.fd = fd;
    this.#owned = owned;
    this.type = info.readUInt32LE(0);
    this.id = info.readUInt32LE(4);
    this.tag = info.toString('hex', 8, 16);
    // The kernel keeps 15 characters of a name, the object file all of them.
    this.name = fullName ?? readName(info, 64);
  }

  static openPinned(path: string): BpfProgram {
    return new BpfProgram(openPin('prog', path), true);
  }

  /** By the kernel's number for it, as filters and links name it. Throws SysError ENOENT when it is gone. */
  static openById(id: number): BpfProgram {
    return new BpfProgram(openById('prog', id), true);
  }

  pin(path: string): void {
    pinObject(`program ${this.name}`, this.fd, path);
  }

  /** BPF_PROG_TEST_RUN in the present network namespace. Throws SysError, EINVAL for data or a context it will not take. */
  testRun(input: TestRunInput): TestRunOutput {
    const data = Buffer.alloc(input.dataOutSize ?? input.data.length + growth);
    const context = input.context && Buffer.alloc(Math.max(contextSize, input.context.length));
    const options = runOptions(input, data, context);
    const result = libbpf().testRun(this.fd, options) as number;
    if (result < 0)
      throw new SysError(`BPF_PROG_TEST_RUN of ${this.name}`, -result, `${input.data.length} bytes of data`);
    const output = {
      verdict: options.readInt32LE(56),
      data: data.subarray(0, options.readUInt32LE(28)),
      durationNs: options.readUInt32LE(64),
    };
    return context ? { ...output, context: context.subarray(0, options.readUInt32LE(52)) } : output;
  }

  close(): void {
    if (this.#owned) closeSync(this.fd);
  }
}

/** struct bpf_test_run_opts (tools/lib/bpf/bpf.h): size 80, data in and out, context in and out, result at 56. */
function runOptions(input: TestRunInput, data: Buffer, context: Buffer | undefined): Buffer {
  const options = Buffer.alloc(80);
  options.writeBigUInt64LE(BigInt(options.length), 0);
  options.writeBigUInt64LE(addressOf(input.data), 8);
  options.writeBigUInt64LE(addressOf(data), 16);
  options.writeUInt32LE(input.data.length, 24);
  options.writeUInt32LE(data.length, 28);
  if (input.context && context) {
    options.writeBigUInt64LE(addressOf(input.context), 32);
    options.writeBigUInt64LE(addressOf(context), 40);
    options.writeUInt32LE(input.context.length, 48);
    options.writeUInt32LE(context.length, 52);
  }
  options.writeInt32LE(input.repeat ?? 1, 60);
  return options;
}
