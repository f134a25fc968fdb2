// SPDX-License-Identifier: Apache-2.0
// Sentences on a terminal that is narrower than they are.
import { commandStart } from './same-cluster.ts';

/** A command, of ours or of a node's shell, stays on one line, however long: so it can be copied. */
const pieces = new RegExp(String.raw`(?:${commandStart}|\bss (?=-))[^;,]*[;,]?|\S+`, 'g');

/** Lines of at most `width` characters, broken between words. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const [piece] of text.matchAll(pieces)) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + piece.length > width) lines.push(piece);
    else lines[lines.length - 1] = `${line} ${piece}`;
  }
  return lines;
}

/** Where the terminal's width is not known. */
const pageWidth = 120;

export function paragraph(text: string, width = pageWidth): string {
  return `${wrapped(text, width).join('\n')}\n`;
}
