// SPDX-License-Identifier: Apache-2.0
// The ClusterServiceVersion, made from the manifests in config/: the same Deployment, the same rights.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentName, controllerName, installNamespace } from '../../src/api/names.ts';
import { images, imageTag } from '../image-names.ts';
import { type Manifest, manifestsOf, ofKind, theOne } from '../manifests.ts';
import { root } from '../steps.ts';
import { ownedKind } from './descriptors.ts';

export const packageName = 'fast';
export const channel = 'candidate';
export const csvName = `${packageName}.v${imageTag}`;
/** ValidatingAdmissionPolicy, selectable fields of CRDs and the node's name in tokens are all stable from here on. */
export const minKubeVersion = '1.32.0';
/** When this version was made; a clock's time would make two bundles of one source differ. */
const createdAt = '2026-11-25T00:00:00Z';
const home = 'https://sample.fast.io';
const samples = ['ips', 'ipallocation', 'nodeendpoint'];

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

function annotations(examples: readonly Manifest[]): Record<string, string> {
  const internal = ['ipallocations.sample.fast.io', 'nodeendpoints.sample.fast.io'];
  const namespace = {
    kind: 'Namespace',
    apiVersion: 'v1',
    metadata: { name: installNamespace, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
  };
  return {
    'alm-examples': JSON.stringify(examples, undefined, 2),
    capabilities: 'Seamless Upgrades',
    categories: 'Networking',
    containerImage: images.controller,
    createdAt,
    description: 'A pod network: addresses from declared pools, pods joined by eBPF, all state in the API server.',
    'operatorframework.io/suggested-namespace': installNamespace,
    'operatorframework.io/suggested-namespace-template': JSON.stringify(namespace),
    'operators.operatorframework.io/internal-objects': JSON.stringify(internal),
    repository: home,
    support: 'The Fast authors',
  };
}

/** OLM makes the accounts itself, and binds them to what is listed here. */
function permissions(manifests: readonly Manifest[], kind: 'ClusterRole' | 'Role'): object[] {
  return ofKind(manifests, kind)
    .filter(({ metadata }) => [controllerName, agentName].includes(metadata.name))
    .map((role) => ({ serviceAccountName: role.metadata.name, rules: role['rules'] }));
}

function install(manifests: readonly Manifest[]): object {
  const deployment = theOne(manifests, 'Deployment', controllerName);
  return {
    strategy: 'deployment',
    spec: {
      clusterPermissions: permissions(manifests, 'ClusterRole'),
      permissions: permissions(manifests, 'Role'),
      deployments: [{ name: controllerName, label: deployment.metadata.labels ?? {}, spec: deployment['spec'] }],
    },
  };
}

export function icon(): { base64data: string; mediatype: string } {
  return { base64data: Buffer.from(read('images/logo.svg').trim()).toString('base64'), mediatype: 'image/svg+xml' };
}

export const description = (): string => read('scripts/bundle/description.md');

export function clusterServiceVersion(): Manifest {
  const manifests = manifestsOf('config/default');
  const shown = [...manifestsOf('config/samples'), ...manifestsOf('config/samples/written-by-fast')];
  const examples = shown.filter((one) => samples.includes(one.kind.toLowerCase()));
  return {
    apiVersion: 'operators.coreos.com/v1alpha1',
    kind: 'ClusterServiceVersion',
    metadata: {
      name: csvName,
      namespace: 'placeholder',
      annotations: annotations(examples),
      labels: { 'operatorframework.io/arch.amd64': 'supported', 'operatorframework.io/os.linux': 'supported' },
    },
    spec: {
      displayName: 'Fast',
      description: description(),
      icon: [icon()],
      version: imageTag,
      minKubeVersion,
      maturity: 'alpha',
      provider: { name: 'The Fast authors', url: home },
      maintainers: [{ name: 'The Fast authors', email: 'fast@sample.fast.io' }],
      keywords: ['network', 'cni', 'ipam', 'ebpf', 'vxlan'],
      links: [
        { name: 'Documentation', url: `${home}/docs` },
        { name: 'Architecture', url: `${home}/architecture` },
      ],
      installModes: ['OwnNamespace', 'SingleNamespace', 'MultiNamespace', 'AllNamespaces'].map((type) => ({
        type,
        supported: type === 'AllNamespaces',
      })),
      customresourcedefinitions: { owned: manifestsOf('crds').map(ownedKind) },
      install: install(manifests),
      relatedImages: [
        { name: 'controller', image: images.controller },
        { name: 'agent', image: images.agent },
      ],
    },
  };
}
