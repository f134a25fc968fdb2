// SPDX-License-Identifier: Apache-2.0
// The package as its users get it: packed by npm, installed into another folder, used from JavaScript and TypeScript.
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { execFileSync } from 'node:child_process';
import { makeFolder } from './workbench.ts';

const repository = join(import.meta.dirname, '../../..');
const modules = join(repository, 'node_modules');
const folder = makeFolder();
afterAll(() => folder.remove());

function run(cwd: string, program: string, ...words: string[]): string {
  const env = { ...process.env, PATH: `${join(modules, '.bin')}:${process.env['PATH']}` };
  return execFileSync(program, words, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A copy of the sources, since npm changes files in the folder that it packs. */
function packed(): string {
  const copy = join(folder.path, 'packages/ebpf-native');
  const source = join(repository, 'packages/ebpf-native');
  mkdirSync(copy, { recursive: true });
  for (const name of ['src', 'package.json', 'README.md', 'pack.mjs', 'tsconfig.build.json']) {
    cpSync(join(source, name), join(copy, name), { recursive: true });
  }
  cpSync(join(repository, 'LICENSE'), join(folder.path, 'LICENSE'));
  symlinkSync(modules, join(folder.path, 'node_modules'));
  run(copy, 'npm', 'pack', '--offline', '--pack-destination', folder.path);
  expect(readFileSync(join(copy, 'package.json'), 'utf8')).toBe(readFileSync(join(source, 'package.json'), 'utf8'));
  return join(folder.path, 'ebpf-native-0.1.0.tgz');
}

const consumer = `
import { BpfMap, codecs, probeTcx, TypedMap } from 'ebpf-native';
const map = BpfMap.create({ type: 'hash', name: 'elsewhere', keySize: 4, valueSize: 4, maxEntries: 4 });
const typed = new TypedMap(map, codecs.addressBe, codecs.u32);
typed.set('10.244.10.0', 7);
console.log(typed.entries(), probeTcx());
map.close();
`;

it('npm pack makes what installs and runs elsewhere', () => {
  const elsewhere = join(folder.path, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'package.json'), '{ "type": "module", "private": true }');
  // koffi comes from the repository's own installation: no registry is asked.
  const koffi = [join(modules, 'koffi'), join(modules, '@koromix/koffi-linux-x64')];
  run(elsewhere, 'npm', 'install', '--offline', '--install-links', '--no-audit', '--no-fund', packed(), ...koffi);
  writeFileSync(join(elsewhere, 'consumer.mts'), consumer);
  expect(run(elsewhere, process.execPath, 'consumer.mts')).toBe("[ [ '10.244.10.0', 7 ] ] yes\n");
  const wrong = consumer.replace("'10.244.10.0', 7", "'10.244.10.0', 'seven'");
  writeFileSync(join(elsewhere, 'wrong.mts'), wrong);
  const check = [
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--types',
    'node',
    '--typeRoots',
    join(modules, '@types'),
  ];
  expect(run(elsewhere, 'tsc', ...check, '--ignoreConfig', 'consumer.mts')).toBe('');
  expect(() => run(elsewhere, 'tsc', ...check, '--ignoreConfig', 'wrong.mts')).toThrow(/Command failed/);
});
