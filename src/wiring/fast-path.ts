// SPDX-License-Identifier: Apache-2.0
// Whether the kernel can tell a translated flow from a direct one; without that all pod traffic takes the stack.
import type { ConditionFact } from './endpoint-status.ts';

export const conntrackFunction = 'bpf_skb_ct_lookup';

/** The condition FastPath, by what a probe for the function answered. */
export function fastPathFact(answer: 'yes' | 'no' | { readonly unknown: string }): ConditionFact {
  if (answer === 'yes') {
    const message = `The kernel has ${conntrackFunction}: pods reach each other past the stack.`;
    return { isTrue: true, reason: 'Conntrack', message };
  }
  const why =
    answer === 'no'
      ? `the kernel has no ${conntrackFunction} (it needs 5.18 or newer, and nf_conntrack with BTF)`
      : answer.unknown;
  return { isTrue: false, reason: 'NoConntrack', message: `All pod traffic takes the stack: ${why}.` };
}
