// SPDX-License-Identifier: Apache-2.0
// How much of a seeded test runs: CI takes a stated share of the rounds, `npm run test:long` all of them.

/** The share of rounds that CI runs. */
const ciShare = 0.1;

/** The rounds to run now of a test whose full count is `full`. */
export function rounds(full: number): number {
  return process.env['FAST_TEST_LONG'] === undefined ? Math.ceil(full * ciShare) : full;
}
