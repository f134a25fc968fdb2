// SPDX-License-Identifier: Apache-2.0
// A node whose NodeEndpoint has lost its overlay address comes up again: the real agent says what it knows before it has
// one, is given one for it, and takes pods.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Child } from '../../bench/hollow/child.ts';
import type { RenewalMethods } from './agent-renewal.ts';

const minuteMs = 60_000;
let worker: Child<RenewalMethods>;

beforeAll(async () => {
  // A network of its own: the agent makes its device there, and nothing of the machine's is touched.
  const file = new URL('agent-renewal.ts', import.meta.url).pathname;
  worker = new Child<RenewalMethods>(file, [], ['unshare', '--net', '--mount']);
  await worker.ask('start', undefined);
}, 5 * minuteMs);

afterAll(async () => {
  await worker.ask('stop', undefined);
  worker.end();
}, minuteMs);

it('an agent that starts without an overlay address reports, gets one for its word, and takes pods', async () => {
  const before = await worker.ask('renew', undefined);
  expect(before).toEqual({ hasDeviceTheFormer: true });
  const said = await worker.ask('report', undefined);
  expect(said).toEqual({ released: true, mtu: expect.any(Number), datapath: 'Differs', takesPods: false });
  expect(await worker.ask('goOn', undefined)).toEqual({ hasAddress: true, datapath: 'AsDesired' });
});
