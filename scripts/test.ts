// SPDX-License-Identifier: Apache-2.0
// `npm test [TIER…]`: builds all that the tests run, then every tier from fast to slow, and counts. In CI a skip is a failure.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureKubernetes } from '../test/cluster/kubernetes.ts';
import { buildAll } from './build.ts';
import { buildFolder, endPrograms, root, say } from './steps.ts';
import { onStop } from './stop-signals.ts';

const tiers = ['pure', 'kernel', 'ship', 'api', 'cluster'] as const;
type Tier = (typeof tiers)[number];

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  numFailedTestSuites: number;
  success: boolean;
}

let running: ChildProcess | undefined;
onStop((signal, code) => {
  process.exitCode ??= code;
  endPrograms();
  // A terminal tells it by itself, a supervisor does not.
  running?.kill(signal);
});

/** Runs one tier, its output shown as it comes. A tier that ends without a report counts as one failed test. */
async function runTier(tier: Tier): Promise<Count> {
  const file = join(buildFolder, `test-${tier}.json`);
  rmSync(file, { force: true });
  const reporters = ['--reporter=verbose', '--reporter=json', `--outputFile.json=${file}`];
  const args = ['run', '--project', tier, ...reporters];
  const child = spawn(join(root, 'node_modules/.bin/vitest'), args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  running = child;
  await new Promise((resolve) => {
    child.on('close', resolve);
  });
  running = undefined;
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
    const skipped = report.numPendingTests + report.numTodoTests;
    // A file that fails to load has no failed test of its own.
    const failed = Math.max(report.numFailedTests, report.success ? 0 : 1);
    return { passed: report.numPassedTests, failed, skipped };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function chosenTiers(words: string[]): readonly Tier[] {
  const named = words.filter((word) => !word.startsWith('-'));
  const unknown = named.find((word) => !tiers.some((tier) => tier === word));
  if (unknown !== undefined) throw new Error(`there is no tier "${unknown}"; the tiers are ${tiers.join(', ')}`);
  return named.length === 0 ? tiers : tiers.filter((tier) => named.includes(tier));
}

async function main(words: string[]): Promise<void> {
  const chosen = chosenTiers(words);
  mkdirSync(buildFolder, { recursive: true });
  if (words.includes('--long')) process.env['FAST_TEST_LONG'] = '1';
  await buildAll();
  if (chosen.includes('api') || chosen.includes('cluster')) await ensureKubernetes(say);
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  for (const tier of chosen) {
    const startedMs = Date.now();
    const count = await runTier(tier);
    const seconds = Math.round((Date.now() - startedMs) / 1000);
    say(`tier ${tier}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped in ${seconds} s`);
    total.passed += count.passed;
    total.failed += count.failed;
    total.skipped += count.skipped;
    if (process.exitCode !== undefined) break;
  }
  if (process.env['CI'] !== undefined && total.skipped > 0) {
    say(`${total.skipped} skipped tests count as failed in CI`);
    total.failed += total.skipped;
    total.skipped = 0;
  }
  const skipped = total.skipped === 0 ? '' : `, ${total.skipped} skipped`;
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  process.exitCode ??= total.failed === 0 && total.passed > 0 ? 0 : 1;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  say(`fast: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode ??= 1;
}
