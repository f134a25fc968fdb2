// SPDX-License-Identifier: Apache-2.0
// Ctrl-C of a command that builds: it used to end without a word.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';

const folder = mkdtempSync(join(tmpdir(), 'fast-interruption-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A script of two steps, of which the second takes long. */
const script = join(folder, 'build.ts');
writeFileSync(
  script,
  `import { interruptible } from '${root}/scripts/interruptible.ts';
import { run, step } from '${root}/scripts/steps.ts';
await interruptible('npm run build', async (signal) => {
  await step('the first', async () => undefined);
  signal.throwIfAborted();
  await step('the second', () => run('sleep', ['61.5']));
});
`,
);

async function stopped(signal: NodeJS.Signals): Promise<{ code: number; stderr: string }> {
  // To the script alone, as by a supervisor: no terminal tells the program that the step runs.
  const child = spawn(process.execPath, [script], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    if (stderr.endsWith('the second\n')) child.kill(signal);
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, stderr };
}

describe('a build that is stopped', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by %s says in which step, and that the next run goes on, and ends the step', async (signal, code) => {
    const shown = await stopped(signal);
    expect(shown.code).toBe(code);
    expect(shown.stderr.split('\n').slice(2)).toEqual([
      '· the second',
      '',
      `${signal}: stopping in the step "the second"`,
      'npm run build was stopped. Steps that had ended are kept: run again, it goes on with the one that was stopped.',
      '',
    ]);
  });
});
