// SPDX-License-Identifier: Apache-2.0
// The operator bundle and its catalog, judged by OLM's own code, and by what scorecard's six tests demand of a bundle.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleFolder, catalogFolder, judgeBundle, makeCatalog } from '../../scripts/bundle.ts';
import type { OwnedKind } from '../../scripts/bundle/descriptors.ts';
import { bundleFiles } from '../../scripts/bundle/files.ts';
import { goTool } from '../../scripts/go-tools.ts';
import { type Manifest, manifestsOf, theOne } from '../../scripts/manifests.ts';
import { run } from '../../scripts/steps.ts';

interface Csv {
  metadata: { name: string; annotations: Record<string, string> };
  spec: {
    install: { spec: { deployments: Array<{ name: string; spec: object }>; clusterPermissions: Rights[] } };
    customresourcedefinitions: { owned: OwnedKind[] };
    relatedImages: Array<{ image: string }>;
  };
}

interface Rights {
  serviceAccountName: string;
  rules: object[];
}

interface Example extends Manifest {
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

interface Version {
  schema: { openAPIV3Schema: { properties: Record<string, { properties?: object }> } };
}

const files = bundleFiles();
const parsed = (path: string): unknown => load(files.get(path) ?? '');
const csv = parsed('bundle/manifests/fast.clusterserviceversion.yaml') as Csv;
const examples = JSON.parse(csv.metadata.annotations['alm-examples'] ?? '[]') as Example[];
const owned = csv.spec.customresourcedefinitions.owned;
const scratch = mkdtempSync(join(tmpdir(), 'fast-bundle-'));

let validators = '';
beforeAll(async () => {
  validators = await goTool('olm-validators');
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** A copy of the bundle with one thing changed in its ClusterServiceVersion. */
function broken(name: string, from: string | RegExp, to: string): string {
  const folder = join(scratch, name);
  cpSync(bundleFolder, folder, { recursive: true });
  const file = join(folder, 'manifests/fast.clusterserviceversion.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
  return folder;
}

describe("OLM's own validators", () => {
  it('find no error and no warning in the bundle', async () => {
    expect(await judgeBundle(validators)).toEqual([]);
  });

  it('are asked for real: a version that is none, and an icon that is none, are found', async () => {
    await expect(judgeBundle(validators, broken('version', 'version: 0.1.0', 'version: new'))).rejects.toThrow('0new');
    const found = await judgeBundle(validators, broken('icon', 'mediatype: image/svg+xml', 'mediatype: text/plain'));
    expect(found.map((one) => one.text).join()).toContain('text/plain');
  });

  it('take the catalog: opm render writes it, opm validate reads it', async () => {
    await makeCatalog(validators);
    const entry = readFileSync(join(catalogFolder, 'bundle.yaml'), 'utf8');
    expect(entry).toContain('image: sample.fast.io/fast-bundle:0.1.0');
    expect(entry).toContain('schema: olm.bundle');
  });

  it('refuse a catalog whose channel names a bundle that is not there', async () => {
    const folder = join(scratch, 'catalog');
    cpSync(catalogFolder, folder, { recursive: true });
    const file = join(folder, 'package.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('name: fast.v0.1.0', 'name: fast.v0.2.0'));
    await expect(run(validators, ['catalog', folder])).rejects.toThrow(
      '"fast.v0.1.0" not found in any channel entries',
    );
  });
});

describe('two runs', () => {
  it('give the same bytes, of the bundle and of the catalog', async () => {
    expect([...bundleFiles()]).toEqual([...files]);
    const read = (): string => readFileSync(join(catalogFolder, 'bundle.yaml'), 'utf8');
    await makeCatalog(validators);
    const first = read();
    await makeCatalog(validators);
    expect(read()).toBe(first);
  });
});

describe("scorecard's tests", () => {
  it('basic-check-spec: every example has a spec', () => {
    expect(examples.map((one) => one.kind).toSorted()).toEqual(['IpAllocation', 'Ips', 'NodeEndpoint']);
    expect(examples.filter((one) => one.spec === undefined)).toEqual([]);
  });

  it('olm-bundle-validation: the labels of the image say the same as the annotations', () => {
    const { annotations } = parsed('bundle/metadata/annotations.yaml') as { annotations: Record<string, string> };
    const labels = [...(files.get('bundle.Containerfile') ?? '').matchAll(/^LABEL ([^=]+)=(.*)$/gm)];
    expect(Object.fromEntries(labels.map((one) => [one[1], one[2]]))).toEqual(annotations);
    expect(annotations['operators.operatorframework.io.bundle.mediatype.v1']).toBe('registry+v1');
  });

  it('olm-crds-have-validation: the schema knows every field of every example', () => {
    for (const example of examples) {
      const crd = manifestsOf('crds').find((one) => (one['spec'] as { names: Manifest }).names.kind === example.kind);
      expect(crd).toBeDefined();
      const { versions } = (crd as Manifest)['spec'] as { versions: Version[] };
      const known = Object.keys(versions[0]?.schema.openAPIV3Schema.properties['spec']?.properties ?? {});
      expect(known).toEqual(expect.arrayContaining(Object.keys(example.spec ?? {})));
    }
  });

  it('olm-crds-have-resources: every kind says what it leads to', () => {
    expect(owned).toHaveLength(3);
    expect(owned.filter((kind) => kind.resources.length === 0)).toEqual([]);
  });

  it.each(['specDescriptors', 'statusDescriptors'] as const)('olm-%s: every field is described', (which) => {
    for (const example of examples) {
      const descriptors = owned.find((kind) => kind.kind === example.kind)?.[which] ?? [];
      const block = which === 'specDescriptors' ? example.spec : (example.status ?? {});
      expect(descriptors.map((one) => one.path)).toEqual(expect.arrayContaining(Object.keys(block ?? {})));
      expect(descriptors.length).toBeGreaterThan(0);
      expect(descriptors.filter((one) => one.description === '')).toEqual([]);
    }
  });
});

describe('the bundle and config/', () => {
  const manifests = manifestsOf('config/default');

  it('hold the same Deployment', () => {
    const { spec } = theOne(manifests, 'Deployment', 'fast-controller-manager');
    expect(csv.spec.install.spec.deployments).toMatchObject([{ name: 'fast-controller-manager', spec }]);
  });

  it('give the same rights', () => {
    for (const { serviceAccountName, rules } of csv.spec.install.spec.clusterPermissions) {
      expect(rules).toEqual(theOne(manifests, 'ClusterRole', serviceAccountName)['rules']);
    }
    expect(csv.spec.install.spec.clusterPermissions.map((one) => one.serviceAccountName)).toEqual([
      'fast-controller-manager',
      'fast-agent',
    ]);
  });

  it('name all images that a mirror needs', () => {
    const text = JSON.stringify(csv.spec.install);
    const used = new Set(text.match(/sample\.fast\.io\/[a-z-]+:[0-9.]+/g));
    expect(csv.spec.relatedImages.map((one) => one.image).toSorted()).toEqual([...used].toSorted());
  });
});
