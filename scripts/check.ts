// SPDX-License-Identifier: Apache-2.0
// `npm run check`: all that can be said of the tree without running it. Every check runs, so that one call tells all.
import { join } from 'node:path';
import { root, run, say } from './steps.ts';

const bin = join(root, 'node_modules/.bin');
const biome = join(root, 'node_modules/@biomejs/cli-linux-x64/biome');

const checks: Array<{ name: string; program: string; args: string[] }> = [
  { name: 'types', program: join(bin, 'tsc'), args: ['--noEmit', '-p', '.'] },
  { name: 'lint', program: join(bin, 'oxlint'), args: ['--type-aware', '--deny-warnings'] },
  { name: 'format', program: biome, args: ['format', '--colors=off', '.'] },
  { name: 'generated', program: join(bin, 'node'), args: ['scripts/generate.ts', '--check'] },
  { name: 'tidy', program: join(bin, 'vitest'), args: ['run', '--project', 'tidy'] },
];

let failed = 0;
for (const { name, program, args } of checks) {
  const startedMs = Date.now();
  try {
    await run(program, args);
    say(`ok    ${name.padEnd(10)} ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
  } catch (error) {
    failed += 1;
    say(`FAILS ${name.padEnd(10)} ${error instanceof Error ? error.message : String(error)}`);
  }
}
process.exitCode = failed === 0 ? 0 : 1;
