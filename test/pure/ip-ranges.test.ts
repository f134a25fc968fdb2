// SPDX-License-Identifier: Apache-2.0
// src/ip against a model that does what src/ip must never do: it lists every address of a small space.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, InvalidAddress, MAX_ADDRESS, parseAddress } from '../../src/ip/address.ts';
import { toCidrs } from '../../src/ip/cidr.ts';
import { cidrToRange, formatCidr, formatRange, parseGateway, parseRange, type Range } from '../../src/ip/range.ts';
import { RangeSet } from '../../src/ip/range-set.ts';

const base = parseAddress('10.0.0.0');
const smallRange = fc
  .tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 63 }))
  .map(([a, b]): Range => ({ first: base + Math.min(a, b), last: base + Math.max(a, b) }));
const smallSet = fc.array(smallRange, { maxLength: 8 });

function listed(ranges: Iterable<Range>): Set<number> {
  const all = new Set<number>();
  for (const { first, last } of ranges) {
    for (let address = first; address <= last; address += 1) all.add(address);
  }
  return all;
}

function expectSameAddresses(set: RangeSet, expected: Set<number>): void {
  expect([...listed(set.ranges)]).toEqual([...expected].sort((a, b) => a - b));
  expect(set.size).toBe(expected.size);
  for (const [index, range] of set.ranges.entries()) {
    const next = set.ranges[index + 1];
    if (next !== undefined) expect(next.first).toBeGreaterThan(range.last + 1);
  }
}

describe('an address', () => {
  it('reads back as it was written, to the last one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_ADDRESS }), (address) => {
        expect(parseAddress(formatAddress(address))).toBe(address);
      }),
    );
    expect(formatAddress(MAX_ADDRESS)).toBe('255.255.255.255');
    expect(parseAddress('10.244.10.0')).toBe(0x0af40a00);
  });

  it.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.01',
    ' 10.0.0.1',
    '10.0.0.1 ',
    '1e1.0.0.1',
    '::1',
    '10.0.0.1\n',
    '0x0a.0.0.1',
  ])('is not %j, and the error names the value and the cure', (text) => {
    expect(() => parseAddress(text)).toThrow(InvalidAddress);
    expect(() => parseAddress(text)).toThrow(`"${text}" is no IPv4 address; write`);
  });
});

