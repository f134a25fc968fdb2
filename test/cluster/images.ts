// SPDX-License-Identifier: Apache-2.0
// The two images that the cluster itself needs, made by hand from what Debian has: no image registry can be reached.
// `pause` holds a pod's namespaces, `busybox` is what tests and people run.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imagesFolder } from './paths.ts';
import type { Say } from './progress.ts';
import { step } from './progress.ts';
import { must } from './run.ts';

export const pauseImage = 'registry.k8s.io/pause:3.10';
const busyboxImage = 'docker.io/library/busybox:latest';
const layoutVersion = 1; // Part of the archives' names: raise it when what is written below changes.

const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

function addBlob(layout: string, mediaType: string, data: Buffer | string): Descriptor {
  const digest = sha256(data);
  writeFileSync(join(layout, 'blobs', 'sha256', digest), data);
  return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(data) };
}

/** Writes a one-layer OCI archive of the folder `root` to `archive`. OCI image layout specification 1.0. */
async function writeArchive(
  work: string,
  root: string,
  name: string,
  command: string[],
  archive: string,
): Promise<void> {
  const layout = join(work, 'layout');
  mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true });
  const layer = join(work, 'layer.tar');
  await must(['tar', '-C', root, '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '-cf', layer, '.']);
  const layerBlob = addBlob(layout, 'application/vnd.oci.image.layer.v1.tar', readFileSync(layer));
  const configuration = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Cmd: command, Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'] },
    rootfs: { type: 'layers', diff_ids: [layerBlob.digest] },
  };
  const configurationBlob = addBlob(layout, 'application/vnd.oci.image.config.v1+json', JSON.stringify(configuration));
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = { schemaVersion: 2, mediaType, config: configurationBlob, layers: [layerBlob] };
  const manifestBlob = addBlob(layout, mediaType, JSON.stringify(manifest));
  const annotations = { 'io.containerd.image.name': name };
  const index = { schemaVersion: 2, manifests: [{ ...manifestBlob, annotations }] };
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await must(['tar', '-C', layout, '-cf', archive, 'blobs', 'index.json', 'oci-layout']);
}

async function pauseRoot(root: string): Promise<void> {
  const program = join(import.meta.dirname, 'pause.c');
  await must(['gcc', '-static', '-Os', '-s', '-o', join(root, 'pause'), program]);
}

async function busyboxRoot(root: string): Promise<void> {
  for (const folder of ['bin', 'etc', 'root']) mkdirSync(join(root, folder));
  mkdirSync(join(root, 'tmp'), { mode: 0o1777 });
  cpSync('/bin/busybox', join(root, 'bin', 'busybox'), { dereference: true });
  const applets = (await must(['/bin/busybox', '--list'])).split('\n').filter((name) => /^[^/]+$/.test(name));
  for (const applet of applets) {
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  }
  writeFileSync(
    join(root, 'etc', 'passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  );
  writeFileSync(join(root, 'etc', 'group'), 'root:x:0:\nnogroup:x:65534:\n');
}

async function ensureImage(
  file: string,
  name: string,
  command: string[],
  fill: (root: string) => Promise<void>,
): Promise<string> {
  const archive = join(imagesFolder, file);
  if (existsSync(archive)) return archive;
  const work = mkdtempSync(join(imagesFolder, '.making-'));
  try {
    const root = join(work, 'root');
    mkdirSync(root, { mode: 0o755 });
    await fill(root);
    await writeArchive(work, root, name, command, join(work, 'archive.tar'));
    renameSync(join(work, 'archive.tar'), archive);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return archive;
}

/** Makes both images unless they are in the cache. Gives the archives' paths. */
export async function ensureImages(say: Say): Promise<string[]> {
  mkdirSync(imagesFolder, { recursive: true });
  const pauseHash = sha256(readFileSync(join(import.meta.dirname, 'pause.c'))).slice(0, 12);
  const busybox = statSync('/bin/busybox');
  const pause = `pause-${layoutVersion}-${pauseHash}.tar`;
  const box = `busybox-${layoutVersion}-${busybox.size}-${Math.floor(busybox.mtimeMs / 1000)}.tar`;
  return step(say, 'images pause and busybox at hand', async () => [
    await ensureImage(pause, pauseImage, ['/pause'], pauseRoot),
    await ensureImage(box, busyboxImage, ['sh'], busyboxRoot),
  ]);
}
