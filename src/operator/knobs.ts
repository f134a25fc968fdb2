// SPDX-License-Identifier: Apache-2.0
// The ConfigMap's knobs as the agents' flags and resources. A value that is none is said and left out, so that one wrong
// line never takes the network away; the agents go on with what they do without the knob.
import { loadYaml } from '@kubernetes/client-node';
import { modes } from '../api/names.ts';
import { masqueradeKnob, readRanges } from './masquerade-knob.ts';

export interface Knobs {
  readonly args: readonly string[];
  /** Of the agents' container; absent where the ConfigMap names none. */
  readonly resources?: Readonly<Record<string, unknown>>;
  /** Each with key, value and cure. */
  readonly problems: readonly string[];
}

interface FlagKnob {
  readonly flag: string;
  readonly isRight: (value: string) => boolean;
  readonly cure: string;
}

const between = (least: number, most: number) => (value: string) =>
  /^[0-9]{1,5}$/.test(value) && Number(value) >= least && Number(value) <= most;
const oneOf = (...words: string[]): FlagKnob['isRight'] => {
  return (value) => words.includes(value);
};

/** Every node has these, and the probes of both programs ask on the first. */
const metricsAddresses: readonly string[] = ['127.0.0.1', '0.0.0.0'];

export function isMetricsAddress(value: string): boolean {
  return metricsAddresses.includes(value);
}

/** By the key in the ConfigMap. */
export const flagKnobs: Readonly<Record<string, FlagKnob>> = {
  'agent-log-level': {
    flag: '--log-level',
    isRight: oneOf('debug', 'info', 'warn', 'error'),
    cure: 'write debug, info, warn or error',
  },
  'tunnel-port': { flag: '--tunnel-port', isRight: between(1, 65_535), cure: 'write a UDP port from 1 to 65535' },
  mtu: {
    flag: '--mtu',
    isRight: (value) => value === 'auto' || between(576, 65_485)(value),
    cure: 'write the MTU of pods in bytes, from 576 to 65485, or auto',
  },
  mode: { flag: '--mode', isRight: oneOf(...modes), cure: `write ${modes.join(' or ')}` },
  uplink: { flag: '--uplink', isRight: (value) => /^[^\s/]{1,15}$/.test(value), cure: "write a link's name, or auto" },
  'metrics-address': {
    flag: '--health-host',
    isRight: isMetricsAddress,
    cure: `write ${metricsAddresses.join(' or ')}`,
  },
};

/** Of the agents' container, as YAML. */
export const resourcesKey = 'agent-resources';

export function readKnobs(data: Readonly<Record<string, string>> = {}): Knobs {
  const args: string[] = [];
  const problems: string[] = [];
  for (const [key, { flag, isRight, cure }] of Object.entries(flagKnobs)) {
    const value = data[key]?.trim();
    if (value === undefined || value === '') continue;
    if (isRight(value)) args.push(flag, value);
    else problems.push(`${key}: "${value.slice(0, 60)}" is not taken; ${cure}`);
  }
  const exclude = readRanges(data[masqueradeKnob]);
  if (exclude.ranges.length > 0) args.push('--masquerade-exclude', exclude.ranges.join(','));
  problems.push(...exclude.problems.map((problem) => `${masqueradeKnob}: ${problem}`));
  const text = data[resourcesKey]?.trim() ?? '';
  const resources = text === '' ? undefined : resourcesOf(text);
  if (resources === 'wrong')
    problems.push(`${resourcesKey}: not taken; write requests and limits as a container has them`);
  return { args, problems, ...(typeof resources === 'object' ? { resources } : {}) };
}

/** The API server judges the quantities. */
function resourcesOf(text: string): Record<string, unknown> | 'wrong' {
  try {
    const value: unknown = loadYaml(text);
    if (typeof value !== 'object' || value === null) return 'wrong';
    return Object.keys(value).every((key) => key === 'requests' || key === 'limits')
      ? (value as Record<string, unknown>)
      : 'wrong';
  } catch {
    return 'wrong';
  }
}
