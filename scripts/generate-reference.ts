// SPDX-License-Identifier: Apache-2.0
// Writes the table of packets into docs/reference.md, from the counters of the datapath.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { counters } from '../src/datapath/generated/layout.ts';
import { writeOrCompare } from './generated-files.ts';
import { root } from './steps.ts';

const file = join(root, 'docs/reference.md');
const part = /(<!-- packets: [^\n]*-->\n)[\s\S]*?(<!-- end of packets -->)/;

export function generateReference(): void {
  const rows = counters
    .toSorted((a, b) => a.number - b.number)
    .map(({ program, verdict, reason, meaning }) => `| \`${program}\` | ${verdict} | \`${reason}\` | ${meaning} |`);
  const table = ['', '| program | verdict | reason | meaning |', '|---|---|---|---|', ...rows, ''].join('\n');
  writeOrCompare(file, readFileSync(file, 'utf8').replace(part, `$1${table}\n$2`));
}
