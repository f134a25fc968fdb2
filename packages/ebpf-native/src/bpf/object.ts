// SPDX-License-Identifier: Apache-2.0
// An object file of clang, loaded: its maps made or taken over from their pins, its programs through the verifier.
import { existsSync } from 'node:fs';
import koffi from 'koffi';
import { SysError } from '../errors.ts';
import { Btf, type Layout } from './btf.ts';
import type { Handle } from './libbpf.ts';
import { libbpf, takeLog } from './libbpf.ts';
import { BpfMap } from './map.ts';
import { preparePin } from './object-info.ts';
import { BpfProgram } from './program.ts';

export interface ObjectOptions {
  /** Initial bytes of `const volatile` globals, by name of the variable. */
  rodata?: Record<string, Uint8Array> | undefined;
  /** Where maps are pinned, by name of the map. What is there already is taken over with its entries. */
  pinPaths?: Record<string, string> | undefined;
  maxEntries?: Record<string, number> | undefined;
  /** Programs that are not loaded. */
  disable?: string[] | undefined;
}

/** More of the verifier's log than its last lines helps nobody. */
const logLines = 40;
/**
 * EAGAIN: the verifier stops when the process has a signal to take (do_check in kernel/bpf/verifier.c), whatever the program.
 * libbpf tries five times, all within a millisecond or two; an object is opened and loaded so often in all.
 */
const interrupted = 11;
const mostLoads = 10;
/** No object has more maps or programs; it bounds the walks over libbpf's lists. */
const mostParts = 10_000;

/** The object owns the descriptors of its maps and programs: they end with `close`, while pins, filters, links and other
 * descriptors keep the kernel's own objects alive.
 */
export class BpfObject {
  readonly #handle: Handle;
  readonly #maps = new Map<string, BpfMap>();
  readonly #programs = new Map<string, BpfProgram>();
  readonly #name: string;
  #state: 'open' | 'closed' = 'open';

  private constructor(handle: Handle, name: string) {
    this.#handle = handle;
    this.#name = name;
    for (const map of mapsOf(handle)) {
      const fd = libbpf().mapFd(map) as number;
      if (fd >= 0) this.#maps.set(mapName(map), new BpfMap(fd, false, mapName(map)));
    }
    for (const program of programsOf(handle)) {
      const fd = libbpf().programFd(program) as number;
      if (fd >= 0) this.#programs.set(programName(program), new BpfProgram(fd, false, programName(program)));
    }
  }

  /** Opens and loads a file, or the bytes of one. Throws SysError: ENOENT for a missing file, EINVAL for a pin of another
   * shape, EAGAIN when signals do not let the verifier finish, and whatever the verifier said with the end of its log.
   */
  static open(file: string | Uint8Array, options: ObjectOptions = {}): BpfObject {
    for (let attempt = 1; ; attempt++) {
      try {
        return BpfObject.#openOnce(file, options);
      } catch (error) {
        if (attempt === mostLoads || !(error instanceof SysError && error.errno === interrupted)) throw error;
      }
    }
  }

