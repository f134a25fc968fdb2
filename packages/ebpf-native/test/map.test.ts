// SPDX-License-Identifier: Apache-2.0
// Maps against the real kernel: one entry, many entries, and types that have no batches.
import { afterEach, describe, expect, it } from 'vitest';
import { BpfMap, type MapBlueprint, SysError, possibleCpus } from '../src/index.ts';
import { u32, u64 } from './workbench.ts';

const made: BpfMap[] = [];

function make(blueprint: Partial<MapBlueprint>): BpfMap {
  const map = BpfMap.create({ type: 'hash', name: 'test', keySize: 4, valueSize: 8, maxEntries: 16, ...blueprint });
  made.push(map);
  return map;
}

function numbered(count: number): Array<[Buffer, Buffer]> {
  return Array.from({ length: count }, (_, i) => [u32(i), u64(BigInt(i) * 3n)]);
}

afterEach(() => {
  for (const map of made.splice(0)) map.close();
});

describe('a map', () => {
  it('gives back what was put in, and nothing for what was not', () => {
    const map = make({});
    map.update(u32(1), u64(10n));
    expect(map.lookup(u32(1))).toEqual(u64(10n));
    expect(map.lookup(u32(2))).toBeUndefined();
    expect(map.delete(u32(1))).toBe(true);
    expect(map.delete(u32(1))).toBe(false);
  });

  it('keeps an entry that must be new, and makes none that must exist', () => {
    const map = make({});
    map.update(u32(1), u64(10n), 'noexist');
    expect(() => map.update(u32(1), u64(11n), 'noexist')).toThrow(/EEXIST/);
    expect(() => map.update(u32(2), u64(11n), 'exist')).toThrow(/ENOENT/);
    expect(map.entries()).toEqual([[u32(1), u64(10n)]]);
  });

  it('refuses a key or value of another size before the kernel reads past its end', () => {
    const map = make({});
    expect(() => map.lookup(u64(1n))).toThrow('map test: a key has 4 bytes, not 8');
    expect(() => map.update(u32(1), u32(1))).toThrow('map test: a value has 8 bytes, not 4');
    expect(() => map.updateBatch([[u32(1), u32(1)]])).toThrow(RangeError);
  });

  it('says how much it holds when it is full', () => {
    const map = make({ maxEntries: 2 });
    expect(() => map.updateBatch(numbered(3))).toThrow(/E2BIG: after 2 of 3 entries, the map holds 2 entries at most/);
    expect(map.count()).toBe(2);
  });

  it('is empty without an error', () => {
    expect(make({}).entries()).toEqual([]);
    expect(make({ type: 'lpm_trie', keySize: 8, flags: 1 }).entries()).toEqual([]);
  });

  it('names what the kernel refused to make', () => {
    expect(() => make({ keySize: 0, name: 'odd' })).toThrow(SysError);
    expect(() => make({ keySize: 0, name: 'odd' })).toThrow(/BPF_MAP_CREATE odd: EINVAL: type 1, key 0, value 8/);
  });
});

describe('many entries', () => {
  it('go in and come out by batches: 100,000', () => {
    const map = make({ maxEntries: 120_000 });
    const entries = numbered(100_000);
    map.updateBatch(entries);
    const found = map.entries();
    expect(found.length).toBe(100_000);
    const values = new Map(found.map(([key, value]) => [key.readUInt32LE(0), value.readBigUInt64LE(0)]));
    expect(values.size).toBe(100_000);
    expect(entries.every(([key, value]) => values.get(key.readUInt32LE(0)) === value.readBigUInt64LE(0))).toBe(true);
  });

  it('go away by batches, those that are not there passed over', () => {
    const map = make({ maxEntries: 20_000 });
    map.updateBatch(numbered(10_000));
    const absent = [20_000, 20_001, 30_000].map(u32);
    const even = Array.from({ length: 5000 }, (_, i) => u32(2 * i));
    map.deleteBatch([...absent.slice(0, 2), ...even.slice(0, 4200), ...absent.slice(2), ...even.slice(4200)]);
    const left = map.entries().map(([key]) => key.readUInt32LE(0));
    expect(left.length).toBe(5000);
    expect(left.every((key) => key % 2 === 1)).toBe(true);
    map.deleteBatch([]);
    const trie = make({ type: 'lpm_trie', keySize: 8, flags: 1 });
    const key = Buffer.from([32, 0, 0, 0, 10, 0, 0, 1]);
    trie.update(key, u64(1n));
    trie.deleteBatch([key]);
    expect(trie.entries()).toEqual([]);
  });

  it('of an array are all its places', () => {
    const map = make({ type: 'array', maxEntries: 5000 });
    map.updateBatch([[u32(4999), u64(1n)]]);
    const found = map.entries();
    expect(found.length).toBe(5000);
    expect(found.at(-1)).toEqual([u32(4999), u64(1n)]);
  });

  it('come one by one where the kernel has no batches', () => {
    const program = make({ type: 'prog_array', valueSize: 4 });
    expect(program.entries()).toEqual([]);
    const queueless = make({ type: 'lpm_trie', keySize: 8, flags: 1 });
    queueless.updateBatch([[Buffer.from([32, 0, 0, 0, 10, 0, 0, 1]), u64(1n)]]);
    expect(queueless.entries()).toEqual([[Buffer.from([32, 0, 0, 0, 10, 0, 0, 1]), u64(1n)]]);
  });

  it.each(['percpu_hash', 'percpu_array'] as const)('of a %s have one value for each CPU, in eights', (type) => {
    const map = make({ type, valueSize: 4, maxEntries: 2 });
    const cpus = possibleCpus();
    const value = Buffer.concat(Array.from({ length: cpus }, (_, cpu) => u64(BigInt(cpu + 1))));
    map.update(u32(1), value);
    expect(map.lookup(u32(1))).toEqual(value);
    expect(map.entries().find(([key]) => key.equals(u32(1)))?.[1]).toEqual(value);
  });
});
