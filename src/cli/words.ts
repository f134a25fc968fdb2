// SPDX-License-Identifier: Apache-2.0
// What is wrong with the words of a command line before anybody looks at what they mean.
import { type Command, InvalidArgumentError } from 'commander';

/**
 * An empty word is mostly a variable of a script that was never set: kubectl takes such a flag as absent, and is then about
 * another cluster than was meant. @throws Error naming it
 */
export function refuseEmpty(command: Command): void {
  const cure = 'give it a value, or leave it out';
  const given: Record<string, unknown> = command.optsWithGlobals();
  for (let level: Command | null = command; level !== null; level = level.parent) {
    for (const option of level.options) {
      const value = given[option.attributeName()];
      const isEmpty = value === '' || (Array.isArray(value) && value.includes(''));
      if (isEmpty) throw new Error(`${option.long ?? option.flags} is empty; ${cure}`);
    }
  }
  const at = command.args.indexOf('');
  if (at < 0) return;
  const name = command.registeredArguments[Math.min(at, command.registeredArguments.length - 1)]?.name() ?? 'a word';
  throw new Error(`<${name}> is empty; ${cure}`);
}

/** The first word behind `help` that names no command; undefined where all do. */
export function unknownIn(program: Command, words: readonly string[]): string | undefined {
  let command: Command = program;
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next === undefined) return word;
    command = next;
  }
  return undefined;
}

/** For an option's argParser: a whole number in digits. `sentence` ends "argument … is invalid." */
export function wholeNumberOf(least: number, most: number, sentence: string): (text: string) => number {
  return (text) => {
    const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (count >= least && count <= most) return count;
    throw new InvalidArgumentError(sentence);
  };
}
