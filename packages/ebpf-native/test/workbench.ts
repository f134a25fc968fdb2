// SPDX-License-Identifier: Apache-2.0
// What the tests of this package stand on: the fixture compiled by clang, a bpf file system and namespaces of their own.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Netns } from '../src/index.ts';

const source = join(import.meta.dirname, 'fixture.bpf.c');
const headers: Partial<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

export function run(command: string, ...words: string[]): string {
  return execFileSync(command, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** An empty folder, and how it is taken away. */
export function makeFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'ebpf-native-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Compiles the fixture with these definitions and answers the object's path. */
export function compileFixture(folder: string, ...definitions: string[]): string {
  const output = join(folder, `fixture${definitions.join('')}.bpf.o`.replaceAll(/[^\w.]/g, '-'));
  const defined = definitions.map((definition) => `-D${definition}`);
  const include = `-I/usr/include/${headers[process.arch] ?? ''}`;
  run('clang-14', '-O2', '-g', '-Wall', '-Werror', '-target', 'bpf', include, ...defined, '-c', source, '-o', output);
  return output;
}

/** Mounts a bpf file system that nobody else uses. */
export function mountBpffs(): { path: string; remove: () => void } {
  const { path, remove } = makeFolder();
  run('mount', '-t', 'bpf', 'ebpf-native-test', path);
  return {
    path,
    remove: () => {
      run('umount', path);
      remove();
    },
  };
}

/** A named namespace with its loopback up. */
export function makeNetns(suffix: string): { netns: Netns; name: string; remove: () => void } {
  const name = `ebpf-native-${process.pid}-${suffix}`;
  run('ip', 'netns', 'add', name);
  run('ip', '-n', name, 'link', 'set', 'lo', 'up');
  const netns = Netns.open(`/run/netns/${name}`);
  return {
    netns,
    name,
    remove: () => {
      netns.close();
      run('ip', 'netns', 'del', name);
    },
  };
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}