  /** libbpf loads an object once in its life, whatever came of it. */
  static #openOnce(file: string | Uint8Array, options: ObjectOptions): BpfObject {
    const name = typeof file === 'string' ? file : `object of ${file.length} bytes`;
    takeLog(0);
    const handle = openHandle(file, name);
    try {
      prepare(handle, name, options);
      const result = libbpf().loadObject(handle) as number;
      if (result < 0) throw failure(`load ${name}`, -result);
      return new BpfObject(handle, name);
    } catch (error) {
      libbpf().closeObject(handle);
      throw error;
    }
  }

  get mapNames(): string[] {
    return [...this.#maps.keys()];
  }

  get programNames(): string[] {
    return [...this.#programs.keys()];
  }

  map(name: string): BpfMap {
    return this.#part(this.#maps, 'map', name);
  }

  program(name: string): BpfProgram {
    return this.#part(this.#programs, 'program', name);
  }

  /** How the compiler laid out a struct of the object, from its BTF. Undefined where it has none of that name. */
  layout(struct: string): Layout | undefined {
    if (this.#state === 'closed') throw new Error(`${this.#name} is closed: its BTF is gone`);
    return btfOf(this.#handle).struct(struct);
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    libbpf().closeObject(this.#handle);
  }

  #part<T>(parts: Map<string, T>, kind: string, name: string): T {
    if (this.#state === 'closed')
      throw new Error(`${this.#name} is closed: its ${kind} ${name} has no descriptor any more`);
    const part = parts.get(name);
    if (part === undefined) throw missing(this.#name, kind, name, [...parts.keys()]);
    return part;
  }
}

function openHandle(file: string | Uint8Array, name: string): Handle {
  const functions = libbpf();
  const handle: Handle =
    typeof file === 'string' ? functions.openFile(file, null) : functions.openMemory(file, file.length, null);
  if (handle === null) throw failure(`open ${name}`, koffi.errno());
  return handle;
}

function prepare(handle: Handle, name: string, options: ObjectOptions): void {
  const maps = new Map(mapsOf(handle).map((map) => [mapName(map), map]));
  const programs = new Map(programsOf(handle).map((program) => [programName(program), program]));
  for (const [map, entries] of Object.entries(options.maxEntries ?? {})) {
    setting(`max_entries of map ${map}`, libbpf().setMaxEntries(named(name, 'map', maps, map), entries) as number);
  }
  for (const [map, path] of Object.entries(options.pinPaths ?? {})) {
    const mapHandle = named(name, 'map', maps, map);
    preparePin(path);
    if (existsSync(path)) compareWithPin(mapHandle, map, path);
    setting(`pin path of map ${map}`, libbpf().setPinPath(mapHandle, path) as number);
  }
  for (const program of options.disable ?? []) {
    const result = libbpf().setAutoload(named(name, 'program', programs, program), false) as number;
    setting(`autoload of program ${program}`, result);
  }
  if (options.rodata) writeRodata(handle, maps, options.rodata);
}

function btfOf(handle: Handle): Btf {
  const length = [0];
  const bytes: unknown = libbpf().btfBytes(libbpf().objectBtf(handle), length);
  return new Btf(Buffer.from(koffi.view(bytes, Number(length[0]))));
}

function writeRodata(handle: Handle, maps: Map<string, Handle>, values: Record<string, Uint8Array>): void {
  const btf = btfOf(handle);
  const map = [...maps].find(([name]) => name.endsWith('.rodata'))?.[1];
  const length = [0];
  const start: unknown = map === undefined ? null : libbpf().initialValue(map, length);
  const section = start === null ? undefined : Buffer.from(koffi.view(start, Number(length[0])));
  for (const [name, bytes] of Object.entries(values)) {
    const place = btf.variable('.rodata', name);
    if (section === undefined || place === undefined) {
      throw new SysError(
        `set variable ${name}`,
        2,
        'the object has no such `const volatile` global',
        'build it with -g',
      );
    }
    if (place.size !== bytes.length)
      throw new RangeError(`variable ${name} has ${place.size} bytes, not ${bytes.length}`);
    section.set(bytes, place.offset);
  }
}

interface Shape {
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
}

/** libbpf compares too, but says neither what differs nor what to do. */
function compareWithPin(map: Handle, name: string, path: string): void {
  const pinned = BpfMap.openPinned(path);
  pinned.close();
  const wanted: Shape = {
    type: libbpf().mapType(map) as number,
    keySize: libbpf().mapKeySize(map) as number,
    valueSize: libbpf().mapValueSize(map) as number,
    maxEntries: libbpf().mapMaxEntries(map) as number,
    flags: libbpf().mapFlags(map) as number,
  };
  const fields = ['type', 'keySize', 'valueSize', 'maxEntries', 'flags'] as const;
  const differences = fields
    .filter((field) => pinned[field] !== wanted[field])
    .map((field) => `${field} is ${pinned[field]} in the pin and ${wanted[field]} in the object`);
  if (differences.length === 0) return;
  const cure = 'pin the new layout under another path, or remove the old pin once nothing uses it';
  throw new SysError(`reuse pin ${path} for map ${name}`, 22, `incompatible pin: ${differences.join(', ')}`, cure);
}

function mapsOf(handle: Handle): Handle[] {
  return walk((last) => libbpf().nextMap(handle, last));
}

function programsOf(handle: Handle): Handle[] {
  return walk((last) => libbpf().nextProgram(handle, last));
}

function walk(next: (last: Handle) => Handle): Handle[] {
  const found: Handle[] = [];
  for (let last = next(null); last !== null && found.length < mostParts; last = next(last)) found.push(last);
  return found;
}

function mapName(map: Handle): string {
  return libbpf().mapName(map) as string;
}

function programName(program: Handle): string {
  return libbpf().programName(program) as string;
}

function named(object: string, kind: string, parts: Map<string, Handle>, name: string): Handle {
  const part = parts.get(name);
  if (part === undefined) throw missing(object, kind, name, [...parts.keys()]);
  return part;
}

function missing(object: string, kind: string, name: string, known: string[]): SysError {
  return new SysError(`find ${kind} ${name} in ${object}`, 2, `it has ${known.join(', ') || 'none'}`);
}

function setting(what: string, result: number): void {
  if (result < 0) throw failure(`set ${what}`, -result);
}

/** What libbpf and the verifier say, and what helps; the first that fits. Their own words stand in the error as well. */
const cures: ReadonlyArray<readonly [words: RegExp, cure: string]> = [
  [/failed to find valid kernel BTF|BTF is required, but is missing/, 'the kernel needs CONFIG_DEBUG_INFO_BTF'],
  [
    /extern \(func ksym\) .* not found|calling kernel function .* is not allowed/,
    'the kernel lacks a function or offers it to other types of programs: declare it __weak and ask for it before the call',
  ],
  [/from non-GPL compatible program|GPL.compatible/i, 'the license section must name a GPL-compatible license'],
  [
    /unknown func|invalid func|cannot use helper/,
    'the helper is newer than the kernel, or for other types of programs',
  ],
  [/BPF program is too large/, 'the verifier followed a million instructions: unroll less, or split by tail calls'],
  [
    /CO-RE reloc|substituting insn .* w\/ invalid insn/,
    'a type or member is not in this kernel: ask by bpf_core_*_exists',
  ],
  [/PROG LOAD LOG/, 'the verifier refused the program: its log above names the instruction'],
];

function failure(call: string, errno: number): SysError {
  const log = takeLog(logLines);
  if (errno === interrupted) {
    const detail = `signals interrupted the verifier in each of ${mostLoads} tries; the program may be right`;
    return new SysError(call, errno, detail, 'try again without the profiler, tracer or timer that sends them');
  }
  const text = log.join('\n');
  const cure = cures.find(([words]) => words.test(text))?.[1];
  return new SysError(call, errno, log.length ? `libbpf says:\n${text}\n` : '', cure);
}
