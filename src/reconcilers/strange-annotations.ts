// SPDX-License-Identifier: Apache-2.0
// Annotations of our domain that nobody reads: mostly a slip of the pen, by which a pod asks for another pool than its
// owner means.
import { addressAnnotation, expectsAnnotation, poolAnnotation } from '../api/names.ts';
import { nearestOf } from '../api/nearest.ts';
import type { Pod } from '../api/workloads.ts';

const forPeople = [poolAnnotation, addressAnnotation];
const known = [...forPeople, expectsAnnotation];
/** `fast.io`, and what is below it. */
const ours = /^([^/]+\.)?fast\.io\//;

export function isStrange(annotation: string): boolean {
  return ours.test(annotation) && !known.includes(annotation);
}

/** The first of the pod's, as a part of a sentence about why it waits; undefined where it has none. */
export function strangeOf({ metadata: { annotations = {} } }: Pod): string | undefined {
  const [name] = Object.keys(annotations).filter(isStrange).sort();
  if (name === undefined) return undefined;
  const [near] = nearestOf(name, forPeople);
  const cure = near === undefined ? `it knows ${forPeople.join(' and ')}` : `did you mean ${near}?`;
  return `it has the annotation ${name}, which Fast does not know; ${cure}`;
}
