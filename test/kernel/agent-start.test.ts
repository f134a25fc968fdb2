// SPDX-License-Identifier: Apache-2.0
// What comes before what when an agent starts.
import * as native from 'ebpf-native';
import { expect, it, vi } from 'vitest';
import { node, useNode } from './bench.ts';

vi.mock('ebpf-native', { spy: true });

useNode();

it('has the fast path where conntrack is a module that nothing has loaded: it is asked before programs are loaded', async () => {
  await node.stop();
  // With the look for a bpffs the loading begins.
  const calls = [native.countFlows, native.isBpffs].map((one) => vi.mocked(one).mock);
  const before = calls.map(({ invocationCallOrder }) => invocationCallOrder.length);
  await node.start();
  const [asked, loaded] = calls.map(({ invocationCallOrder }, at) => invocationCallOrder.slice(before[at]));
  expect([asked?.length, loaded?.length]).toEqual([1, 1]);
  expect(asked?.[0]).toBeLessThan(loaded?.[0] ?? 0);
});
