// SPDX-License-Identifier: Apache-2.0
// A map of the kernel. Keys and values are bytes; who knows the layout encodes them.
import { closeSync } from 'node:fs';
import { SysError, kernelNotSupported } from '../errors.ts';
import { Btf, type Layout } from './btf.ts';
import { libbpf, possibleCpus } from './libbpf.ts';
import { openById, openPin, pinObject, readBtf, readInfo, readName } from './object-info.ts';

/** enum bpf_map_type, as far as callers here name it. */
export const mapTypes = {
  hash: 1,
  array: 2,
  prog_array: 3,
  percpu_hash: 5,
  percpu_array: 6,
  lru_hash: 9,
  lru_percpu_hash: 10,
  lpm_trie: 11,
  ringbuf: 27,
} as const;
export type MapType = keyof typeof mapTypes;

/** BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
const updateFlags = { any: 0n, noexist: 1n, exist: 2n } as const;
export type UpdateFlag = keyof typeof updateFlags;

/** A map that is to be made. A blueprint is data; only `BpfMap` holds a kernel handle. */
export interface MapBlueprint {
  type: MapType | number;
  /** At most 15 characters of it reach the kernel. */
  name: string;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  /** BPF_F_NO_PREALLOC (1) and the like. */
  flags?: number | undefined;
}

const perCpu: number[] = [mapTypes.percpu_hash, mapTypes.percpu_array, mapTypes.lru_percpu_hash];
/** The position in a walk is a bucket's number or a key; the kernel's longest LPM key is 260 bytes. */
const positionSize = 512;
const firstChunk = 4096;
/** struct bpf_map_create_opts (tools/lib/bpf/bpf.h) up to its flags: a size, five numbers of 4 bytes, the flags. */
const createOptionsSize = 32;
const EINVAL = 22;
const ENOENT = 2;
const ENOSPC = 28;
/** How the kernel says that a type of map, or an older kernel, has no batches. */
const noBatch = [kernelNotSupported, 95, EINVAL];

export class BpfMap {
  readonly fd: number;
  readonly id: number;
  readonly name: string;
  /** enum bpf_map_type. */
  readonly type: number;
  readonly keySize: number;
  /** Bytes of one value, of one CPU. */
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Bytes that a look-up gives and an update takes: for per-CPU maps all CPUs' values, each rounded up to 8 bytes. */
  readonly lookupSize: number;
  readonly #owned: boolean;

  /** `owned` says that `close` closes the descriptor; else it belongs to the object that loaded the map. */
  constructor(fd: number, owned: boolean, fullName?: string) {
    const info = readInfo('map', fd, Buffer.alloc(40));
    this.fd = fd;
    this.#owned = owned;
    this.type = info.readUInt32LE(0);
    this.id = info.readUInt32LE(4);
    this.keySize = info.readUInt32LE(8);
    this.valueSize = info.readUInt32LE(12);
    this.maxEntries = info.readUInt32LE(16);
    this.flags = info.readUInt32LE(20);
    this.name = fullName ?? readName(info, 24);
    const rounded = (this.valueSize + 7) & ~7;
    this.lookupSize = this.isPerCpu ? rounded * possibleCpus() : this.valueSize;
  }

  /** Whether each key has one value for every CPU. */
  get isPerCpu(): boolean {
    return perCpu.includes(this.type);
  }

  static openPinned(path: string): BpfMap {
    return new BpfMap(openPin('map', path), true);
  }

  /** By the kernel's number for it. Throws SysError ENOENT when it is gone. */
  static openById(id: number): BpfMap {
    return new BpfMap(openById('map', id), true);
  }

