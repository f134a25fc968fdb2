// SPDX-License-Identifier: Apache-2.0
// A result as a person reads it, and as a program does.
import type { BenchResult, Figure, Ratio, Table } from './bench.ts';

export function textOf(name: string, result: BenchResult): string {
  const tables = result.tables.map((table) => `${table.title}\n${aligned([table.columns, ...table.rows])}`);
  const ratios = rowsOf(result.ratios);
  const figures = rowsOf(result.figures ?? {});
  const heads = ['', 'value', 'aim', '', 'of'];
  const shown = [
    ...tables,
    ...(ratios.length > 0 ? [`${name}: ratios\n${aligned([heads, ...ratios])}`] : []),
    ...(figures.length > 0 ? [`${name}: figures\n${aligned([heads, ...figures])}`] : []),
    ...(result.notes ?? []),
  ];
  return shown.join('\n\n');
}

/** One line. */
export function jsonOf(name: string, rounds: number, result: BenchResult): string {
  const values = (of: Readonly<Record<string, Ratio | Figure>>): Record<string, number> =>
    Object.fromEntries(Object.entries(of).map(([key, { value }]) => [key, rounded(value)]));
  const aims = { ...result.ratios, ...result.figures };
  const missed = Object.keys(aims).filter((key) => isMissed(aims[key] as Ratio));
  return JSON.stringify({
    bench: name,
    rounds,
    ratios: values(result.ratios),
    figures: values(result.figures ?? {}),
    missed,
  });
}

function rowsOf(values: Readonly<Record<string, Ratio | Figure>>): string[][] {
  return Object.entries(values).map(([key, { value, aim, of }]) => {
    const wanted = aim === undefined ? '' : 'atLeast' in aim ? `>= ${aim.atLeast}` : `<= ${aim.atMost}`;
    const verdict = aim === undefined ? '' : isMissed({ value, aim, of }) ? 'missed' : 'held';
    return [key, String(rounded(value)), wanted, verdict, of];
  });
}

function isMissed({ value, aim }: Ratio): boolean {
  if (aim === undefined) return false;
  // Written so that NaN, the ratio of nothing, is missed too.
  return 'atLeast' in aim ? !(value >= aim.atLeast) : !(value <= aim.atMost);
}

/** Three digits that count. */
function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(Math.abs(value) >= 1000 ? 6 : 3));
}

function aligned(rows: ReadonlyArray<readonly Table['rows'][number][number][]>): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? String(rounded(cell)) : cell)));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return lines.map((line) => `  ${line}`.trimEnd()).join('\n');
}
