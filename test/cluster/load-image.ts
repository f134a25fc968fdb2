// SPDX-License-Identifier: Apache-2.0
// Brings an image archive into the machines' containerd, which is what a pull from a registry would do. What a machine
// holds already under that name is not imported again: unpacking costs seconds per machine.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execOn } from './machine.ts';
import { machineFolder } from './paths.ts';
import { run } from './run.ts';

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

interface DockerManifest {
  RepoTags?: string[];
}
interface OciIndex {
  manifests: { annotations?: Record<string, string> }[];
}

/** The full names of the images in a docker or OCI archive. @throws Error if it holds none. */
async function imageNames(archive: string): Promise<string[]> {
  const docker = await run(['tar', '-xOf', archive, 'manifest.json']);
  if (docker.code === 0) return (JSON.parse(docker.stdout) as DockerManifest[]).flatMap((one) => one.RepoTags ?? []);
  const oci = await run(['tar', '-xOf', archive, 'index.json']);
  if (oci.code !== 0)
    throw new Error(`${archive}: neither a docker archive (manifest.json) nor an OCI one (index.json)`);
  const annotated = (JSON.parse(oci.stdout) as OciIndex).manifests;
  return annotated.flatMap((one) => one.annotations?.['io.containerd.image.name'] ?? []);
}

/** Imports `archive` on one machine. Answers whether that was necessary. */
async function loadOn(
  machine: string,
  archive: string,
  names: string[],
  digest: string,
): Promise<'loaded' | 'present'> {
  const folder = join(machineFolder(machine), 'disk', 'loaded-images');
  const notes = names.map((name) => join(folder, encodeURIComponent(name)));
  if (notes.every((note) => existsSync(note) && readFileSync(note, 'utf8') === digest)) return 'present';
  const result = await execOn(machine, ['ctr', '--namespace', 'k8s.io', 'images', 'import', archive]);
  if (result.code !== 0) throw new Error(`${machine}: cannot import ${archive}: ${result.stderr}${result.stdout}`);
  mkdirSync(folder, { recursive: true });
  for (const note of notes) writeFileSync(note, digest);
  return 'loaded';
}

/** Imports an archive on every machine of `machines` that does not hold it. Answers on which it was loaded. */
export async function loadArchive(archive: string, machines: readonly string[]): Promise<string[]> {
  const [names, digest] = await Promise.all([imageNames(archive), fileDigest(archive)]);
  if (names.length === 0) {
    throw new Error(
      `${basename(archive)}: no image in it has a name; write it with "buildah push IMAGE docker-archive:FILE:NAME"`,
    );
  }
  const results = await Promise.all(
    machines.map(async (machine) => ({ machine, result: await loadOn(machine, archive, names, digest) })),
  );
  return results.filter((one) => one.result === 'loaded').map((one) => one.machine);
}