  static create(blueprint: MapBlueprint): BpfMap {
    const { name, keySize, valueSize, maxEntries } = blueprint;
    const type = typeof blueprint.type === 'number' ? blueprint.type : mapTypes[blueprint.type];
    const flags = blueprint.flags ?? 0;
    const options = Buffer.alloc(createOptionsSize);
    options.writeBigUInt64LE(BigInt(createOptionsSize), 0);
    options.writeUInt32LE(flags, createOptionsSize - 4);
    const fd = libbpf().createMap(type, name.slice(0, 15), keySize, valueSize, maxEntries, options) as number;
    if (fd < 0) {
      const detail = `type ${type}, key ${keySize}, value ${valueSize}, ${maxEntries} entries, flags ${flags}`;
      throw new SysError(`BPF_MAP_CREATE ${name}`, -fd, detail);
    }
    return new BpfMap(fd, true, name);
  }

  /** A copy of the value, or undefined when the map has no such key. */
  lookup(key: Uint8Array): Buffer | undefined {
    this.#checkSize('key', key, this.keySize);
    const value = Buffer.alloc(this.lookupSize);
    const result = libbpf().lookup(this.fd, key, value) as number;
    if (result === -ENOENT) return undefined;
    if (result < 0) throw this.#error('LOOKUP_ELEM', result);
    return value;
  }

  /** Writes one entry. Throws SysError E2BIG when the map is full, EEXIST with `noexist`, ENOENT with `exist`. */
  update(key: Uint8Array, value: Uint8Array, flag: UpdateFlag = 'any'): void {
    this.#checkSize('key', key, this.keySize);
    this.#checkSize('value', value, this.lookupSize);
    const result = libbpf().update(this.fd, key, value, updateFlags[flag]) as number;
    if (result < 0) throw this.#error('UPDATE_ELEM', result);
  }

  /** Whether there was such an entry. */
  delete(key: Uint8Array): boolean {
    this.#checkSize('key', key, this.keySize);
    const result = libbpf().remove(this.fd, key) as number;
    if (result === -ENOENT) return false;
    if (result < 0) throw this.#error('DELETE_ELEM', result);
    return true;
  }

  /** All entries. What is written meanwhile may be missing or there; of a hash nothing else is missing or twice. */
  entries(): Array<[Buffer, Buffer]> {
    return [...this.pieces()].flat();
  }

  /** The same, some thousands at a time where the kernel has batches for this type, else all at once. */
  *pieces(): Generator<Array<[Buffer, Buffer]>> {
    let chunk = Math.min(firstChunk, this.maxEntries);
    let position: Buffer | null = null;
    // Each step has at least one entry or a bigger chunk, so the map's size bounds the walk.
    for (let step = 0; step < this.maxEntries + 64; step++) {
      const next = Buffer.alloc(positionSize);
      const keys = Buffer.allocUnsafe(this.keySize * chunk);
      const values = Buffer.allocUnsafe(this.lookupSize * chunk);
      const count = [chunk];
      const result = libbpf().lookupBatch(this.fd, position, next, keys, values, count, null) as number;
      // One bucket has more entries than the chunk.
      if (result === -ENOSPC && chunk < this.maxEntries) {
        chunk = Math.min(chunk * 2, this.maxEntries);
        continue;
      }
      if (step === 0 && noBatch.includes(-result)) {
        yield this.#oneByOne();
        return;
      }
      if (result < 0 && result !== -ENOENT) throw this.#error('LOOKUP_BATCH', result);
      yield pairs(keys, this.keySize, values, this.lookupSize, Number(count[0]));
      // The last chunk answers ENOENT together with its entries.
      if (result === -ENOENT) return;
      position = next;
    }
    throw this.#error('LOOKUP_BATCH', -4, 'the map changed faster than it could be read', 'read it again');
  }

  /** How many entries there are; an array is always full. */
  count(): number {
    return this.entries().length;
  }

