// SPDX-License-Identifier: Apache-2.0
// The generated layout is read out of the headers as text. Here the compiler itself is asked, by the BTF of what it built:
// both must agree on each byte, or the agent would write what the programs do not read.
import { layoutDifferences } from 'ebpf-native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maps, structs } from '../../src/datapath/generated/layout.ts';
import { DatapathObject } from './datapath-object.ts';

let datapath: DatapathObject;

beforeAll(async () => {
  datapath = await DatapathObject.load();
});
afterAll(() => datapath.close());

/** podMac is pod_mac in the headers. */
function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

describe('the generated layout', () => {
  it.each(Object.keys(structs) as (keyof typeof structs)[])('has %s as the compiler laid it out', (name) => {
    const compiled = datapath.object.layout(snake(name));
    const fields: Record<string, { offset: number; size: number }> = {};
    for (const [field, { offset, size }] of Object.entries(structs[name])) fields[snake(field)] = { offset, size };
    const size = Math.max(...Object.values(fields).map((field) => field.offset + field.size));
    expect(compiled && layoutDifferences(compiled, { size, fields })).toEqual([]);
  });

  it.each(Object.values(maps))('has $name as the kernel made it', ({ name, keySize, valueSize, maxEntries }) => {
    expect(datapath.object.map(name)).toMatchObject({ keySize, valueSize, maxEntries });
  });
});
