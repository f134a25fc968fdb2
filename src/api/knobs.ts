// SPDX-License-Identifier: Apache-2.0
// The ConfigMap's knobs as the agents' flags and resources. A value that is none, and a key that is none, is said and left
// out, so that one wrong line never takes the network away; the agents go on with what they do without the knob.
import { load } from 'js-yaml';
import type { Ips } from './generated/ips.ts';
import { masqueradeKnob, readRanges } from './masquerade-knob.ts';
import { modes, nodePool } from './names.ts';
import { nearestOf } from './nearest.ts';

export interface Knobs {
  readonly args: readonly string[];
  /** Of the agents' container; absent where the ConfigMap names none. */
  readonly resources?: Readonly<Record<string, unknown>>;
  readonly problems: readonly KnobProblem[];
}

/** What is left out of the ConfigMap. */
export interface KnobProblem {
  readonly key: string;
  /** The value and the cure. */
  readonly says: string;
}

export function sayProblem({ key, says }: KnobProblem): string {
  return `${key}: ${says}`;
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

/** All keys that the ConfigMap may have. */
export const knownKeys: readonly string[] = [...Object.keys(flagKnobs), masqueradeKnob, resourcesKey, nodePool];

/** Of a value as a person reads it. */
const maxShown = 60;

export function readKnobs(data: Readonly<Record<string, string>> = {}): Knobs {
  const args: string[] = [];
  const problems: KnobProblem[] = [];
  for (const [key, { flag, isRight, cure }] of Object.entries(flagKnobs)) {
    const value = data[key]?.trim();
    if (value === undefined || value === '') continue;
    if (isRight(value)) args.push(flag, value);
    else problems.push({ key, says: `"${value.slice(0, maxShown)}" is not taken; ${cure}` });
  }
  const exclude = readRanges(data[masqueradeKnob]);
  if (exclude.ranges.length > 0) args.push('--masquerade-exclude', exclude.ranges.join(','));
  problems.push(...exclude.problems.map((says) => ({ key: masqueradeKnob, says })));
  const text = data[resourcesKey]?.trim() ?? '';
  const resources = text === '' ? undefined : resourcesOf(text);
  if (resources === 'wrong') {
    const says = `"${text.slice(0, maxShown)}" is not taken; write requests and limits as a container has them`;
    problems.push({ key: resourcesKey, says });
  }
  problems.push(...Object.keys(data).flatMap(unknownKey));
  return { args, problems, ...(typeof resources === 'object' ? { resources } : {}) };
}

function unknownKey(key: string): KnobProblem[] {
  if (knownKeys.includes(key)) return [];
  const near = nearestOf(key, knownKeys);
  const cure = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `the knobs are ${knownKeys.join(', ')}`;
  return [{ key, says: `no knob has this name; ${cure}` }];
}

/** As the API server has them (k8s.io/apimachinery/pkg/api/resource, Quantity). */
const quantity = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$/;

/** Whether limits and requests fit each other is the API server's to judge. */
function resourcesOf(text: string): Record<string, unknown> | 'wrong' {
  const value = yamlOf(text);
  if (!isObject(value)) return 'wrong';
  const isRight = Object.entries(value).every(([key, amounts]) => {
    if ((key !== 'requests' && key !== 'limits') || !isObject(amounts)) return false;
    return Object.values(amounts).every((one) => quantity.test(String(one)));
  });
  return isRight ? value : 'wrong';
}

/** The pool of the nodes as the ConfigMap has it. */
export function nodePoolSpecOf(text: string): Ips['spec'] | KnobProblem {
  const spec = yamlOf(text);
  if (isObject(spec) && 'subnet' in spec && 'ips' in spec) return spec as unknown as Ips['spec'];
  return { key: nodePool, says: `"${text.slice(0, 200)}" is no spec of an Ips; write subnet, ips and usage: Node` };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function yamlOf(text: string): unknown {
  try {
    return load(text);
  } catch {
    return undefined;
  }
}
