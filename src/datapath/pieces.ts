// SPDX-License-Identifier: Apache-2.0
// Long work in pieces: a generator rests at each `yield`, and whoever runs it decides whether others have their turn there.

/** Runs all of it at once. */
export function atOnce<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** The list in lists of this length, the last one shorter. */
export function* inPieces<T>(list: readonly T[], length: number): Generator<readonly T[]> {
  for (let from = 0; from < list.length; from += length) yield list.slice(from, from + length);
}
