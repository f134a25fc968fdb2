// SPDX-License-Identifier: Apache-2.0
// The difference between what a map should hold and what it holds, byte by byte, so that it serves every map.
import type { RawEntry } from './codecs.ts';
import { atOnce } from './pieces.ts';

/** To be applied upserts first, removals after: an address that moves is never without an entry. */
export interface Difference {
  upserts: RawEntry[];
  /** Keys. */
  removals: Uint8Array[];
}

/** What two keys have in common only if they are the same: a number for the short ones that addresses are. */
function nameOf(key: Uint8Array): string | number {
  if (key.length === 4) {
    return (((key[0] ?? 0) << 24) | ((key[1] ?? 0) << 16) | ((key[2] ?? 0) << 8) | (key[3] ?? 0)) >>> 0;
  }
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}

/** Where a key is desired twice the later value counts. */
export function differenceOf(desired: Iterable<RawEntry>, actual: Iterable<RawEntry>): Difference {
  return atOnce(differing([desired], [actual]));
}

/** The same of lists that come in pieces. */
export function* differing(
  desired: Iterable<Iterable<RawEntry>>,
  actual: Iterable<Iterable<RawEntry>>,
): Generator<undefined, Difference> {
  const wanted = new Map<string | number, RawEntry>();
  for (const piece of desired) {
    for (const entry of piece) wanted.set(nameOf(entry[0]), entry);
    yield;
  }
  const removals: Uint8Array[] = [];
  for (const piece of actual) {
    for (const [key, value] of piece) {
      const name = nameOf(key);
      const entry = wanted.get(name);
      if (entry === undefined) removals.push(key);
      else if (isEqual(entry[1], value)) wanted.delete(name);
    }
    yield;
  }
  return { upserts: [...wanted.values()], removals };
}

/** Whether there is nothing to write. */
export function isSame(difference: Difference): boolean {
  return difference.upserts.length === 0 && difference.removals.length === 0;
}
