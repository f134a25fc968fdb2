// SPDX-License-Identifier: Apache-2.0
// The ConfigMap of knobs, read as the controller reads it: what it leaves out, by its key.
import { knownKeys, nodePoolSpecOf, readKnobs } from '../api/knobs.ts';
import { configMapName, installNamespace, nodePool } from '../api/names.ts';
import { type Check, type ClusterView, hidden } from './health-check.ts';
import { isByDefault } from './knob-defaults.ts';

export function knobs({ knobs: configMap, pools }: ClusterView): Check {
  const what = 'knobs';
  if (configMap === 'hidden') return hidden(what);
  if (configMap === undefined)
    return {
      what,
      state: 'good',
      text: `no ConfigMap ${configMapName}: all by default`,
      counts: { set: 0, leftOut: 0 },
    };
  const { data = {} } = configMap;
  const problems = [...readKnobs(data).problems];
  // It is read where there is no such pool yet.
  const ofNodes = pools.some(({ metadata }) => metadata.name === nodePool) ? undefined : data[nodePool];
  const spec = ofNodes === undefined ? undefined : nodePoolSpecOf(ofNodes);
  if (spec !== undefined && 'says' in spec) problems.push(spec);
  const set = knownKeys.filter((key) => (data[key] ?? '').trim() !== '' && !isByDefault(key, data[key] ?? ''));
  const counts = { set: set.length, leftOut: problems.length };
  if (problems.length === 0) {
    return { what, state: 'good', text: set.length === 0 ? 'all by default' : `${set.join(', ')} set`, counts };
  }
  const cure = `kubectl edit configmap -n ${installNamespace} ${configMapName}`;
  const findings = problems.map(({ key, says }) => ({ name: key, says }));
  return {
    what,
    state: 'doubtful',
    text: `${problems.length} left out, the others are in force`,
    counts,
    cure,
    findings,
  };
}
