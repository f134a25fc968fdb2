// SPDX-License-Identifier: Apache-2.0
// The tiers of tests, from fast to slow. Kernel, API server and cluster are one each, so their files run one at a time.
import { defineConfig } from 'vitest/config';

/** A cluster takes a minute to come up on a busy machine; a pure test that lasts 10 s hangs. */
const minuteMs = 60_000;

function tier(name: string, include: string[], timeoutMs: number, parallel: boolean, more: object = {}): object {
  return {
    test: {
      name,
      include,
      testTimeout: timeoutMs,
      hookTimeout: Math.max(timeoutMs, 10_000),
      fileParallelism: parallel,
      // koffi's callbacks end a process whose worker thread ends, so that each file gets a process.
      pool: 'forks',
      ...more,
    },
  };
}

/** The files of the tier leave their cluster to the next one. */
const cluster = { globalSetup: 'test/cluster/teardown.ts' };

export default defineConfig({
  test: {
    projects: [
      tier('tidy', ['test/tidy.test.ts'], minuteMs, true),
      tier('pure', ['test/pure/**/*.test.ts'], minuteMs / 2, true),
      tier('kernel', ['test/kernel/**/*.test.ts', 'packages/*/test/**/*.test.ts'], minuteMs, false),
      // The first run builds OLM's validators and promtool.
      tier('ship', ['test/ship/**/*.test.ts'], 15 * minuteMs, false),
      tier('api', ['test/api/**/*.test.ts'], 3 * minuteMs, false),
      tier('cluster', ['test/cluster/**/*.test.ts'], 10 * minuteMs, false, cluster),
    ],
  },
});
