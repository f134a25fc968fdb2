// SPDX-License-Identifier: Apache-2.0
// What stands in the place of what while a simulation runs: the model of the kernel for packages/ebpf-native, and, for a
// build that is broken on purpose, a source file with one thing in it changed.
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { join, relative } from 'node:path';
import type { Mutant } from './mutants.ts';

const model = new URL('ebpf-native.ts', import.meta.url).href;
const root = join(import.meta.dirname, '..', '..');

/** Before anything of src is imported. @throws Error where a source is no longer what the mutant changes */
export function installHooks(mutant: Mutant | undefined): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier !== 'ebpf-native') return next(specifier, context);
      return { url: model, format: 'module-typescript', shortCircuit: true };
    },
    load: (url, context, next) => {
      const loaded = next(url, context);
      if (url === model) return { ...loaded, source: withAllNames(textOf(loaded.source)) };
      if (mutant === undefined || !url.startsWith('file:')) return loaded;
      const file = relative(root, fileURLToPath(url));
      const edits = mutant.edits.filter((edit) => edit.file === file);
      if (edits.length === 0) return loaded;
      const source = edits.reduce((text, { find, put }) => replaceOnce(text, find, put, file), textOf(loaded.source));
      return { ...loaded, source };
    },
  });
}

/** Modules that the agent's wires import name more of the package than is called here: those names are there, for nothing. */
function withAllNames(source: string): string {
  const index = readFileSync(join(root, 'packages/ebpf-native/src/index.ts'), 'utf8');
  const names = [...index.matchAll(/^export \{([^}]*)\}/gm)].flatMap((match) => (match[1] ?? '').split(','));
  const missing = names.map((name) => name.trim()).filter((name) => !new RegExp(`export .*\\b${name}\\b`).test(source));
  return [source, ...missing.map((name) => `export const ${name} = undefined;`)].join('\n');
}

function textOf(source: unknown): string {
  return typeof source === 'string' ? source : Buffer.from(source as Uint8Array).toString('utf8');
}

/** @throws Error where it is not there, or more than once */
export function replaceOnce(text: string, find: string, put: string, file: string): string {
  const parts = text.split(find);
  if (parts.length === 2) return parts.join(put);
  throw new Error(`${file} has ${parts.length - 1} places for a mutant's change, not one: ${find}`);
}
