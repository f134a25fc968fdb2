// SPDX-License-Identifier: Apache-2.0
// Many calls, so many at once.

/** Runs `work` for every item, at most `width` at a time, in order of the items. The first failure ends it. */
export async function pooled<T>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) await work(items[at] as T, at);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
}
