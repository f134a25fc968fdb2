// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM of the commands that npm begins: bench took one press, which npm passes on, for two and left at once; and
// whatever ended a command was told as Ctrl-C.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';

const folder = mkdtempSync(join(tmpdir(), 'fast-stop-'));
afterAll(() => rmSync(folder, { recursive: true }));

const script = join(folder, 'stop.ts');
writeFileSync(
  script,
  `import { onStop } from '${root}/scripts/stop-signals.ts';
onStop((signal, code) => console.log(signal, code));
console.log('begun');
setTimeout(() => undefined, 1_500);
`,
);

/** Its first words, and then what `act` leads to. */
async function told(words: string[], act: (child: ChildProcess) => unknown) {
  const child = spawn(process.execPath, words, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stdout.once('data', () => act(child));
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout };
}

describe('a press', () => {
  it('that comes by the terminal and by npm is met once, and the next one again', async () => {
    const { stdout } = await told([script], async (child) => {
      for (let i = 0; i < 3; i += 1) {
        child.kill('SIGINT');
        await wait(50);
      }
      await wait(600);
      child.kill('SIGTERM');
    });
    expect(stdout).toBe('begun\nSIGINT 130\nSIGTERM 143\n');
  });
});

describe('a command that npm began', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('and %s ended says so by its exit code', async (signal, wanted) => {
    const line = ['scripts/start.mjs', 'simulate', '--steps', '100000', '--trace'];
    const { code } = await told(line, (child) => child.kill(signal));
    expect(code).toBe(wanted);
  });
});