describe('a range', () => {
  it('is an address, a-b with both ends, or a CIDR with every address in it', () => {
    expect(formatRange(parseRange('10.244.10.7'))).toBe('10.244.10.7');
    expect(formatRange(parseRange('10.244.10.0-10.244.90.0'))).toBe('10.244.10.0-10.244.90.0');
    expect(formatRange(parseRange('10.244.10.0/24'))).toBe('10.244.10.0-10.244.10.255');
    expect(formatRange(parseRange('0.0.0.0/0'))).toBe('0.0.0.0-255.255.255.255');
  });

  it.each([
    ['10.244.90.0-10.244.10.0', 'is reversed; write the lower address first'],
    ['10.244.10.7/24', 'has bits set behind its prefix; write 10.244.10.0/24'],
    ['10.244.10.0/33', 'is no IPv4 CIDR'],
    ['10.244.10.0/08', 'is no IPv4 CIDR'],
    ['10.244.10.0-', 'is no IPv4 address, range or CIDR'],
    ['10.0.0.1-10.0.0.2-10.0.0.3', 'is no IPv4 address, range or CIDR'],
    ['10.0.0.0/24-10.0.1.0', 'is no IPv4 CIDR'],
    ['fd00::/8', 'is no IPv4 CIDR'],
  ])('is not %s, since it %s', (text, problem) => {
    expect(() => parseRange(text)).toThrow(`"${text}" ${problem}`);
  });

  it('parses or throws InvalidAddress, whatever it is given', () => {
    const chars = fc.constantFrom(...'0123456789./-: '.split(''));
    fc.assert(
      fc.property(fc.string({ unit: chars, maxLength: 40 }), (text) => {
        try {
          const range = parseRange(text);
          expect(range.first).toBeLessThanOrEqual(range.last);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidAddress);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a gateway', () => {
  it('stands in its subnet', () => {
    expect(parseGateway('10.244.0.1/24')).toEqual({
      address: parseAddress('10.244.0.1'),
      prefixLength: 24,
      subnet: { first: parseAddress('10.244.0.0'), last: parseAddress('10.244.0.255') },
    });
    expect(parseGateway('10.244.0.1/32').subnet).toEqual(parseRange('10.244.0.1'));
  });

  it.each([
    ['10.244.0.0/24', 'is the subnet itself'],
    ['10.244.0.255/24', "is the subnet's broadcast, its last address, which is nobody's; write the gateway's address"],
  ])('is not %s, where the runtime would refuse every pod, and that is said', (text, problem) => {
    expect(() => parseGateway(text)).toThrow(`"${text}" ${problem}`);
  });

  it('may be either address of a /31, and any of a /32', () => {
    for (const text of ['10.244.0.0/31', '10.244.0.1/31', '10.244.0.255/32']) {
      expect(formatRange({ first: parseGateway(text).address, last: parseGateway(text).address })).toBe(
        text.split('/')[0],
      );
    }
  });

  it.each(['10.244.0.1', '10.244.0.1/0', '10.244.0.1/33', '10.244.0.01/24', 'fd00::1/64'])('is not %s', (text) => {
    expect(() => parseGateway(text)).toThrow(InvalidAddress);
  });
});

describe('a set of ranges', () => {
  it('unites, subtracts and intersects as the listed addresses do', () => {
    fc.assert(
      fc.property(smallSet, smallSet, (a, b) => {
        const [setA, setB] = [RangeSet.of(a), RangeSet.of(b)];
        const [listA, listB] = [listed(a), listed(b)];
        expectSameAddresses(setA, listA);
        expectSameAddresses(setA.union(setB), listA.union(listB));
        expectSameAddresses(setA.subtract(setB), listA.difference(listB));
        expectSameAddresses(setA.intersect(setB), listA.intersection(listB));
        for (let address = base; address < base + 64; address += 1) {
          expect(setA.contains(address)).toBe(listA.has(address));
        }
      }),
    );
  });

  it('costs for a /8 what it costs for a /29', () => {
    const eight = RangeSet.of([parseRange('10.0.0.0/8')]);
    expect(eight.size).toBe(16_777_216);
    expect(eight.subtract(RangeSet.of([parseRange('10.0.0.1')])).size).toBe(16_777_215);
    expect(eight.ranges).toHaveLength(1);
  });
});

describe('the CIDRs of ranges', () => {
  it('hold exactly the addresses of the ranges, and are few', () => {
    const anyRange = fc
      .tuple(fc.integer({ min: 0, max: MAX_ADDRESS }), fc.integer({ min: 0, max: MAX_ADDRESS }))
      .map(([a, b]): Range => ({ first: Math.min(a, b), last: Math.max(a, b) }));
    fc.assert(
      fc.property(fc.array(anyRange, { maxLength: 5 }), (ranges) => {
        const cidrs = toCidrs(ranges);
        const set = RangeSet.of(ranges);
        expect(RangeSet.of(cidrs.map(cidrToRange)).ranges).toEqual(set.ranges);
        expect(cidrs.length).toBeLessThanOrEqual(62 * set.ranges.length);
        for (const cidr of cidrs) expect(parseRange(formatCidr(cidr))).toEqual(cidrToRange(cidr));
      }),
    );
  });

  it('are one block where one block does, and both ends of the space work', () => {
    expect(toCidrs([parseRange('0.0.0.0/0')]).map(formatCidr)).toEqual(['0.0.0.0/0']);
    expect(toCidrs([parseRange('10.0.0.0-10.0.0.127'), parseRange('10.0.0.128/25')]).map(formatCidr)).toEqual([
      '10.0.0.0/24',
    ]);
    expect(toCidrs([parseRange('255.255.255.254-255.255.255.255')]).map(formatCidr)).toEqual(['255.255.255.254/31']);
    expect(toCidrs([parseRange('0.0.0.1-255.255.255.254')])).toHaveLength(62);
    expect(toCidrs([parseRange('10.244.10.0-10.244.90.0')]).map(formatCidr)).toEqual([
      '10.244.10.0/23',
      '10.244.12.0/22',
      '10.244.16.0/20',
      '10.244.32.0/19',
      '10.244.64.0/20',
      '10.244.80.0/21',
      '10.244.88.0/23',
      '10.244.90.0/32',
    ]);
  });
});
