// SPDX-License-Identifier: Apache-2.0
// What a console shows of our kinds, from the descriptions in their CRDs, so that a field is explained in one place.
import type { Manifest } from '../manifests.ts';

interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
}

interface Names {
  kind: string;
  plural: string;
}

export interface Descriptor {
  path: string;
  displayName: string;
  description: string;
  'x-descriptors'?: string[];
}

export interface OwnedKind {
  name: string;
  version: string;
  kind: string;
  displayName: string;
  description: string;
  resources: Array<{ version: string; kind: string; name: string }>;
  specDescriptors: Descriptor[];
  statusDescriptors: Descriptor[];
}

const displayNames: Record<string, string> = {
  Ips: 'Address pool',
  IpAllocation: 'Address in use',
  NodeEndpoint: 'Node endpoint',
};

/** What each kind leads to, which a console draws as a graph. */
const resources: Record<string, OwnedKind['resources']> = {
  Ips: [{ version: 'v1alpha1', kind: 'IpAllocation', name: '' }],
  IpAllocation: [{ version: 'v1', kind: 'Pod', name: '' }],
  NodeEndpoint: [{ version: 'v1', kind: 'Node', name: '' }],
};

/** `excludeIPs` as "Exclude IPs", `nodeUID` as "Node UID". */
export function titleOf(field: string): string {
  const words = field.replaceAll(/([a-z])([A-Z])/g, '$1 $2').split(' ');
  const title = words.map((word) => (/^[A-Z]+s?$/.test(word) ? word : word.toLowerCase())).join(' ');
  return title.charAt(0).toUpperCase() + title.slice(1);
}

function descriptorsOf(schema: Schema | undefined): Descriptor[] {
  return Object.entries(schema?.properties ?? {}).map(([path, field]) => ({
    path,
    displayName: titleOf(path),
    description: field.description?.trim() ?? '',
    ...(path === 'conditions' ? { 'x-descriptors': ['urn:alm:descriptor:io.kubernetes.conditions'] } : {}),
  }));
}

export function ownedKind(crd: Manifest): OwnedKind {
  const { names, versions } = crd['spec'] as {
    names: Names;
    versions: Array<{ name: string; schema: { openAPIV3Schema: Schema } }>;
  };
  const version = versions[0];
  if (version === undefined) throw new Error(`${crd.metadata.name} has no version`);
  const schema = version.schema.openAPIV3Schema;
  return {
    name: crd.metadata.name,
    version: version.name,
    kind: names.kind,
    displayName: displayNames[names.kind] ?? names.kind,
    description: schema.description?.trim() ?? '',
    resources: resources[names.kind] ?? [],
    specDescriptors: descriptorsOf(schema.properties?.['spec']),
    statusDescriptors: descriptorsOf(schema.properties?.['status']),
  };
}
