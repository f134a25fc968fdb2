// SPDX-License-Identifier: Apache-2.0
// The README's quick start as data: its blocks in their order, which the demo and the tests execute.
import { readFileSync } from 'node:fs';

export type Block = { kind: 'manifest'; yaml: string } | { kind: 'commands'; lines: string[] };

/** The yaml and console blocks of the section `## Quick start`. @throws Error if there is none. */
export function quickStartBlocks(): Block[] {
  const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const section = /^## Quick start\n([\s\S]*?)^## /m.exec(text)?.[1];
  if (section === undefined) throw new Error('README.md has no section "## Quick start"');
  const blocks = [...section.matchAll(/^```(yaml|console)\n([\s\S]*?)^```$/gm)].map(
    ([, language, body = '']): Block => {
      if (language === 'yaml') return { kind: 'manifest', yaml: body };
      const lines = body.split('\n').filter((line) => line.startsWith('$ '));
      return { kind: 'commands', lines: lines.map((line) => line.slice(2)) };
    },
  );
  if (blocks.length === 0) throw new Error('the section "## Quick start" of README.md has no yaml or console block');
  return blocks;
}
