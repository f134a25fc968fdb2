// SPDX-License-Identifier: Apache-2.0
// Maps whose keys and values are the program's own types. A codec says once how a type lies in memory; the map's sizes
// are compared with it when the map is opened, so a wrong layout fails before the first byte is written.
import { addressBytes, addressText, macBytes, macText } from '../netlink/message.ts';
import type { BpfMap, UpdateFlag } from './map.ts';

/** How one type lies in memory. `decode` gets exactly `size` bytes, and so many must `encode` give. */
export interface Codec<T> {
  /** Bytes. */
  readonly size: number;
  encode(value: T): Uint8Array;
  decode(bytes: Buffer): T;
}

type TypeOf<C> = C extends Codec<infer T> ? T : never;

function number(size: number, signed: 'signed' | 'unsigned'): Codec<number> {
  return {
    size,
    encode: (value) => {
      const bytes = Buffer.alloc(size);
      if (signed === 'signed') bytes.writeIntLE(value, 0, size);
      else bytes.writeUIntLE(value, 0, size);
      return bytes;
    },
    decode: (bytes) => (signed === 'signed' ? bytes.readIntLE(0, size) : bytes.readUIntLE(0, size)),
  };
}

/** Numbers are in the machine's byte order, which is little-endian wherever this package runs; names with Be in network order. */
export const codecs = {
  u8: number(1, 'unsigned'),
  u16: number(2, 'unsigned'),
  u32: number(4, 'unsigned'),
  i32: number(4, 'signed'),
  u64: {
    size: 8,
    encode: (value: bigint) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(value);
      return bytes;
    },
    decode: (bytes: Buffer) => bytes.readBigUInt64LE(),
  },
  portBe: {
    size: 2,
    encode: (value: number) => {
      const bytes = Buffer.alloc(2);
      bytes.writeUInt16BE(value);
      return bytes;
    },
    decode: (bytes: Buffer) => bytes.readUInt16BE(),
  },
  /** An IPv4 address, dotted. */
  addressBe: { size: 4, encode: addressBytes, decode: (bytes: Buffer) => addressText(bytes) ?? '' },
  /** `02:00:00:00:00:01`. */
  mac: { size: 6, encode: macBytes, decode: (bytes: Buffer) => macText(bytes) },
} as const;

/** A struct of C: its size, and of each member its offset and type. Bytes that no member has are zero. */
export function struct<F extends Record<string, readonly [offset: number, codec: Codec<unknown>]>>(
  size: number,
  fields: F,
): Codec<{ [N in keyof F]: TypeOf<F[N][1]> }> {
  type Value = { [N in keyof F]: TypeOf<F[N][1]> };
  const members: Array<[keyof F, readonly [number, Codec<unknown>]]> = Object.entries(fields);
  for (const [name, [offset, codec]] of members) {
    if (offset + codec.size <= size) continue;
    throw new RangeError(`member ${String(name)} ends at byte ${offset + codec.size} of a struct of ${size}`);
  }
  return {
    size,
    encode: (value) => {
      const bytes = Buffer.alloc(size);
      for (const [name, [offset, codec]] of members) bytes.set(codec.encode(value[name]), offset);
      return bytes;
    },
    decode: (bytes) => {
      const values = members.map(([name, [at, codec]]) => [name, codec.decode(bytes.subarray(at, at + codec.size))]);
      return Object.fromEntries(values) as Value;
    },
  };
}

function assertSizes(map: BpfMap, key: { size: number }, value: { size: number }): void {
  const wrong = [
    key.size === map.keySize ? [] : [`its keys have ${map.keySize} bytes, the codec's ${key.size}`],
    value.size === map.valueSize ? [] : [`its values have ${map.valueSize} bytes, the codec's ${value.size}`],
  ].flat();
  if (wrong.length > 0) throw new RangeError(`map ${map.name}: ${wrong.join(', ')}; is it another build's?`);
}

/** A map with one value for each key. It uses the map and does not own it. */
export class TypedMap<K, V> {
  readonly map: BpfMap;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;

  /** Throws RangeError when a codec has another size than the map. */
  constructor(map: BpfMap, key: Codec<K>, value: Codec<V>) {
    assertSizes(map, key, value);
    if (map.isPerCpu) throw new RangeError(`map ${map.name} has a value for each CPU: use PerCpuMap`);
    this.map = map;
    this.#key = key;
    this.#value = value;
  }

  get(key: K): V | undefined {
    const value = this.map.lookup(this.#key.encode(key));
    return value && this.#value.decode(value);
  }

  /** Throws as `BpfMap.update`. */
  set(key: K, value: V, flag: UpdateFlag = 'any'): void {
    this.map.update(this.#key.encode(key), this.#value.encode(value), flag);
  }

  /** Writes many entries with few calls; as `BpfMap.updateBatch`. */
  setMany(entries: Iterable<readonly [K, V]>): void {
    this.map.updateBatch(Array.from(entries, ([key, value]) => [this.#key.encode(key), this.#value.encode(value)]));
  }

  /** Whether there was such an entry. */
  delete(key: K): boolean {
    return this.map.delete(this.#key.encode(key));
  }

  entries(): Array<[K, V]> {
    return this.map.entries().map(([key, value]) => [this.#key.decode(key), this.#value.decode(value)]);
  }
}

/** A per-CPU map: each key has one value for every CPU that the kernel may ever bring up. */
export class PerCpuMap<K, V> {
  readonly map: BpfMap;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;
  readonly #slot: number;

  /** Throws RangeError when a codec has another size than the map, or the map is not per CPU. */
  constructor(map: BpfMap, key: Codec<K>, value: Codec<V>) {
    assertSizes(map, key, value);
    if (!map.isPerCpu) throw new RangeError(`map ${map.name} has one value for all CPUs: use TypedMap`);
    this.map = map;
    this.#key = key;
    this.#value = value;
    // The kernel rounds each CPU's value up to eight bytes.
    this.#slot = (value.size + 7) & ~7;
  }

  /** By number of the CPU. */
  get(key: K): V[] | undefined {
    const bytes = this.map.lookup(this.#key.encode(key));
    return bytes && this.#split(bytes);
  }

  /** Throws RangeError when there are not as many values as CPUs (`possibleCpus`). */
  set(key: K, values: readonly V[], flag: UpdateFlag = 'any'): void {
    const bytes = Buffer.alloc(this.#slot * values.length);
    for (const [cpu, value] of values.entries()) bytes.set(this.#value.encode(value), cpu * this.#slot);
    this.map.update(this.#key.encode(key), bytes, flag);
  }

  delete(key: K): boolean {
    return this.map.delete(this.#key.encode(key));
  }

  entries(): Array<[K, V[]]> {
    return this.map.entries().map(([key, bytes]) => [this.#key.decode(key), this.#split(bytes)]);
  }

  #split(bytes: Buffer): V[] {
    const { size } = this.#value;
    return Array.from({ length: bytes.length / this.#slot }, (_, cpu) =>
      this.#value.decode(bytes.subarray(cpu * this.#slot, cpu * this.#slot + size)),
    );
  }
}
