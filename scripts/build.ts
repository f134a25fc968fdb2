// SPDX-License-Identifier: Apache-2.0
// `npm run build`: everything that is compiled, in the order that it depends on. Each step skips what is current.
import { mkdir } from 'node:fs/promises';
import { buildBpf } from './build-bpf.ts';
import { buildCni } from './build-cni.ts';
import { buildCniPlugins } from './build-cni-plugins.ts';
import { buildImages } from './build-images.ts';
import { buildPrograms } from './build-programs.ts';
import { buildFolder, say } from './steps.ts';

export async function buildAll(): Promise<void> {
  await mkdir(buildFolder, { recursive: true });
  await buildBpf();
  await buildCni();
  await buildCniPlugins();
  await buildPrograms();
  await buildImages();
}

if (import.meta.main) {
  try {
    await buildAll();
  } catch (error) {
    say(`fast: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
