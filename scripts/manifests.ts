// SPDX-License-Identifier: Apache-2.0
// The manifests in config/ and crds/ as objects: the one source of both installs. Only `resources` of a kustomization
// are followed, since the base needs nothing else.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { load, loadAll } from 'js-yaml';
import { root } from './steps.ts';

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  [field: string]: unknown;
}

/** Everything that a kustomization's folder brings, in its order. */
export function manifestsOf(folder: string): Manifest[] {
  const { resources } = load(readFileSync(join(root, folder, 'kustomization.yaml'), 'utf8')) as { resources: string[] };
  return resources.flatMap((name) => {
    const path = join(folder, name);
    if (statSync(join(root, path)).isDirectory()) return manifestsOf(path);
    return loadAll(readFileSync(join(root, path), 'utf8')) as Manifest[];
  });
}

export function ofKind(manifests: readonly Manifest[], kind: string): Manifest[] {
  return manifests.filter((one) => one.kind === kind);
}

/** @throws Error that names what is missing */
export function theOne(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`config/default has no ${kind} ${name}`);
  return found;
}
