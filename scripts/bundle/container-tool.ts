// SPDX-License-Identifier: Apache-2.0
// A stand-in for docker. OLM's validator asks it which platforms an image is for, and would pull the image from a
// registry; ours are archives that the build has just made, so their own configuration answers.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageArchive } from '../build-images.ts';
import { images } from '../image-names.ts';
import { buildFolder, run } from '../steps.ts';

interface ImageConfig {
  architecture: string;
  os: string;
}

async function platformOf(archive: string): Promise<ImageConfig> {
  const fromArchive = async <T>(path: string): Promise<T> => JSON.parse(await run('tar', ['-xOf', archive, path])) as T;
  const [manifest] = await fromArchive<Array<{ Config: string }>>('manifest.json');
  if (manifest === undefined) throw new Error(`${archive} holds no image`);
  const { architecture, os } = await fromArchive<ImageConfig>(manifest.Config);
  return { architecture, os };
}

/** A folder to put on PATH, with a `docker` in it that knows our images alone. */
export async function containerTool(): Promise<string> {
  const folder = join(buildFolder, 'container-tool');
  mkdirSync(folder, { recursive: true });
  const cases: string[] = [];
  for (const name of ['controller', 'agent'] as const) {
    const answer = JSON.stringify({ manifests: [{ platform: await platformOf(imageArchive(name)) }] });
    cases.push(`  "pull ${images[name]}") ;;`, `  "manifest inspect ${images[name]}") echo '${answer}' ;;`);
  }
  const script = ['#!/bin/sh', 'case "$*" in', ...cases, '  *) echo "no such image: $*" >&2; exit 1 ;;', 'esac', ''];
  writeFileSync(join(folder, 'docker'), script.join('\n'));
  chmodSync(join(folder, 'docker'), 0o755);
  return folder;
}
