// SPDX-License-Identifier: Apache-2.0
// docs/datapath.md and the programs list the same verdicts and reasons, in the same words.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { counters } from '../../src/datapath/generated/layout.ts';

const page = readFileSync(new URL('../../docs/datapath.md', import.meta.url), 'utf8');

/** The rows of a program's two tables, as `verdict reason meaning`. */
function rowsOf(program: string): string[] {
  const section = page.split(`### \`${program}\`: `)[1]?.split(/^##/m)[0] ?? '';
  const cells = section
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| verdict') && !line.startsWith('| dropped'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  return cells.map(([, first = '', second = '', third = '']) =>
    first === 'next' || first === 'redirect' ? `${first} ${second} ${third}` : `drop ${first} ${second}`,
  );
}

it.each([...new Set(counters.map(({ program }) => program))])('documents %s', (program) => {
  const own = counters.filter((one) => one.program === program);
  const wanted = own.map(({ verdict, reason, meaning }) => `${verdict} ${reason} ${meaning}`);
  expect(rowsOf(program).toSorted()).toEqual(wanted.toSorted());
});

it('says what to do about every drop', () => {
  const rows = page
    .split('\n')
    .filter((line) => counters.some(({ drop, reason }) => drop && line.startsWith(`| ${reason} |`)));
  expect(rows).toHaveLength(counters.filter(({ drop }) => drop).length);
  expect(rows.filter((row) => (row.split('|')[3] ?? '').trim() === '')).toEqual([]);
});
