// SPDX-License-Identifier: Apache-2.0
// `npm run bench -- NAME`: a table for people on stdout, with --json one line for programs as the last; progress goes to
// stderr. An aim that was missed is said, and is no failure of the command: machines differ.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { endPrograms } from '../scripts/steps.ts';
import { onStop } from '../scripts/stop-signals.ts';
import type { Bench } from './bench.ts';
import { jsonOf, textOf } from './report.ts';

const folder = dirname(fileURLToPath(import.meta.url));
const MAX_ROUNDS = 1000;

/** Every file `NAME.bench.ts` beside this one exports its `bench`. */
const names = readdirSync(folder)
  .flatMap((file) => /^(.+)\.bench\.ts$/.exec(file)?.[1] ?? [])
  .sort();

function roundsOf(text: string): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= MAX_ROUNDS) return rounds;
  throw new InvalidArgumentError(`give a whole number from 1 to ${MAX_ROUNDS}.`);
}

function nameOf(text: string): string {
  if (names.includes(text)) return text;
  throw new InvalidArgumentError(`there are: ${names.join(', ')}.`);
}

async function load(name: string): Promise<Bench> {
  return ((await import(join(folder, `${name}.bench.ts`))) as { bench: Bench }).bench;
}

async function run(name: string, options: { json?: true; rounds?: number; only?: string }): Promise<void> {
  const bench = await load(name);
  const rounds = options.rounds ?? bench.defaultRounds;
  const { only } = options;
  if (only !== undefined && bench.parts?.includes(only) !== true) {
    throw new Error(`--only ${only}: the parts of ${name} are ${bench.parts?.join(', ') ?? 'none'}`);
  }
  const startMs = performance.now();
  const say = (line: string): void => {
    process.stderr.write(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
  };
  const stop = new AbortController();
  onStop((signal, code) => {
    if (stop.signal.aborted) process.exit(code);
    process.exitCode = code;
    say(`${signal}: stopping; once more leaves at once`);
    stop.abort(new Error(`stopped by ${signal}`));
    endPrograms();
  });
  const result = await bench.run({ rounds, say, signal: stop.signal, ...(only === undefined ? {} : { only }) });
  process.stdout.write(`${textOf(name, result)}\n`);
  if (options.json === true) process.stdout.write(`${jsonOf(name, rounds, result)}\n`);
}

async function about(): Promise<string> {
  const benches = await Promise.all(names.map(load));
  const width = Math.max(...names.map((name) => name.length));
  return ['', 'Benchmarks:', ...benches.map((bench) => `  ${bench.name.padEnd(width)}  ${bench.about}`)].join('\n');
}

const program = new Command('bench')
  .description('Measures Fast against a named peer and the limit, on this machine, in interleaved rounds.')
  .argument('<name>', 'which benchmark', nameOf)
  .option('--json', 'one line of JSON as the last line')
  .option('--only <part>', 'one part of it, where it has parts')
  .option('--rounds <n>', 'how many interleaved rounds', roundsOf)
  .addHelpText('after', await about())
  .action(run);

await program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode ??= 1;
});
