// SPDX-License-Identifier: Apache-2.0
// Applies the operator bundle as OLM does (operator-lifecycle-manager, pkg/controller/install/deployment.go and rule.go):
// the Deployment out of the ClusterServiceVersion, rights under generated names, everything with its owner's labels.
// Of OLM itself the cluster gets the two kinds that the objects refer to.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { bundleFolder } from '../../scripts/bundle.ts';
import type { Manifest } from '../../scripts/manifests.ts';
import { imageTag } from '../../scripts/image-names.ts';
import { kube } from './fast.ts';

const namespace = 'fast-system';
const group = 'operators.coreos.com';

interface Permission {
  serviceAccountName: string;
  rules: object[];
}

interface Csv extends Manifest {
  spec: {
    install: {
      spec: {
        clusterPermissions: Permission[];
        permissions: Permission[];
        deployments: Array<{ name: string; label: Record<string, string>; spec: DeploymentSpec }>;
      };
    };
  };
}

interface DeploymentSpec {
  template: { metadata: { annotations?: object }; spec: { containers: Array<{ env: object[] }> } };
}

/** A kind that stores whatever it is given. */
function looseKind(plural: string, kind: string): object {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: 'v1alpha1', served: true, storage: true, schema }],
    },
  };
}

async function apply(...objects: object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await kube(['apply', '--server-side', '--force-conflicts', '--field-manager=olm', '-f', '-'], JSON.stringify(list));
}

const folder = join(bundleFolder, 'manifests');
const isKind = (file: string): boolean => file.startsWith('sample.fast.io_');

function bundleObjects(version: string): Manifest[] {
  const files = readdirSync(folder).filter((file) => !isKind(file));
  return files.map((file) => load(readFileSync(join(folder, file), 'utf8').replaceAll(imageTag, version)) as Manifest);
}

/** As text: what js-yaml makes of anchors is not what the API server is to get. */
async function applyKinds(): Promise<void> {
  const kinds = readdirSync(folder)
    .filter(isKind)
    .flatMap((file) => ['-f', join(folder, file)]);
  await kube(['apply', '--server-side', '--force-conflicts', '--field-manager=olm', ...kinds]);
}

/** Installs one version of the bundle over whatever is there. */
export async function applyAsOlm(version: string): Promise<void> {
  const objects = bundleObjects(version);
  const csv = objects.find((one) => one.kind === 'ClusterServiceVersion') as Csv;
  const others = objects.filter((one) => one !== csv);
  await apply(looseKind('clusterserviceversions', 'ClusterServiceVersion'), looseKind('subscriptions', 'Subscription'));
  await kube(['wait', '--for=condition=Established', `crd/clusterserviceversions.${group}`, '--timeout=30s']);
  await kube(['wait', '--for=condition=Established', `crd/subscriptions.${group}`, '--timeout=30s']);
  await apply({
    apiVersion: `${group}/v1alpha1`,
    kind: 'Subscription',
    metadata: { name: 'fast', namespace },
    spec: { name: 'fast', channel: 'candidate', source: 'fast-catalog', sourceNamespace: 'olm' },
  });
  await applyKinds();
  await apply({ ...csv, metadata: { ...csv.metadata, namespace } });
  const uid = await kube([
    'get',
    'clusterserviceversion',
    '-n',
    namespace,
    csv.metadata.name,
    '-o',
    'jsonpath={.metadata.uid}',
  ]);
  await apply(...others.map((one) => inNamespace(one)), ...rights(csv), ...deployments(csv, uid));
}

function inNamespace(object: Manifest): Manifest {
  return object.kind === 'ConfigMap' ? { ...object, metadata: { ...object.metadata, namespace } } : object;
}

const ownerLabels = (csv: Csv): Record<string, string> => ({
  'olm.owner': csv.metadata.name,
  'olm.owner.kind': 'ClusterServiceVersion',
  'olm.owner.namespace': namespace,
});

function rights(csv: Csv): object[] {
  const { clusterPermissions, permissions } = csv.spec.install.spec;
  const labels = ownerLabels(csv);
  const accounts = new Set([...clusterPermissions, ...permissions].map((one) => one.serviceAccountName));
  const made = [...accounts].map((name) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace, labels },
  }));
  return [
    ...made,
    ...clusterPermissions.flatMap((one, at) => bound('ClusterRole', one, `${csv.metadata.name}-${at}`, labels)),
    ...permissions.flatMap((one, at) => bound('Role', one, `${csv.metadata.name}-${at}`, labels)),
  ];
}

function bound(kind: 'ClusterRole' | 'Role', one: Permission, name: string, labels: object): object[] {
  const metadata = { name, labels, ...(kind === 'Role' ? { namespace } : {}) };
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const subjects = [{ kind: 'ServiceAccount', name: one.serviceAccountName, namespace }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind, name };
  return [
    { apiVersion, kind, metadata, rules: one.rules },
    { apiVersion, kind: `${kind}Binding`, metadata, roleRef, subjects },
  ];
}

function deployments(csv: Csv, uid: string): object[] {
  const owner = {
    apiVersion: `${group}/v1alpha1`,
    kind: 'ClusterServiceVersion',
    name: csv.metadata.name,
    uid,
    controller: false,
    blockOwnerDeletion: false,
  };
  return csv.spec.install.spec.deployments.map(({ name, label, spec }) => {
    const { template } = spec;
    const annotations = { ...template.metadata.annotations, 'olm.operatorGroup': 'global', 'olm.targetNamespaces': '' };
    const containers = template.spec.containers.map((container) => ({
      ...container,
      env: [...container.env, { name: 'OPERATOR_CONDITION_NAME', value: csv.metadata.name }],
    }));
    return {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace, labels: { ...label, ...ownerLabels(csv) }, ownerReferences: [owner] },
      spec: {
        ...spec,
        revisionHistoryLimit: 1,
        template: {
          ...template,
          metadata: { ...template.metadata, annotations },
          spec: { ...template.spec, containers },
        },
      },
    };
  });
}
