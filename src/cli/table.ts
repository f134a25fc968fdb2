// SPDX-License-Identifier: Apache-2.0
// Rows as a person or a program reads them: columns as kubectl prints them, or JSON.

export type Cell = string | number | boolean;
/** By field name. JSON shows every field, a table those that it has a column for. */
export type Row = Record<string, Cell>;

export interface Column {
  title: string;
  field: string;
}

export const outputFormats = ['table', 'json'] as const;
export type OutputFormat = (typeof outputFormats)[number];

const gap = '   ';

/** Left-aligned columns, without blanks at the ends of lines; with a line break at the end. */
export function formatTable(columns: readonly Column[], rows: readonly Row[]): string {
  const cells = [columns.map((c) => c.title), ...rows.map((row) => columns.map((c) => String(row[c.field] ?? '')))];
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)));
  const lines = cells.map((line) =>
    line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join(gap)
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
