// SPDX-License-Identifier: Apache-2.0
// The reader of bpf/*.h refuses what it cannot be sure of, since a guess here would be a wrong byte in a map.
import { describe, expect, it } from 'vitest';
import { readHeaders, sizeOf } from '../../scripts/read-headers.ts';

const header = (fields: string): string => `#define PODS_MAX 8
struct pod {
${fields}
};
struct {
\t__uint(type, BPF_MAP_TYPE_HASH);
\t__uint(max_entries, PODS_MAX);
\t__type(key, __be32);
\t__type(value, struct pod);
} pods SEC(".maps");
`;

describe('the reader of bpf headers', () => {
  it('reads a map with its value, offsets and limit', () => {
    const headers = readHeaders([header('\t__u32 ifindex; /* why */\n\t__u8 mac[6];\n\t__u8 more[2];')]);
    expect(headers.maps).toEqual([{ name: 'pods', key: '__be32', value: 'pod', maxEntries: 8 }]);
    expect(headers.structs[0]?.fields.map(({ name, offset, size }) => [name, offset, size])).toEqual([
      ['ifindex', 0, 4],
      ['mac', 4, 6],
      ['more', 10, 2],
    ]);
    expect(sizeOf(headers, 'pod')).toBe(12);
  });

  it.each([
    [header('\t__u8 mac[6];\n\t__u32 ifindex;'), 'struct pod: ifindex would be padded'],
    [header('\tint ifindex;'), 'is not a member of fixed width'],
    [header('\t__u32 a;').replace('#define PODS_MAX 8', ''), 'PODS_MAX is not a named constant'],
    ['enum counter {\n\tA = 1, /* next: x */\n\tB = 1, /* next: y */\n};\n', 'a number is used twice'],
    ['enum counter {\n\tA,\n};\n', 'is not NAME = number, with verdict and meaning'],
    ['enum counter {\n\tDROP_A = 1, /* next: x */\n};\n', 'DROP_A and its verdict next contradict each other'],
  ])('refuses what it is not sure of %#', (text, message) => {
    expect(() => readHeaders([text])).toThrow(message);
  });
});
