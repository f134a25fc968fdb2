// SPDX-License-Identifier: Apache-2.0
// The built object with maps of its own, for tests: entries in, packets through, counters out.
import { join } from 'node:path';
import { BpfObject, type BpfProgram } from 'ebpf-native';
import { buildBpf, buildTestBpf } from '../../scripts/build-bpf.ts';
import { buildFolder } from '../../scripts/steps.ts';
import { decodeCounters, encodeAddressKey, type RawEntry } from '../../src/datapath/codecs.ts';
import type { Program } from './packet-cases.ts';

/** Bytes of struct __sk_buff, and where the fields are that BPF_PROG_TEST_RUN reads (linux/bpf.h). */
const contextBytes = 192;
const contextMark = 8;
const contextIfindex = 40;
const contextSegments = 164;
const contextSegmentBytes = 176;

const verdicts = new Map([
  [-1, 'next'],
  [2, 'drop'],
  [7, 'redirect'],
]);

/** What the programs are compiled with to meet a kernel that lacks these names. */
export const withoutConntrack = ['bpf_skb_ct_lookup', 'bpf_ct_release', 'bpf_ct_opts___kernel'].map(
  (name) => `${name}=absent_${name}`,
);

export interface Run {
  /** A program's verdict in a word, or its number where it has none. */
  verdict: string;
  data: Uint8Array;
  /** Every counter that moved, with how far. */
  counted: Record<string, number>;
}

export interface RunOptions {
  ifindex?: number;
  segmentBytes?: number | undefined;
  mark?: number | undefined;
  tunnel?: { source: string; vni: number } | undefined;
}

function u32(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function contextOf(bytes: number, { ifindex = 1, segmentBytes, mark = 0 }: RunOptions): Uint8Array {
  const context = new DataView(new ArrayBuffer(contextBytes));
  context.setUint32(contextMark, mark, true);
  context.setUint32(contextIfindex, ifindex, true);
  if (segmentBytes !== undefined) {
    context.setUint32(contextSegments, Math.ceil(bytes / segmentBytes), true);
    context.setUint32(contextSegmentBytes, segmentBytes, true);
  }
  return new Uint8Array(context.buffer);
}

export class DatapathObject {
  readonly object: BpfObject;
  readonly #withKey: BpfObject;
  /** What the tail call is set to. */
  #throughLast = '';

  private constructor(object: BpfObject, withKey: BpfObject) {
    this.object = object;
    this.#withKey = withKey;
  }

  /** Builds what is not built, and loads it. `file` is another build of the programs. */
  static async load(file?: string): Promise<DatapathObject> {
    if (file === undefined) await buildBpf();
    const withKey = await buildTestBpf();
    return new DatapathObject(BpfObject.open(file ?? join(buildFolder, 'fast.bpf.o')), BpfObject.open(withKey));
  }

  write(map: string, [key, value]: RawEntry): void {
    this.object.map(map).update(key, value);
  }

  counters(): Map<string, number> {
    const readings = decodeCounters(this.object.map('counters').entries());
    return new Map(readings.map(({ name, packets }) => [name, Number(packets)]));
  }

  /** Runs one packet through a program, in the namespace that the thread is in. */
  run(program: Program, data: Uint8Array, options: RunOptions = {}): Run {
    const before = this.counters();
    const entry = options.tunnel === undefined ? this.object.program(program) : this.#through(program, options.tunnel);
    const result = entry.testRun({ data, context: contextOf(data.length, options), dataOutSize: data.length + 64 });
    const moved = [...this.counters()].filter(([name, packets]) => packets !== before.get(name));
    return {
      verdict: verdicts.get(result.verdict) ?? String(result.verdict),
      data: new Uint8Array(result.data),
      counted: Object.fromEntries(moved.map(([name, packets]) => [name, packets - (before.get(name) ?? 0)])),
    };
  }

  /** Only the verdict, in a word: for many packets, whose counters are compared together. */
  verdict(program: Program, data: Uint8Array, options: RunOptions): string {
    const entry = options.tunnel === undefined ? this.object.program(program) : this.#through(program, options.tunnel);
    const { verdict } = entry.testRun({
      data,
      context: contextOf(data.length, options),
      dataOutSize: data.length + 64,
    });
    return verdicts.get(verdict) ?? String(verdict);
  }

  #through(program: Program, tunnel: { source: string; vni: number }): BpfProgram {
    const words = `${program} ${tunnel.source} ${tunnel.vni}`;
    if (words !== this.#throughLast) {
      const key = Buffer.concat([encodeAddressKey(tunnel.source), u32(tunnel.vni)]);
      this.#withKey.map('tunnel_keys').update(u32(0), key);
      this.#withKey.map('under_test').update(u32(0), u32(this.object.program(program).fd));
      this.#throughLast = words;
    }
    return this.#withKey.program('with_tunnel_key');
  }

  close(): void {
    this.object.close();
    this.#withKey.close();
  }
}
