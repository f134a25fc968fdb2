// SPDX-License-Identifier: Apache-2.0
// The command lines that the pages tell a person to type, as lists of words.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../scripts/steps.ts';

export const pages: readonly string[] = ['README.md', 'README.zh-CN.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'].concat(
  readdirSync(join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
);

export interface PageLine {
  readonly page: string;
  readonly words: readonly string[];
}

/** Of a shell's line: what is inside `$(…)` is a line of its own, and a word of the line around it. */
export function linesOf(text: string): string[][] {
  const inner: string[] = [];
  const outer = text.replaceAll(/\$\(([^()]*)\)/g, (_all, line: string) => {
    inner.push(line);
    return 'INNER';
  });
  const parts = [...inner, ...outer.split(/;|\||&&|\bdo\b/)].flatMap((part) => part.split(' -- '));
  return parts.map((part) =>
    part
      .replace(/(^|\s)#.*/, '')
      .trim()
      .split(/\s+/),
  );
}

/** The lines of `program` in code spans, which may break over lines, and in blocks that are for a shell. */
export function linesFor(program: string): PageLine[] {
  return pages.flatMap((page) => {
    const text = readFileSync(join(root, page), 'utf8');
    const blocks = [...text.matchAll(/^```(?:sh|console)\n([\s\S]*?)^```$/gm)].flatMap(([, body = '']) =>
      body
        .replaceAll('\\\n', ' ')
        .split('\n')
        .map((line) => line.replace(/^\$ /, '')),
    );
    const spans = [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
    return [...blocks, ...spans]
      .flatMap(linesOf)
      .filter(([first]) => first === program)
      .map((words) => ({ page, words }));
  });
}
