// SPDX-License-Identifier: Apache-2.0
// An agent of a build to come: the same sources, but each value of the pods' maps has a field more, in front. So its
// programs read no map of this build, nor this build's programs one of its maps.
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'esbuild';
import { compileBpf } from '../../scripts/build-bpf.ts';
import { packImage } from '../../scripts/build-images.ts';
import { bundleProgram } from '../../scripts/build-programs.ts';
import { images, imageTag } from '../../scripts/image-names.ts';
import { layoutModule } from '../../scripts/layout-module.ts';
import { cached } from '../../scripts/cached.ts';
import { buildFolder, hashOf, root } from '../../scripts/steps.ts';
import { layoutVersion } from '../../src/datapath/generated/layout.ts';

export const nextImage = `${images.agent.slice(0, -imageTag.length)}${imageTag}-next`;
export const nextLayoutVersion = layoutVersion + 1000;
export const nextArchive = join(buildFolder, 'images', 'agent-next.tar');

function edit(file: string, edits: ReadonlyArray<[from: RegExp, to: string]>): void {
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of edits) {
    if (!from.test(text)) throw new Error(`${file} has no ${from.source}: mend the edits in next-agent.ts`);
    text = text.replace(from, to);
  }
  writeFileSync(file, text);
}

function changeLayout(bpf: string): void {
  edit(join(bpf, 'layout.h'), [[/LAYOUT_VERSION \d+/, `LAYOUT_VERSION ${nextLayoutVersion}`]]);
  edit(join(bpf, 'local_pods.h'), [
    [/struct local_pod \{/, 'struct local_pod {\n\t__u32 spare;'],
    [/== 20,/, '== 24,'],
  ]);
  edit(join(bpf, 'cluster_pods.h'), [
    [/struct cluster_pod \{/, 'struct cluster_pod {\n\t__u32 spare;'],
    [/== 8,/, '== 12,'],
  ]);
}

/** Puts another layout in place of the generated one. */
function withLayout(text: string): Plugin {
  return {
    name: 'next-layout',
    setup(bundler) {
      bundler.onLoad({ filter: /\/src\/datapath\/generated\/layout\.ts$/ }, () => ({ contents: text, loader: 'ts' }));
    },
  };
}

async function build(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const [bpf, context] = [join(folder, 'bpf'), join(folder, 'context')];
  mkdirSync(context, { recursive: true });
  cpSync(join(root, 'bpf'), bpf, { recursive: true });
  changeLayout(bpf);
  await compileBpf(join(bpf, 'fast.bpf.c'), join(context, 'fast.bpf.o'));
  const layout = withLayout(layoutModule(bpf));
  await bundleProgram(join(root, 'src/node/main.ts'), join(context, 'agent.mjs'), [layout]);
  await bundleProgram(join(root, 'src/cli/main.ts'), join(context, 'fast-ctl.mjs'), [layout]);
  const file = join(folder, 'Containerfile');
  writeFileSync(file, 'ARG BASE\nFROM ${BASE}\nCOPY fast.bpf.o agent.mjs fast-ctl.mjs /opt/fast/\n');
  await packImage('agent-next', nextImage, file, context, { BASE: images.agent });
}

/** Makes the image's archive, unless it is current. */
export async function buildNextAgent(): Promise<void> {
  const sources = ['bpf', 'src', 'build/agent.mjs', 'test/cluster/next-agent.ts'].map((path) => join(root, path));
  await cached(nextArchive, {
    inputs: () => hashOf(sources, nextImage),
    make: async (path) => {
      await build(join(buildFolder, 'next-agent'));
      renameSync(nextArchive, path);
    },
  });
}
