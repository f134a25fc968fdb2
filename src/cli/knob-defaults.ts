// SPDX-License-Identifier: Apache-2.0
// The knobs as an install ships them, or as they are where it ships none: config/ has each, and a test compares the two.
import { isDeepStrictEqual } from 'node:util';
import { load } from 'js-yaml';
import { nodePool } from '../api/names.ts';

/** As YAML, by the key in the ConfigMap. */
export const knobDefaults: Readonly<Record<string, string>> = {
  [nodePool]: '{subnet: 10.244.0.1/32, ips: [10.244.224.0-10.244.255.255], usage: Node}',
  mode: 'tunnel',
  'tunnel-port': '4789',
  mtu: 'auto',
  uplink: 'auto',
  'masquerade-exclude': '',
  'metrics-address': '127.0.0.1',
  'agent-log-level': 'info',
  'agent-resources': '{requests: {cpu: 50m, memory: 128Mi}}',
};

function read(text: string): unknown {
  try {
    return load(text);
  } catch {
    return text;
  }
}

/** Whatever way it is written. */
export function isByDefault(key: string, value: string): boolean {
  return isDeepStrictEqual(read(value.trim()), read(knobDefaults[key] ?? ''));
}
