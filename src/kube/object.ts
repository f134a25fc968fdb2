// SPDX-License-Identifier: Apache-2.0
// What every API object has, in our own slim types: the generated models of client-node cost megabytes and convert each
// object twice; plain JSON needs neither.
import type { Condition, ObjectMeta as NamedMeta, OwnerReference } from '../api/object.ts';

export type { Condition, OwnerReference };

/** Object metadata as it is written, too: what is created under `generateName` has no name yet. */
export interface ObjectMeta extends Partial<NamedMeta> {
  generateName?: string;
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** Where objects of one kind live in the API. `T` is their shape. */
export interface Resource<T extends KubeObject> {
  /** The API group, empty for core. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Never set: it only carries the type. */
  readonly shape?: T;
}

/** Points at one object, as Events and owner fields do. */
export interface ObjectReference {
  apiVersion?: string;
  kind: string;
  namespace?: string;
  name: string;
  uid?: string;
  resourceVersion?: string;
}

export function resource<T extends KubeObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
  scope: 'namespaced' | 'cluster',
): Resource<T> {
  return { group, version, plural, kind, namespaced: scope === 'namespaced' };
}

export function apiVersionOf(r: Resource<KubeObject>): string {
  return r.group === '' ? r.version : `${r.group}/${r.version}`;
}

/** `namespace/name`, or `name` for what belongs to the cluster: client-go's MetaNamespaceKey. */
export function objectKey(object: KubeObject): string {
  return keyOf(object.metadata.name ?? '', object.metadata.namespace);
}

export function keyOf(name: string, namespace?: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** A reference to an object out of an informer: list items carry no kind of their own. */
export function reference<T extends KubeObject>(r: Resource<T>, object: T): ObjectReference {
  const { name, namespace, uid } = object.metadata;
  return {
    apiVersion: apiVersionOf(r),
    kind: r.kind,
    name: name ?? '',
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
  };
}

/** The URL path of a collection, or of one object in it, or of its subresource. */
export function resourcePath(
  r: Resource<KubeObject>,
  at: { namespace?: string | undefined; name?: string; subresource?: string } = {},
): string {
  const parts = r.group === '' ? ['api', r.version] : ['apis', r.group, r.version];
  if (r.namespaced && at.namespace !== undefined) {
    parts.push('namespaces', encodeURIComponent(at.namespace));
  }
  parts.push(r.plural);
  if (at.name !== undefined) {
    parts.push(encodeURIComponent(at.name));
  }
  if (at.subresource !== undefined) {
    parts.push(at.subresource);
  }
  return `/${parts.join('/')}`;
}
