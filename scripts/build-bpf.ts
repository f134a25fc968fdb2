// SPDX-License-Identifier: Apache-2.0
// Compiles the datapath's programs to build/fast.bpf.o. The object is portable between kernels (CO-RE), so it is built
// once and put into the agent's image.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cached, type Made } from './cached.ts';
import { buildFolder, hashOf, root, run, say, StepFailed, step } from './steps.ts';

const compiler = 'clang-14';
const flags = ['-O2', '-g', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-target', 'bpf'];

/** Where Debian keeps asm/types.h, which clang does not look for when it compiles for bpf. */
const architectures: Partial<Record<NodeJS.Architecture, string>> = {
  x64: '/usr/include/x86_64-linux-gnu',
  arm64: '/usr/include/aarch64-linux-gnu',
};

function headerFolder(): string {
  const folder = architectures[process.arch];
  if (folder === undefined)
    throw new StepFailed(`the programs are not built on ${process.arch}; x64 and arm64 are known`);
  if (!existsSync(join(folder, 'asm/types.h'))) {
    throw new StepFailed(`${folder}/asm/types.h is missing; run \`apt-get install linux-libc-dev\``);
  }
  if (!existsSync('/usr/include/bpf/bpf_helpers.h')) {
    throw new StepFailed('/usr/include/bpf/bpf_helpers.h is missing; run `apt-get install libbpf-dev`');
  }
  return folder;
}

/** Throws StepFailed with the compiler's words, or with the cure where it is missing. */
async function clang(words: string[]): Promise<string> {
  try {
    return await run(compiler, words);
  } catch (error) {
    const missing = error instanceof StepFailed && error.message.includes('ENOENT');
    throw missing ? new StepFailed(`${compiler} is missing; run \`apt-get install ${compiler}\``) : error;
  }
}

/** Compiles one program file; `defines` are NAME=VALUE. Throws StepFailed with the compiler's words, or with the cure
 * where the compiler or a header is missing. */
export async function compileBpf(source: string, output: string, defines: string[] = []): Promise<void> {
  const include = headerFolder();
  await mkdir(dirname(output), { recursive: true });
  const words = [...flags, ...defines.map((define) => `-D${define}`), '-I', include, '-I', join(root, 'bpf')];
  await clang([...words, '-c', source, '-o', output]);
}

async function build(source: string, output: string): Promise<Made> {
  const version = await clang(['--version']);
  // All headers that are installed, whether a program asks for them or not: some milliseconds, and none is forgotten.
  const headers = ['bpf', 'linux', 'asm-generic'].map((name) => join('/usr/include', name));
  const sources = [join(root, 'bpf'), ...headers, join(headerFolder(), 'asm')];
  return await cached(output, {
    inputs: () => hashOf(sources, version, ...flags),
    make: (path) => step(`compile ${source}`, () => compileBpf(join(root, source), path)),
  });
}

/** Makes build/fast.bpf.o, unless it was made from the same sources with the same flags. */
export async function buildBpf(): Promise<Made> {
  return await build('bpf/fast.bpf.c', join(buildFolder, 'fast.bpf.o'));
}

/** Makes what only tests load: build/test/tunnel-key.bpf.o. Returns its path. */
export async function buildTestBpf(): Promise<string> {
  const output = join(buildFolder, 'test/tunnel-key.bpf.o');
  await build('bpf/test/tunnel-key.bpf.c', output);
  return output;
}

if (import.meta.main) {
  try {
    await buildBpf();
  } catch (error) {
    say(`fast: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
