// SPDX-License-Identifier: Apache-2.0
// The variables a runtime sets, against the commands that need them: one table, after CNI 1.1.0, section 2, "Parameters".
import { errorCode } from '../protocol/error-codes.ts';
import type { AgentCommand, PodIdentity } from '../protocol/messages.ts';
import { agentCommands } from '../protocol/messages.ts';
import { CniError } from './cni-error.ts';

export type CniCommand = AgentCommand | 'VERSION';

/** What the agent is to know of it; each is '' where the command has no use for it. */
export interface Environment {
  containerId: string;
  netns: string;
  ifName: string;
  pod: PodIdentity;
}

interface Variable {
  /** Where a value must be there; elsewhere it may be, and is checked all the same. */
  requiredBy: readonly CniCommand[];
  valid: (value: string) => boolean;
  /** Completes "must be". */
  expected: string;
}

// IFNAMSIZ of the kernel is 16 with the closing zero; `/` and `:` are refused by its dev_valid_name.
const interfaceName = /^[^\s/:]{1,15}$/;

/** CNI_PATH is not here: fast-cni calls no other plugin. */
const variables: Record<'CNI_CONTAINERID' | 'CNI_NETNS' | 'CNI_IFNAME', Variable> = {
  CNI_CONTAINERID: {
    requiredBy: ['ADD', 'DEL', 'CHECK'],
    valid: (value) => /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,255}$/.test(value),
    expected: 'a letter or digit, then letters, digits, "_", "." or "-", at most 256',
  },
  CNI_NETNS: {
    requiredBy: ['ADD', 'CHECK'],
    valid: (value) => /^\/[^\0]{1,4094}$/.test(value),
    expected: 'the absolute path of a network namespace',
  },
  CNI_IFNAME: {
    requiredBy: ['ADD', 'DEL', 'CHECK'],
    valid: (value) => interfaceName.test(value) && value !== '.' && value !== '..',
    expected: 'an interface name of at most 15 characters without blanks, "/" and ":"',
  },
};

const commands: readonly string[] = [...agentCommands, 'VERSION'];
/** What Kubernetes' runtimes put into CNI_ARGS. */
const knownArguments = [
  'IgnoreUnknown',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_INFRA_CONTAINER_ID',
  'K8S_POD_UID',
];
const truths = ['1', 'true', 'TRUE', 'True', 't', 'T'];

export function parseCommand(value: string): CniCommand {
  if (commands.includes(value)) return value as CniCommand;
  const msg = `CNI_COMMAND is ${JSON.stringify(value)} but must be one of ${commands.join(', ')}`;
  throw new CniError(errorCode.invalidEnvironment, msg);
}

/** Splits CNI_ARGS, `KEY=VALUE;KEY=VALUE`; what does not fit is added to `problems`. */
function parseArguments(text: string, problems: string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const pair of text.split(';').filter((part) => part !== '')) {
    const at = pair.indexOf('=');
    if (at <= 0) problems.push(`CNI_ARGS has ${JSON.stringify(pair)}, which is not KEY=VALUE`);
    else values.set(pair.slice(0, at), pair.slice(at + 1));
  }
  const unknown = [...values.keys()].filter((key) => !knownArguments.includes(key));
  if (unknown.length > 0 && !truths.includes(values.get('IgnoreUnknown') ?? '')) {
    problems.push(`CNI_ARGS has ${unknown.join(', ')}, which fast-cni does not know; add IgnoreUnknown=1 to allow it`);
  }
  return values;
}

function parsePod(text: string, command: CniCommand, problems: string[]): PodIdentity {
  const values = parseArguments(text, problems);
  const take = (key: string): string => {
    const value = values.get(key) ?? '';
    if (value === '' && command === 'ADD') problems.push(`${key} is missing in CNI_ARGS`);
    return value;
  };
  const [namespace, name] = [take('K8S_POD_NAMESPACE'), take('K8S_POD_NAME')];
  return { namespace, name, uid: values.get('K8S_POD_UID') ?? '' };
}

function read(name: keyof typeof variables, value: string, command: CniCommand, problems: string[]): string {
  const variable = variables[name];
  if (value === '') {
    if (variable.requiredBy.includes(command)) problems.push(`${name} is missing`);
  } else if (!variable.valid(value)) {
    problems.push(`${name} is ${JSON.stringify(value.slice(0, 80))} but must be ${variable.expected}`);
  }
  return value;
}

/** Reads and checks all variables; throws code 4 that names every one that is missing or invalid. */
export function parseEnvironment(command: CniCommand, env: (name: string) => string): Environment {
  const none: Environment = { containerId: '', netns: '', ifName: '', pod: { namespace: '', name: '', uid: '' } };
  if (command === 'VERSION' || command === 'STATUS' || command === 'GC') return none;
  const problems: string[] = [];
  const environment: Environment = {
    containerId: read('CNI_CONTAINERID', env('CNI_CONTAINERID'), command, problems),
    netns: read('CNI_NETNS', env('CNI_NETNS'), command, problems),
    ifName: read('CNI_IFNAME', env('CNI_IFNAME'), command, problems),
    pod: parsePod(env('CNI_ARGS'), command, problems),
  };
  if (problems.length > 0) {
    const msg = `${command} cannot run: ${problems.join('; ')}`;
    throw new CniError(errorCode.invalidEnvironment, msg, 'the container runtime sets these variables');
  }
  return environment;
}
