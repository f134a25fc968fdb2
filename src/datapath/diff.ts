// SPDX-License-Identifier: Apache-2.0
// The difference between what a map should hold and what it holds, byte by byte, so that it serves every map.
import type { RawEntry } from './codecs.ts';

/** To be applied upserts first, removals after: an address that moves is never without an entry. */
export interface Difference {
  upserts: RawEntry[];
  /** Keys. */
  removals: Uint8Array[];
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** Where a key is desired twice the later value counts. */
export function differenceOf(desired: Iterable<RawEntry>, actual: Iterable<RawEntry>): Difference {
  const wanted = new Map<string, RawEntry>();
  for (const entry of desired) wanted.set(text(entry[0]), entry);
  const removals: Uint8Array[] = [];
  for (const [key, value] of actual) {
    const name = text(key);
    const entry = wanted.get(name);
    if (entry === undefined) removals.push(key);
    else if (Buffer.compare(entry[1], value) === 0) wanted.delete(name);
  }
  return { upserts: [...wanted.values()], removals };
}

/** Whether there is nothing to write. */
export function isSame(difference: Difference): boolean {
  return difference.upserts.length === 0 && difference.removals.length === 0;
}
