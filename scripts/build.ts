// SPDX-License-Identifier: Apache-2.0
// `npm run build`: everything that is compiled, in the order that it depends on. Each step skips what is current.
import { buildBpf } from './build-bpf.ts';
import { buildCni } from './build-cni.ts';
import { buildCniPlugins } from './build-cni-plugins.ts';
import { buildImages } from './build-images.ts';
import { buildPrograms } from './build-programs.ts';
import type { Made } from './cached.ts';
import { interruptible } from './interruptible.ts';
import { say } from './steps.ts';

/** `signal` ends it between two steps; a step ends by itself, or by the terminal that tells all of its programs. */
export async function buildAll(signal?: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  const current: string[] = [];
  const build = async (results: () => Promise<Record<string, Made>>): Promise<void> => {
    signal?.throwIfAborted();
    for (const [name, made] of Object.entries(await results())) if (made === 'current') current.push(name);
  };
  await build(async () => ({ 'fast.bpf.o': await buildBpf() }));
  await build(async () => ({ 'fast-cni': await buildCni() }));
  await build(async () => ({ 'cni-plugins': await buildCniPlugins() }));
  await build(buildPrograms);
  await build(buildImages);
  signal?.throwIfAborted();
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (current.length > 0) say(`· already up to date: ${current.join(', ')}; ${seconds} s in all`);
}

if (import.meta.main) await interruptible('npm run build', buildAll);
