// SPDX-License-Identifier: Apache-2.0
// Many calls, so many at once.

/** Runs `call` for every item in their order, `width` at a time. The first failure ends it. */
export async function atOnce<T>(
  items: readonly T[],
  width: number,
  call: (item: T, at: number) => Promise<unknown>,
): Promise<void> {
  const entries = items.entries();
  const lane = async (): Promise<void> => {
    for (const [at, item] of entries) await call(item, at);
  };
  await Promise.all(Array.from({ length: width }, lane));
}
