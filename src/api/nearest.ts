// SPDX-License-Identifier: Apache-2.0
// Which of the known words somebody may have meant by one that is none.

/** Of a word's letters so many may differ: one in three. */
const differingShare = 3;
const namedAtMost = 3;

/** The nearest first; none where none is near. Case and the kind of separator count for nothing. */
export function nearestOf(word: string, known: readonly string[]): string[] {
  const plain = plainOf(word);
  return known
    .map((each) => ({ each, distance: distanceOf(plain, plainOf(each)) }))
    .filter(({ each, distance }) => distance * differingShare <= Math.max(plain.length, each.length))
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, namedAtMost)
    .map(({ each }) => each);
}

function plainOf(word: string): string {
  return word.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
}

/** Levenshtein's, but for a word that is a part of the other: such as `port` of `tunnel-port`. */
function distanceOf(a: string, b: string): number {
  if (a === b) return 0;
  if (b.split('-').some((_, at, parts) => parts.slice(at).join('-') === a)) return 1;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swapped = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
