// SPDX-License-Identifier: Apache-2.0
// A hundred ADDs and a hundred DELs at once, interleaved for a minute, with the API server killed and restarted in the
// middle. CI runs a share of the minute (test/share.ts).
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Child } from '../../bench/hollow/child.ts';
import { rounds } from '../share.ts';
import type { StormMethods } from './agent-storm.ts';

const minuteMs = 60_000;
let worker: Child<StormMethods>;

beforeAll(() => {
  // A network of its own: the agent makes its device there, and nothing of the machine's is touched.
  const file = new URL('agent-storm.ts', import.meta.url).pathname;
  worker = new Child<StormMethods>(file, [], ['unshare', '--net', '--mount']);
});

afterAll(async () => {
  await worker.ask('stop', undefined);
  worker.end();
}, minuteMs);

it(
  'a storm of ADDs and DELs ends with every pod as it should be, whatever the API server does',
  async () => {
    const report = await worker.ask('storm', { podsPerSide: 100, seconds: rounds(60) });
    expect(report).toMatchObject({ failures: [], wrong: [], left: [], restarts: 1 });
    expect(report.adds).toBe(report.dels);
    expect(report.waves).toBeGreaterThanOrEqual(3);
  },
  10 * minuteMs,
);
