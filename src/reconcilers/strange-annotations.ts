// SPDX-License-Identifier: Apache-2.0
// Annotations of our domain that nobody reads: mostly a slip of the pen, by which a pod asks for another pool than its
// owner means.
import { addressAnnotation, expectsAnnotation, poolAnnotation } from '../api/names.ts';
import { nearestOf } from '../api/nearest.ts';
import type { Namespace, Pod } from '../api/workloads.ts';

const forPods = [poolAnnotation, addressAnnotation];
const forNamespaces = [poolAnnotation];
const known = [...forPods, expectsAnnotation];
/** `fast.io`, and what is below it. */
const ours = /^([^/]+\.)?fast\.io\//;

export function isStrange(annotation: string): boolean {
  return ours.test(annotation) && !known.includes(annotation);
}

/** The first of the pod's, as a part of a sentence about it; undefined where it has none. */
export function strangeOf({ metadata: { annotations = {} } }: Pod): string | undefined {
  const [name] = Object.keys(annotations).filter(isStrange).sort();
  if (name === undefined) return undefined;
  return `it has the annotation ${name}, which Fast does not know; ${cureOf(name, forPods)}`;
}

/** The same of a namespace, in which an address for one pod means nothing. */
export function strangeOfNamespace({ metadata: { annotations = {} } }: Namespace): string | undefined {
  const all = Object.keys(annotations).sort();
  const name = all.find((each) => ours.test(each) && !forNamespaces.includes(each));
  if (name === undefined) return undefined;
  return `its namespace has the annotation ${name}, which Fast does not read there; ${cureOf(name, forNamespaces)}`;
}

function cureOf(name: string, meant: readonly string[]): string {
  const [near] = nearestOf(name, meant);
  return near === undefined ? `it knows ${meant.join(' and ')}` : `did you mean ${near}?`;
}
