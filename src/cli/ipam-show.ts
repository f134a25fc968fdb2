// SPDX-License-Identifier: Apache-2.0
// `fast-ctl ipam show`: how full each pool is, recounted from its records; of one pool, where in its ranges.
import { formatAddress, parseAddress } from '../ip/address.ts';
import { formatRange, type Range, rangeSize } from '../ip/range.ts';
import type { AddressBook } from '../reconcilers/address-book.ts';
import { cellLegend, fillBar, shadesOf } from './fill.ts';
import type { Column, Row } from './table.ts';

const barWidth = 24;
const cellsPerRange = 64;

const count = (title: string, field: string, isWide = false): Column => ({
  title,
  field,
  isRightAligned: true,
  isWide,
});

export const showColumns: readonly Column[] = [
  { title: 'POOL', field: 'pool', tone: (_text, { free }) => (free === 0 ? 'bad' : undefined) },
  { title: 'USAGE', field: 'usage', isWide: true },
  { title: 'SUBNET', field: 'subnet', isWide: true },
  count('TOTAL', 'total'),
  count('BOUND', 'bound'),
  count('COOLING', 'cooling'),
  count('RESERVED', 'reserved'),
  count('FREE', 'free'),
  count('OUT-OF-RANGE', 'outOfRange', true),
  { title: 'FILL', field: 'fill' },
];

export interface PoolRow extends Row {
  readonly pool: string;
  readonly free: number;
}

/** The pools that can be read, by name. `withPicture` is for people. */
export function showRows(book: AddressBook, withPicture: boolean): PoolRow[] {
  const pools = book.pools().toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return pools.map(({ name, usage, gateway }) => {
    const counts = book.counts(name);
    const { total, bound, cooling, reserved, outOfRange } = counts;
    // What drains takes no place in the pool any more.
    const bar = fillBar(Math.max(0, bound - outOfRange), cooling + reserved, total, barWidth);
    const subnet = `${formatAddress(gateway.address)}/${gateway.prefixLength}`;
    return { pool: name, usage, subnet, ...counts, ...(withPicture ? { fill: bar } : {}) };
  });
}

/** Where in a pool's ranges its addresses are taken. */
export function pictureOf(book: AddressBook, poolName: string): string {
  const pool = book.pool(poolName);
  const taken = book
    .byPool(poolName)
    .map(({ metadata }) => parseAddress(metadata.name))
    .sort((a, b) => a - b);
  const lines = (pool?.declared.ranges ?? []).map(
    (range) => `${formatRange(range)}\n  ${shadesOf(sharesOf(range, taken))}`,
  );
  return `${lines.join('\n')}\n${cellLegend}\n`;
}

/** The share taken of each cell of the range; a range of fewer addresses has a cell for each. */
function sharesOf(range: Range, taken: readonly number[]): number[] {
  const size = rangeSize(range);
  const cells = Math.min(cellsPerRange, size);
  const counts = Array.from({ length: cells }, () => 0);
  for (const address of taken) {
    if (address < range.first || address > range.last) continue;
    const cell = Math.floor(((address - range.first) * cells) / size);
    counts[cell] = (counts[cell] ?? 0) + 1;
  }
  return counts.map((each, cell) => each / (Math.ceil(((cell + 1) * size) / cells) - Math.ceil((cell * size) / cells)));
}
