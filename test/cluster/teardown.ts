// SPDX-License-Identifier: Apache-2.0
// The end of the tier: its files leave the cluster up for the next one, so whoever runs some of them ends it here.
import { down } from './cluster.ts';

/** Called by vitest when all files of the tier have run. */
export function teardown(): Promise<void> {
  return down();
}
