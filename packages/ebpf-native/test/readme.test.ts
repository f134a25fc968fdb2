// SPDX-License-Identifier: Apache-2.0
// The README's examples, run in their order as its reader would run them. They get namespaces and a bpf file system of
// their own, so that their names and pins are nobody else's.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { makeFolder } from './workbench.ts';

const packageFolder = join(import.meta.dirname, '..');
const folder = makeFolder();
afterAll(() => folder.remove());

interface Block {
  language: string;
  text: string;
}

function blocksOf(markdown: string): Block[] {
  const found = markdown.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm);
  return Array.from(found, ([, language = '', text = '']) => ({ language, text }));
}

/** What the block itself says that it prints. */
function promises(text: string): string {
  return Array.from(text.matchAll(/\/\/ prints (.*)$/gm), ([, printed]) => `${printed}\n`).join('');
}

it('the README is true', () => {
  const blocks = blocksOf(readFileSync(join(packageFolder, 'README.md'), 'utf8'));
  mkdirSync(join(folder.path, 'node_modules'));
  symlinkSync(packageFolder, join(folder.path, 'node_modules/ebpf-native'));
  const script = ['set -e', 'mount -t bpf bpf /sys/fs/bpf', 'mkdir -p /run/netns', 'mount -t tmpfs tmpfs /run/netns'];
  const expected: string[] = [];
  for (const [at, { language, text }] of blocks.entries()) {
    if (language === 'c') writeFileSync(join(folder.path, 'program.bpf.c'), text);
    else if (language === 'sh') script.push(text);
    else {
      writeFileSync(join(folder.path, `${at}.mts`), text);
      script.push(`'${process.execPath}' ${at}.mts`);
      expected.push(promises(text));
    }
  }
  const printed = execFileSync('unshare', ['--mount', '--net', 'sh', '-c', script.join('\n')], {
    cwd: folder.path,
    encoding: 'utf8',
  });
  expect(printed).toBe(expected.join(''));
  expect(expected.every((block) => block !== '')).toBe(true);
  expect(expected.length).toBeGreaterThanOrEqual(6);
});
