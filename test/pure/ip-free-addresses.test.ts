// SPDX-License-Identifier: Apache-2.0
// The free addresses of a pool against a plain set of numbers, and against the size that DESIGN.md asks for.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseAddress } from '../../src/ip/address.ts';
import { FreeAddresses } from '../../src/ip/free-addresses.ts';
import { parseRange } from '../../src/ip/range.ts';
import { RangeSet } from '../../src/ip/range-set.ts';

const base = parseAddress('10.0.0.0');

it('gives the lowest free address, whatever was taken and given back before', () => {
  const all = RangeSet.of([parseRange('10.0.0.2-10.0.0.9'), parseRange('10.0.0.16/29')]);
  const step = fc.record({ take: fc.boolean(), offset: fc.integer({ min: 0, max: 31 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const free = new FreeAddresses(all);
      const model = new Set<number>();
      for (let address = base; address < base + 32; address += 1) if (all.contains(address)) model.add(address);
      for (const { take, offset } of steps) {
        const address = base + offset;
        const there = all.contains(address);
        const isFree = model.has(address);
        if (take) {
          expect(free.take(address)).toBe(there ? (isFree ? 'taken' : 'alreadyTaken') : 'notHere');
          model.delete(address);
        } else {
          expect(free.giveBack(address)).toBe(there ? (isFree ? 'alreadyFree' : 'free') : 'notHere');
          if (there) model.add(address);
        }
        expect(free.lowest()).toBe(model.size === 0 ? undefined : Math.min(...model));
        expect(free.count).toBe(model.size);
        // A pool that pods come and go from for months must not end as thousands of ranges of one address.
        expect(free.ranges).toEqual(RangeSet.of([...model].map((each) => ({ first: each, last: each }))).ranges);
      }
      expect(free.total).toBe(16);
    }),
  );
});

it('hands out the whole of a pool of 20,481 addresses, and every second one again, in microseconds each', () => {
  const all = RangeSet.of([parseRange('10.244.10.0-10.244.90.0')]);
  const free = new FreeAddresses(all);
  const given: number[] = [];
  for (let address = free.lowest(); address !== undefined; address = free.lowest()) {
    free.take(address);
    given.push(address);
  }
  expect(given).toHaveLength(20_481);
  const startMs = performance.now();
  for (const address of given.filter((each) => each % 2 === 0).reverse()) free.giveBack(address);
  for (let address = free.lowest(); address !== undefined; address = free.lowest()) free.take(address);
  const perCallUs = ((performance.now() - startMs) * 1_000) / 20_480;
  expect(perCallUs).toBeLessThan(200);
});
