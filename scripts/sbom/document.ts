// SPDX-License-Identifier: Apache-2.0
// The SBOM of an image, SPDX 2.3 as JSON. The same parts give the same bytes: its time is the version's, its name a hash.
import { createHash } from 'node:crypto';
import { type ImageName, images, imageTag } from '../image-names.ts';
import { baseParts, crateParts, goParts, npmParts, type Part } from './parts.ts';

const created = '2026-11-25T00:00:00Z';

export function partsOf(image: ImageName): Part[] {
  const own = image === 'agent' ? [...npmParts(), ...crateParts(), ...goParts()] : npmParts();
  return [...own, ...baseParts];
}

/** SPDX ids take letters, digits, dots and dashes. */
const idOf = (purl: string): string => `SPDXRef-${purl.replaceAll(/[^A-Za-z0-9.]+/g, '-')}`;

export function sbomOf(image: ImageName): string {
  const parts = partsOf(image);
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: images[image],
    documentNamespace: `https://sample.fast.io/sbom/${image}-${imageTag}-${digest.slice(0, 16)}`,
    creationInfo: { created, creators: ['Organization: The Fast authors'] },
    packages: [
      {
        SPDXID: 'SPDXRef-image',
        name: images[image],
        versionInfo: imageTag,
        downloadLocation: 'NOASSERTION',
        licenseDeclared: 'Apache-2.0',
      },
      ...parts.map(({ name, version, licence, purl }) => ({
        SPDXID: idOf(purl),
        name,
        versionInfo: version,
        downloadLocation: 'NOASSERTION',
        licenseDeclared: licence,
        externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
      })),
    ],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: 'SPDXRef-image' },
      ...parts.map(({ purl }) => ({
        spdxElementId: 'SPDXRef-image',
        relationshipType: 'CONTAINS',
        relatedSpdxElement: idOf(purl),
      })),
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
