// SPDX-License-Identifier: Apache-2.0
// Which objects a list or watch is about: namespace, field selector, label selector, as far as Fast uses them.
import type { KubeObject } from '../../src/kube/object.ts';

export interface Scope {
  readonly namespace?: string | undefined;
  /** `path=value`, one requirement. */
  readonly fieldSelector?: string | undefined;
  /** `key=value`, one requirement. */
  readonly labelSelector?: string | undefined;
}

export type Matches = (object: KubeObject) => boolean;

/** The scope as a question. @throws Error naming a field that the API server could not select by either */
export function matcherOf(scope: Scope, selectable: readonly string[]): Matches {
  const { namespace, fieldSelector = '', labelSelector = '' } = scope;
  const [path = '', wanted] = fieldSelector.split('=');
  if (path !== '' && !selectable.includes(path)) throw new Error(`field label not supported: ${path}`);
  const [label = '', value] = labelSelector.split('=');
  const steps = path.split('.');
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    (path === '' || valueAt(object, steps) === wanted) &&
    (label === '' || object.metadata.labels?.[label] === value);
}

function valueAt(object: unknown, steps: readonly string[]): string {
  let at = object;
  for (const step of steps) at = (at as Record<string, unknown> | undefined)?.[step];
  return typeof at === 'string' ? at : '';
}
