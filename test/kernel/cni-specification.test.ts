// SPDX-License-Identifier: Apache-2.0
// Every rule of the CNI specification that binds a plugin, in every version that has it, by the executable and the
// agent's own parts behind its socket.
import { describe, it } from 'vitest';
import { leaveNothing, node, runtime, useRuntime } from './bench.ts';
import { laterRules } from './cni-rules-later.ts';
import { networkRules } from './cni-rules-network.ts';
import { answeringRules } from './cni-rules-result.ts';
import { makingRules, type Rule, specVersions } from './cni-rules.ts';

useRuntime();
leaveNothing();

const rules: readonly Rule[] = [...makingRules, ...answeringRules, ...laterRules, ...networkRules];

function versionsOf({ since = '0.3.1', until = '1.1.0' }: Rule): string[] {
  return specVersions.filter((version) => version >= since && version <= until);
}

describe.each(specVersions)('CNI %s', (version) => {
  const own = rules.filter((rule) => versionsOf(rule).includes(version));
  it.each(own)('section $section: $rule', async ({ holds }) => {
    await holds({ node, runtime, version });
  });
});
