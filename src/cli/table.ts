// SPDX-License-Identifier: Apache-2.0
// Rows as a person reads them: columns as kubectl prints them.
import { wrapped } from './wrap.ts';
import { plain, type Paint, type Tone } from './tones.ts';

/** By field name. JSON and YAML show every field, a table those that it has a column for. */
export type Row = Record<string, unknown>;

export interface Column {
  readonly title: string;
  readonly field: string;
  /** Shown by `-o wide` alone. */
  readonly isWide?: boolean;
  /** Numbers that are compared with each other. */
  readonly isRightAligned?: boolean;
  /** How the cell looks, by its text. */
  readonly tone?: (text: string, row: Row) => Tone | undefined;
}

const gap = '   ';
/** A last column that would be narrower than this is left to the terminal. */
const leastWrapped = 30;

function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(textOf).join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * Columns without blanks at the ends of lines, with a line break at the end. Colours are laid on after the widths are
 * known, since their bytes take no place on the screen. The last column's sentences are wrapped to a terminal's width, where
 * one is given.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly Row[],
  paint: Paint = plain,
  terminalWidth?: number,
): string {
  const texts = rows.map((row) => columns.map((column) => textOf(row[column.field])));
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...texts.map((line) => line[at]?.length ?? 0)));
  const pad = (text: string, at: number): string =>
    columns[at]?.isRightAligned === true ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0);
  const toned = (padded: string, tone: Tone | undefined): string =>
    tone === undefined ? padded : padded.replace(padded.trim(), (word) => paint(tone, word));
  const head = columns.map((column, at) => toned(pad(column.title, at), 'strong')).join(gap);
  const indent = widths.slice(0, -1).reduce((sum, width) => sum + width + gap.length, 0);
  const room = (terminalWidth ?? Infinity) - indent;
  const lines = texts.flatMap((line, row) => {
    const last = line.at(-1) ?? '';
    const [first = '', ...more] = room < leastWrapped || last.length <= room ? [last] : wrapped(last, room);
    const cells = [...line.slice(0, -1), first];
    const head = cells.map((text, at) => toned(pad(text, at), columns[at]?.tone?.(text, rows[row] ?? {}))).join(gap);
    return [head, ...more.map((text) => `${' '.repeat(indent)}${text}`)];
  });
  return `${[head, ...lines].map((line) => line.trimEnd()).join('\n')}\n`;
}
