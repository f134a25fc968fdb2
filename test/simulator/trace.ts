// SPDX-License-Identifier: Apache-2.0
// What happened, in words: the last of it for whoever asks why, and all of it as one number, by which two runs are equal
// or not.
import { createHash, type Hash } from 'node:crypto';

const kept = 60_000;

export class Trace {
  readonly #hash: Hash = createHash('sha256');
  readonly #now: () => number;
  readonly #print: ((line: string) => void) | undefined;
  /** A ring of the last lines. */
  readonly #lines: string[] = [];
  #count = 0;

  constructor(now: () => number, print?: (line: string) => void) {
    this.#now = now;
    this.#print = print;
  }

  say(text: string): void {
    const line = `${(this.#now() / 1_000).toFixed(3).padStart(9)} s  ${text}`;
    this.#hash.update(line);
    this.#lines[this.#count % kept] = line;
    this.#count += 1;
    this.#print?.(line);
  }

  /** The last lines that name one of the things. */
  about(things: readonly string[], limit: number): string[] {
    const from = this.#count > kept ? this.#count % kept : 0;
    const inOrder = [...this.#lines.slice(from), ...this.#lines.slice(0, from)];
    return inOrder.filter((line) => things.some((thing) => names(line, thing))).slice(-limit);
  }

  /** Equal for two runs in which the same happened. Ends the trace's count. */
  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16);
  }
}

/** 10.1.0.1 is not named by 10.1.0.10. */
function names(line: string, thing: string): boolean {
  const at = line.indexOf(thing);
  return at >= 0 && !/[0-9]/.test(line[at + thing.length] ?? ' ');
}
