// SPDX-License-Identifier: Apache-2.0
// `-o`: the one way in which all commands print rows.
import { Option } from 'commander';
import { dump } from 'js-yaml';
import { formatTable, type Column, type Row } from './table.ts';
import { plain, type Paint } from './tones.ts';

export const outputFormats = ['table', 'wide', 'json', 'yaml'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** For commands that print rows; its value is in `options.output`. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to show it').choices(outputFormats).default('table');
}

export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** A value for a program to read, or undefined for the formats that are for people. */
export function formatData(value: unknown, output: OutputFormat): string | undefined {
  if (output === 'json') return formatJson(value);
  return output === 'yaml' ? dump(value, { noRefs: true, lineWidth: 120 }) : undefined;
}

/** Rows in any format. `nothing` is the sentence for people when there is no row, `width` that of their terminal. */
export function formatRows(
  columns: readonly Column[],
  rows: readonly Row[],
  output: OutputFormat,
  { nothing, paint = plain, width }: { nothing: string; paint?: Paint; width?: number | undefined },
): string {
  const data = formatData(rows, output);
  if (data !== undefined) return data;
  if (rows.length === 0) return `${nothing}\n`;
  if (output === 'wide') return formatTable(columns, rows, paint);
  const narrow = columns.filter((column) => column.isWide !== true);
  return formatTable(narrow, rows, paint, width);
}
