// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { interleaved, median, pairedRatio, percentile } from '../../bench/bench.ts';
import { jsonOf, textOf } from '../../bench/report.ts';

describe('a benchmark', () => {
  it('takes the middle of what it measured', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(() => median([])).toThrow('the median of nothing');
  });

  it('takes the value that the share does not exceed', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(percentile(hundred, 0.99)).toBe(99);
    expect(percentile(hundred, 1)).toBe(100);
    expect(percentile([7], 0.5)).toBe(7);
  });

  it('lets each contestant begin a round in turn', async () => {
    const order: string[] = [];
    const entry = (name: string) => async (round: number) => order.push(`${name}${round}`);
    const run = { rounds: 2, say: () => undefined, signal: new AbortController().signal };
    await interleaved({ a: entry('a'), b: entry('b') }, run);
    expect(order).toEqual(['a0', 'b0', 'b1', 'a1']);
  });

  it('compares what ran side by side, so that a machine that slows down changes nothing', () => {
    expect(pairedRatio([2, 4, 8], [1, 2, 4])).toBe(2);
  });

  it('says which aims were missed, nonsense included', () => {
    const of = 'ours / theirs';
    const ratios = {
      good: { value: 0.9123, aim: { atLeast: 0.85 }, of },
      slow: { value: 1.4, aim: { atMost: 1.3 }, of },
      none: { value: Number.NaN, aim: { atMost: 1 }, of },
      free: { value: 3, of },
    };
    const result = { tables: [{ title: 'T', columns: ['who', 'ms'], rows: [['ours', 1.23456]] }], ratios };
    expect(JSON.parse(jsonOf('x', 5, result))).toEqual({
      bench: 'x',
      rounds: 5,
      ratios: { good: 0.912, slow: 1.4, none: null, free: 3 },
      figures: {},
      missed: ['slow', 'none'],
    });
    expect(textOf('x', result).split('\n')).toEqual([
      'T',
      '  who   ms',
      '  ours  1.23',
      '',
      'x: ratios',
      '        value  aim              of',
      '  good  0.912  >= 0.85  held    ours / theirs',
      '  slow  1.4    <= 1.3   missed  ours / theirs',
      '  none  NaN    <= 1     missed  ours / theirs',
      '  free  3                       ours / theirs',
    ]);
  });
});
