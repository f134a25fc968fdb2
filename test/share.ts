// SPDX-License-Identifier: Apache-2.0
// How much of a seeded test runs: CI takes a stated share of the rounds, `npm run test:long` all of them.

/** The share of rounds that CI runs. */
const ciShare = 0.1;

const isLong = process.env['FAST_TEST_LONG'] !== undefined;

/** A limit of time on CI's machine, where others work too: three times the real one, which the long run holds to. */
export function patienceMs(realMs: number): number {
  return isLong ? realMs : 3 * realMs;
}

/** The rounds to run now of a test whose full count is `full`. */
export function rounds(full: number): number {
  return isLong ? full : Math.ceil(full * ciShare);
}
