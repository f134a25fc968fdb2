// SPDX-License-Identifier: Apache-2.0
// Whether the API server knows our kinds as we write them. Without this a missing CRD shows as a 404 in every watch, and
// one that lost its rules does not show at all.
import type { Condition, KubeObject } from '../kube/object.ts';
import { type Resource, resource } from '../kube/object.ts';

export interface CustomResourceDefinition extends KubeObject {
  spec: {
    group: string;
    names: { plural: string };
    versions: {
      name: string;
      served: boolean;
      storage: boolean;
      schema?: object;
      subresources?: { status?: object };
    }[];
  };
  status?: { conditions?: Partial<Condition>[] };
}

export const crdKind: Resource<CustomResourceDefinition> = resource(
  'apiextensions.k8s.io',
  'v1',
  'customresourcedefinitions',
  'CustomResourceDefinition',
  'cluster',
);

export function crdNameOf({ plural, group }: Resource<KubeObject>): string {
  return `${plural}.${group}`;
}

/** What is wrong with the definition of `kind` and what mends it; undefined when nothing is. */
export function problemOfCrd(kind: Resource<KubeObject>, crd: CustomResourceDefinition | undefined) {
  const because = faultOf(kind, crd);
  return because === undefined ? undefined : `CRD ${crdNameOf(kind)} ${because}; kubectl apply -k crds`;
}

function faultOf(kind: Resource<KubeObject>, crd: CustomResourceDefinition | undefined): string | undefined {
  if (crd === undefined) return 'is missing';
  const conditions = crd.status?.conditions ?? [];
  const refused = conditions.find(({ type, status }) => type === 'NamesAccepted' && status === 'False');
  if (refused !== undefined) return `is not accepted (${refused.message ?? ''})`;
  if (!conditions.some(({ type, status }) => type === 'Established' && status === 'True')) return 'is not established';
  const served = crd.spec.versions.filter((each) => each.served);
  const ours = served.find(({ name }) => name === kind.version);
  if (ours === undefined) return `serves ${served.map(({ name }) => name).join(', ')} and not ${kind.version}`;
  if (ours.subresources?.status === undefined) return 'has no subresource status';
  // A client that reads the CRD into its typed model and writes it back drops every x-kubernetes-* key without a word.
  if (!JSON.stringify(ours.schema ?? {}).includes('"x-kubernetes-validations"')) return 'has lost its validation rules';
  return undefined;
}
