// SPDX-License-Identifier: Apache-2.0
// The condition FastPath by the three answers of a probe.
import { expect, it } from 'vitest';
import { fastPathFact } from '../../src/wiring/fast-path.ts';

it.each([
  ['yes', true, 'Conntrack', 'past the stack'],
  ['no', false, 'NoConntrack', 'the kernel has no bpf_skb_ct_lookup (it needs 5.18 or newer'],
  [{ unknown: 'no BTF at /sys/kernel/btf' }, false, 'NoConntrack', 'no BTF at /sys/kernel/btf'],
] as const)('%o', (answer, isTrue, reason, words) => {
  const fact = fastPathFact(answer);
  expect(fact).toMatchObject({ isTrue, reason });
  expect(fact.message).toContain(words);
});