  /** Writes many entries with few calls. Should it fail, the entries before the failure are in the map. */
  updateBatch(entries: ReadonlyArray<readonly [Uint8Array, Uint8Array]>): void {
    for (let from = 0; from < entries.length; from += firstChunk) {
      const chunk = entries.slice(from, from + firstChunk);
      for (const [key, value] of chunk) {
        this.#checkSize('key', key, this.keySize);
        this.#checkSize('value', value, this.lookupSize);
      }
      const keys = Buffer.concat(chunk.map(([key]) => key));
      const values = Buffer.concat(chunk.map(([, value]) => value));
      const count = [chunk.length];
      const result = libbpf().updateBatch(this.fd, keys, values, count, null) as number;
      if (noBatch.includes(-result) && from === 0) return entries.forEach(([key, value]) => this.update(key, value));
      if (result < 0) {
        throw this.#error('UPDATE_BATCH', result, `after ${from + Number(count[0])} of ${entries.length} entries`);
      }
    }
  }

  /** Takes many entries away with few calls; keys that are not there are passed over. */
  deleteBatch(keys: readonly Uint8Array[]): void {
    for (let from = 0; from < keys.length; ) {
      const chunk = keys.slice(from, from + firstChunk);
      for (const key of chunk) this.#checkSize('key', key, this.keySize);
      const count = [chunk.length];
      const result = libbpf().removeBatch(this.fd, Buffer.concat(chunk), count, null) as number;
      if (noBatch.includes(-result)) {
        for (const key of keys.slice(from)) this.delete(key);
        return;
      }
      if (result < 0 && result !== -ENOENT) throw this.#error('DELETE_BATCH', result);
      // The kernel stops at a key that is not there and says how many it had done: go on behind it.
      from += result === -ENOENT ? Number(count[0]) + 1 : chunk.length;
    }
  }

  /** How whoever made the map laid out its value, from the BTF that the kernel keeps with it; undefined without one. */
  valueLayout(): Layout | undefined {
    const info = readInfo('map', this.fd, Buffer.alloc(80));
    const [btf, type] = [info.readUInt32LE(64), info.readUInt32LE(72)];
    return btf === 0 ? undefined : new Btf(readBtf(btf)).structById(type);
  }

  pin(path: string): void {
    pinObject(`map ${this.name}`, this.fd, path);
  }

  close(): void {
    if (this.#owned) closeSync(this.fd);
  }

  #oneByOne(): Array<[Buffer, Buffer]> {
    const found: Array<[Buffer, Buffer]> = [];
    let key: Buffer | null = null;
    // A walk begins anew when its key is deleted meanwhile, so it has a limit of its own.
    for (let step = 0; step < 2 * this.maxEntries + 1; step++) {
      const next = Buffer.alloc(this.keySize);
      const result = libbpf().nextKey(this.fd, key, next) as number;
      if (result === -ENOENT) return found;
      if (result < 0) throw this.#error('GET_NEXT_KEY', result);
      const value = this.lookup(next);
      if (value) found.push([next, value]);
      key = next;
    }
    throw this.#error('GET_NEXT_KEY', -4, 'the map changed faster than it could be read', 'read it again');
  }

  #checkSize(what: 'key' | 'value', bytes: Uint8Array, size: number): void {
    if (bytes.length === size) return;
    throw new RangeError(
      `map ${this.name}: a ${what} has ${size} bytes, not ${bytes.length}; check the layout it was encoded by`,
    );
  }

  #error(command: string, result: number, detail = '', cure?: string): SysError {
    const full = -result === 7 ? `the map holds ${this.maxEntries} entries at most` : '';
    return new SysError(`BPF_MAP_${command} of ${this.name}`, -result, [detail, full].filter(Boolean).join(', '), cure);
  }
}

function pairs(
  keys: Buffer,
  keySize: number,
  values: Buffer,
  valueSize: number,
  count: number,
): Array<[Buffer, Buffer]> {
  return Array.from({ length: count }, (_, i) => [
    keys.subarray(i * keySize, (i + 1) * keySize),
    values.subarray(i * valueSize, (i + 1) * valueSize),
  ]);
}
