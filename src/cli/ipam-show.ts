// SPDX-License-Identifier: Apache-2.0
// `fast-ctl ipam show`: how full each pool is, recounted from its records; of one pool, where in its ranges.
import type { Ips } from '../api/generated/ips.ts';
import { formatAddress } from '../ip/address.ts';
import { formatRange } from '../ip/range.ts';
import { RangeSet } from '../ip/range-set.ts';
import type { AddressBook } from '../reconcilers/address-book.ts';
import { cellLegend, fillBar, shadesOf } from './fill.ts';
import { fillOf, type Overlap, overlapsOf, sharesOf, textsOf } from './pool-fill.ts';
import type { Column, Row } from './table.ts';

const barWidth = 24;
const cellsPerRange = 64;

const count = (title: string, field: string, isWide = false): Column => ({
  title,
  field,
  isRightAligned: true,
  isWide,
});

const columns: readonly Column[] = [
  { title: 'POOL', field: 'pool', tone: (_text, { free }) => (free === 0 ? 'bad' : undefined) },
  { title: 'USAGE', field: 'usage', isWide: true },
  { title: 'SUBNET', field: 'subnet', isWide: true },
  count('TOTAL', 'total'),
  count('BOUND', 'bound'),
  count('COOLING', 'cooling'),
  count('RESERVED', 'reserved'),
  count('FREE', 'free'),
  { title: 'FILL', field: 'fill' },
];
const strayColumn = count('OUT-OF-RANGE', 'outOfRange');
const overlapColumn: Column = { title: 'OVERLAPS', field: 'overlapping' };

/** Pools that were shrunk below what is held, or that overlap, are rare, and most tables have no column for it. */
export function showColumns(rows: readonly Row[]): Column[] {
  const isAnyStray = rows.some(({ outOfRange }) => outOfRange !== 0);
  const isAnyOverlapping = rows.some(({ overlapping }) => overlapping !== undefined);
  return [...columns, ...(isAnyStray ? [strayColumn] : []), ...(isAnyOverlapping ? [overlapColumn] : [])];
}

export interface PoolRow extends Row {
  readonly pool: string;
  readonly free: number;
}

/** The pools that can be read, by name. `isForPeople` has pictures and sentences. */
export function showRows(book: AddressBook, isForPeople: boolean): PoolRow[] {
  const pools = book.pools().toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return pools.map(({ name, usage, gateway }) => {
    const counts = book.counts(name);
    const fill = fillOf(book, name);
    const subnet = `${formatAddress(gateway.address)}/${gateway.prefixLength}`;
    const overlaps = overlapsOf(book, name);
    const row = { pool: name, usage, subnet, ...counts };
    if (!isForPeople) return { ...row, usedElsewhere: fill.usedElsewhere, overlaps };
    const overlapping = overlaps.length === 0 ? {} : { overlapping: overlaps.map(overlapText).join('; ') };
    return { ...row, fill: fillBar(fill, barWidth), ...overlapping };
  });
}

function overlapText({ pool, sharedAddresses, heldThere }: Overlap): string {
  return `${pool}: ${sharedAddresses} shared, ${heldThere} held there`;
}

/** The pool's ranges for programs: as declared, what of them can be given out, and what became of each. */
export function rangesOf(book: AddressBook, { metadata: { name }, spec }: Ips): object {
  const ranges = (book.pool(name)?.declared ?? RangeSet.empty).ranges.map((range) => {
    const { used: bound, ...fill } = fillOf(book, name, RangeSet.of([range]));
    return { range: formatRange(range), bound, ...fill };
  });
  const { usable, free } = book.sets(name);
  return {
    declared: spec.ips,
    excluded: spec.excludeIPs ?? [],
    usable: textsOf(usable),
    freeRanges: textsOf(free),
    ranges,
  };
}

/** Where in a pool's ranges its addresses are taken, by whosever records. */
export function pictureOf(book: AddressBook, poolName: string): string {
  const lines = (book.pool(poolName)?.declared.ranges ?? []).map(
    (range) => `${formatRange(range)}\n  ${shadesOf(sharesOf(book, poolName, range, cellsPerRange))}\n`,
  );
  const overlaps = overlapsOf(book, poolName).map((each) => `overlaps ${overlapText(each)}\n`);
  return `${lines.join('')}${overlaps.join('')}${cellLegend}\n`;
}
