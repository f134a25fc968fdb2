// SPDX-License-Identifier: Apache-2.0
// Maps by the program's own types, values per CPU, and layouts as the compiler and the kernel tell them.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  BpfMap,
  BpfObject,
  codecs,
  layoutDifferences,
  type MapBlueprint,
  PerCpuMap,
  possibleCpus,
  struct,
  TypedMap,
} from '../src/index.ts';
import { compileFixture, makeFolder } from './workbench.ts';

const folder = makeFolder();
const made: BpfMap[] = [];
let object: BpfObject;

const pod = struct(16, {
  ifindex: [0, codecs.u32],
  mac: [4, codecs.mac],
  port: [10, codecs.portBe],
  gateway: [12, codecs.addressBe],
});

function make(blueprint: Partial<MapBlueprint>): BpfMap {
  const map = BpfMap.create({ type: 'hash', name: 'typed', keySize: 4, valueSize: 16, maxEntries: 16, ...blueprint });
  made.push(map);
  return map;
}

beforeAll(() => {
  object = BpfObject.open(compileFixture(folder.path));
});
afterEach(() => {
  for (const map of made.splice(0)) map.close();
});
afterAll(() => {
  object.close();
  folder.remove();
});

describe('a typed map', () => {
  const value = { ifindex: 7, mac: '02:00:00:00:00:01', port: 8080, gateway: '10.244.0.1' };

  it('gives back what was put in, with each member in its place and order of bytes', () => {
    const map = new TypedMap(make({}), codecs.addressBe, pod);
    map.set('10.244.10.0', value);
    expect(map.get('10.244.10.0')).toEqual(value);
    expect(map.get('10.244.10.1')).toBeUndefined();
    expect(map.map.entries()).toEqual([
      [Buffer.from([10, 244, 10, 0]), Buffer.from('07000000' + '020000000001' + '1f90' + '0af40001', 'hex')],
    ]);
    expect(map.delete('10.244.10.0')).toBe(true);
    expect(map.entries()).toEqual([]);
  });

  it('writes many at once', () => {
    const map = new TypedMap(make({}), codecs.addressBe, pod);
    map.setMany(Array.from({ length: 16 }, (_, i) => [`10.244.10.${i}`, { ...value, ifindex: i }]));
    const found = map.entries().map(([address, { ifindex }]) => `${address} ${ifindex}`);
    expect(found.toSorted()).toContain('10.244.10.15 15');
    expect(found.length).toBe(16);
  });

  it('is not opened where its codecs have other sizes than the map', () => {
    expect(() => new TypedMap(make({ valueSize: 20 }), codecs.u64, pod)).toThrow(
      "map typed: its keys have 4 bytes, the codec's 8, its values have 20 bytes, the codec's 16; is it another build's?",
    );
  });

  it('has no struct whose members reach over its end', () => {
    expect(() => struct(4, { number: [0, codecs.u64] })).toThrow('member number ends at byte 8 of a struct of 4');
  });

  it('refuses a value that does not fit its type', () => {
    const map = new TypedMap(make({}), codecs.addressBe, pod);
    expect(() => map.set('10.244.10', value)).toThrow(/is no IPv4 address/);
    expect(() => map.set('10.244.10.0', { ...value, ifindex: -1 })).toThrow(RangeError);
    expect(map.entries()).toEqual([]);
  });
});

describe('a per-CPU map', () => {
  it('has a value for each CPU, though each is smaller than the eight bytes that it takes', () => {
    const map = new PerCpuMap(object.map('counters'), codecs.u32, codecs.u32);
    const values = Array.from({ length: possibleCpus() }, (_, cpu) => cpu + 1);
    map.set(2, values);
    expect(map.get(2)).toEqual(values);
    expect(map.entries()[2]).toEqual([2, values]);
  });

  it('is counted up by programs on the CPU where they run', () => {
    const map = new PerCpuMap(object.map('counters'), codecs.u32, codecs.u32);
    const sum = () => (map.get(1) ?? []).reduce((a, b) => a + b, 0);
    const before = sum();
    object.program('counts').testRun({ data: Buffer.alloc(64), repeat: 10 });
    expect(sum() - before).toBe(10);
  });

  it('takes a value for every CPU and no fewer', () => {
    const map = new PerCpuMap(object.map('counters'), codecs.u32, codecs.u32);
    expect(() => map.set(0, [])).toThrow(/a value has \d+ bytes, not 0/);
  });

  it('is not mistaken for a map with one value, nor the other way round', () => {
    expect(() => new TypedMap(object.map('counters'), codecs.u32, codecs.u32)).toThrow(/use PerCpuMap/);
    expect(() => new PerCpuMap(object.map('pods'), codecs.u32, codecs.u64)).toThrow(/use TypedMap/);
  });
});

describe('a layout', () => {
  const told = {
    size: 24,
    fields: {
      ifindex: { offset: 0, size: 4 },
      mac: { offset: 4, size: 6 },
      next: { offset: 16, size: 8 },
    },
  };

  it('is what the compiler made of a struct: padding, arrays, typedefs and pointers', () => {
    expect(object.layout('laid_out')).toEqual(told);
    expect(object.layout('no_such')).toBeUndefined();
  });

  it('is kept by the kernel with the map, for whoever opens it', () => {
    const again = BpfMap.openById(object.map('laid').id);
    expect(again.valueLayout()).toEqual(told);
    again.close();
    expect(make({}).valueLayout()).toBeUndefined();
  });

  it('that differs is told member by member', () => {
    const wanted = {
      size: 20,
      fields: { ifindex: { offset: 0, size: 4 }, mac: { offset: 8, size: 6 }, flags: { offset: 16, size: 4 } },
    };
    expect(layoutDifferences(told, told)).toEqual([]);
    expect(layoutDifferences(told, wanted)).toEqual([
      'it has 24 bytes, not 20',
      'mac has 6 bytes at 4, not 6 at 8',
      'it has no flags',
      'it has a next that is not known',
    ]);
  });
});
