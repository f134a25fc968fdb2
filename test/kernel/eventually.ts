// SPDX-License-Identifier: Apache-2.0
// What follows behind an answer, awaited.

/** Asks until there is an answer. */
export async function eventually<T>(ask: () => T | undefined, withinMs = 2_000): Promise<T> {
  for (let tries = 0; tries < withinMs / 20; tries += 1) {
    const answer = ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  throw new Error(`did not come true within ${withinMs / 1000} s`);
}
