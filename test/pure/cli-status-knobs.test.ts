// SPDX-License-Identifier: Apache-2.0
// The line `knobs` of `fast-ctl status`: what somebody has set, and nothing that an install ships.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';
import { knownKeys } from '../../src/api/knobs.ts';
import { knobs } from '../../src/cli/health-knobs.ts';
import { isByDefault, knobDefaults } from '../../src/cli/knob-defaults.ts';
import { well } from './cluster-view.ts';

interface KnobMap {
  readonly data: Record<string, string>;
}
const read = (file: string): unknown => load(readFileSync(join(root, file), 'utf8'));
const shipped = (read('config/controller/config.yaml') as KnobMap).data;
const overlay = read('config/overlays/knobs/kustomization.yaml') as { patches: Array<{ patch: string }> };
const all = (load(overlay.patches[0]?.patch ?? '') as KnobMap).data;
const textOf = (data: Record<string, string>): string => knobs({ ...well, knobs: { metadata: {}, data } }).text;

describe('knobs', () => {
  it('of an install that nobody has touched are all by default, not "mode, fast-nodes set"', () => {
    expect(Object.keys(shipped)).toContain('fast-nodes');
    expect(textOf(shipped)).toBe('all by default');
    expect(textOf(all)).toBe('all by default');
  });

  it('that differ are named', () => {
    const pool = { 'fast-nodes': '{subnet: 10.244.0.1/32, ips: [10.9.0.0], usage: Node}' };
    expect(textOf({ ...shipped, mode: 'direct', mtu: '1400' })).toBe('mtu, mode set');
    expect(textOf({ ...shipped, ...pool })).toBe('fast-nodes set');
  });

  it('have the defaults that config/ has', () => {
    expect(Object.keys(knobDefaults).toSorted()).toEqual(knownKeys.toSorted());
    for (const [key, value] of Object.entries({ ...shipped, ...all })) {
      if (value !== '') expect(isByDefault(key, value), key).toBe(true);
    }
  });
});
