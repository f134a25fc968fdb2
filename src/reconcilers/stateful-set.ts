// SPDX-License-Identifier: Apache-2.0
// The pods of a StatefulSet are known by its UID and their ordinal: every pod of that ordinal is another Pod object
// with another UID, and all of them shall have the same address.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { KubeObject } from '../api/object.ts';
import type { Pod } from '../api/workloads.ts';

export type ReservedFor = NonNullable<IpAllocation['spec']['reservedFor']>;

/** The schema's limit of an ordinal, an int32. */
const MAX_ORDINAL = 2 ** 31 - 1;

/** Whose address the pod's is, where a StatefulSet controls it. Its name is the set's and its ordinal. */
export function reservedForOf({ metadata }: Pod): ReservedFor | undefined {
  const set = metadata.ownerReferences?.find((each) => each.controller === true && each.kind === 'StatefulSet');
  if (set === undefined || !metadata.name.startsWith(`${set.name}-`)) return undefined;
  const text = metadata.name.slice(set.name.length + 1);
  const ordinal = Number(text);
  return /^[0-9]+$/.test(text) && ordinal <= MAX_ORDINAL ? { statefulSetUID: set.uid, ordinal } : undefined;
}

export function ordinalKey({ statefulSetUID, ordinal }: ReservedFor): string {
  return `${statefulSetUID}/${ordinal}`;
}

/** Where the record's StatefulSet is to be looked for. */
export function setOf({ spec: { owner } }: IpAllocation): { namespace: string; name: string } {
  return { namespace: owner.namespace ?? '', name: owner.name.slice(0, owner.name.lastIndexOf('-')) };
}

/** What a live read says of the set that an address is kept for. One made anew under its name is another. */
export function isSetOf(set: KubeObject | undefined, record: IpAllocation): boolean {
  return set !== undefined && set.metadata.uid === record.spec.reservedFor?.statefulSetUID;
}

export function isSameOrdinal(a: ReservedFor | undefined, b: ReservedFor | undefined): boolean {
  return a !== undefined && b !== undefined && ordinalKey(a) === ordinalKey(b);
}
