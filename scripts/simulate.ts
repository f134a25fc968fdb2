// SPDX-License-Identifier: Apache-2.0
// `npm run simulate`: the real controllers and agents in a world of chance. A seed that breaks an invariant is told with
// what happened before, and with the command that plays it again.
import { Command, InvalidArgumentError, Option } from 'commander';
import { installHooks } from '../test/simulator/hooks.ts';
import { mutants } from '../test/simulator/mutants.ts';
import type { Verdict } from '../test/simulator/simulation.ts';

interface Flags {
  seed: number;
  seeds: number;
  steps: number;
  mutant?: string;
  trace?: boolean;
  output: 'text' | 'json';
}

const command = new Command('simulate')
  .description('plays the real controllers and agents against an API server in memory, with faults, by a seed')
  .option('--seed <S>', 'the first seed', whole, 1)
  .option('--seeds <N>', 'how many seeds from there on', whole, 1)
  .option('--steps <N>', 'steps of each seed, before the quiet time at its end', whole, 1_000)
  .addOption(
    new Option('--mutant <name>', 'a build that is broken on purpose').choices(mutants.map(({ name }) => name)),
  )
  .option('--trace', 'prints all that happens')
  .addOption(new Option('-o, --output <form>', 'what is printed').choices(['text', 'json']).default('text'));
command.parse();
const flags = command.opts<Flags>();

function whole(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new InvalidArgumentError('write a whole number');
  return Number(text);
}

function say(line: string): void {
  if (flags.output === 'text') process.stdout.write(`${line}\n`);
}

function tell({ seed, steps, broken, story }: Verdict): void {
  say(`seed ${seed}: after ${steps} steps invariant ${broken?.invariant} is broken: ${broken?.text}`);
  say('What happened to what it is about, last:');
  for (const line of story) say(`  ${line}`);
  const mutant = flags.mutant === undefined ? '' : ` --mutant '${flags.mutant}'`;
  say(`Play it again: npm run simulate -- --seed ${seed} --steps ${flags.steps}${mutant} --trace`);
}

installHooks(mutants.find(({ name }) => name === flags.mutant));
const { Simulation } = await import('../test/simulator/simulation.ts');
process.on('unhandledRejection', (error) => {
  throw error;
});

const startMs = performance.now();
let saidMs = startMs;
let steps = 0;
let verdict: Verdict | undefined;
for (let seed = flags.seed; seed < flags.seed + flags.seeds && verdict?.broken === undefined; seed += 1) {
  const print = flags.trace === true ? say : undefined;
  verdict = await new Simulation({ seed, steps: flags.steps, print }).run();
  steps += verdict.steps;
  if (performance.now() - saidMs < 5_000) continue;
  saidMs = performance.now();
  say(`${seed - flags.seed + 1} of ${flags.seeds} seeds, ${steps} steps, ${Math.round((saidMs - startMs) / 1_000)} s`);
}
if (verdict?.broken !== undefined) tell(verdict);
else say(`${flags.seeds} seeds, ${steps} steps, no invariant broken; the last digest is ${verdict?.digest}`);
if (flags.output === 'json') {
  const { broken, digest, seed, lastedMs } = verdict ?? {};
  process.stdout.write(`${JSON.stringify({ seeds: flags.seeds, seed, steps, lastedMs, digest, broken })}\n`);
}
process.exit(verdict?.broken === undefined ? 0 : 1);
