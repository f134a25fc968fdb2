// SPDX-License-Identifier: Apache-2.0
// What the images are made of: every part with a licence that may be shipped, and an SBOM that names them all.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { manifestsOf, theOne } from '../../scripts/manifests.ts';
import { partsOf, sbomOf } from '../../scripts/sbom/document.ts';
import { root } from '../../scripts/steps.ts';
import { version } from '../../src/api/names.ts';

interface Sbom {
  spdxVersion: string;
  packages: Array<{ SPDXID: string; licenseDeclared: string }>;
  relationships: Array<{ relatedSpdxElement: string }>;
}

describe('the SBOM', () => {
  it.each(['controller', 'agent'] as const)('of the image %s names every part once, and itself', (image) => {
    const { spdxVersion, packages, relationships } = JSON.parse(sbomOf(image)) as Sbom;
    expect(spdxVersion).toBe('SPDX-2.3');
    const ids = packages.map((one) => one.SPDXID);
    expect(ids).toHaveLength(partsOf(image).length + 1);
    expect(new Set(ids).size).toBe(ids.length);
    expect(relationships.filter((one) => !ids.includes(one.relatedSpdxElement))).toEqual([]);
  });

  it('has what is in fast-cni and in its companions in the agent alone', () => {
    const names = (image: 'agent' | 'controller'): string[] => partsOf(image).map((part) => part.name);
    expect(names('agent')).toEqual(
      expect.arrayContaining(['rquickjs', 'undici', 'github.com/containernetworking/plugins']),
    );
    expect(names('controller')).not.toContain('rquickjs');
  });

  it('is the same from the same source', () => {
    expect(sbomOf('agent')).toBe(sbomOf('agent'));
  });
});

describe('every licence', () => {
  it('of what is bundled into the programs may be shipped with Apache-2.0', () => {
    const fine =
      /^(?:\(?(?:MIT|Apache-2\.0|BSD-[23]-Clause|ISC|0BSD|Zlib|PSF-2\.0|Python-2\.0|CC0-1\.0|BlueOak-1\.0\.0|Unicode-3\.0|Unlicense)\)?(?: OR | AND |$))+$/;
    const bundled = partsOf('agent').filter((part) => !part.purl.startsWith('pkg:deb/'));
    expect(bundled.filter((part) => !fine.test(part.licence)).map((part) => `${part.name}: ${part.licence}`)).toEqual(
      [],
    );
  });
});

describe('the version', () => {
  it('is one: of the package, of the programs, of the images in the manifests', () => {
    const { version: ofPackage } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(version).toBe(ofPackage);
    const deployment = readFileSync(join(root, 'config/controller/deployment.yaml'), 'utf8');
    const tags = [...deployment.matchAll(/sample\.fast\.io\/[a-z-]+:([0-9.]+)/g)].map((match) => match[1]);
    expect(tags).toEqual([version, version]);
  });
});

describe('what is pinned', () => {
  it('is every dependency of package.json, to one version', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
      'dependencies' | 'devDependencies',
      Record<string, string>
    >;
    const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
      ([, at]) => !/^\d+\.\d+\.\d+$/.test(at),
    );
    expect(loose).toEqual([]);
  });
});

interface PodSpec {
  securityContext: object;
  containers: Array<{ securityContext: object }>;
}

describe('the controller', () => {
  it('runs as nobody, on a read-only root, without capabilities', () => {
    const deployment = theOne(manifestsOf('config/default'), 'Deployment', 'fast-controller-manager');
    const { template } = deployment['spec'] as { template: { spec: PodSpec } };
    const { spec } = template;
    expect(spec.securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(spec.containers.map((one) => one.securityContext)).toEqual([
      { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
    ]);
    expect(readFileSync(join(root, 'images/controller.Containerfile'), 'utf8')).toContain('USER 65532:65532');
  });
});
