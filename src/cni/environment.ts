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
  /**
   * `required`: missing or wrong is an error; `optional`: wrong is as if unset, because nothing of that kind may stop a
   * DEL; a command that is not named does not read it.
   */
  use: Partial<Record<CniCommand, 'required' | 'optional'>>;
  valid: (value: string) => boolean;
  /** Completes "must be". */
  expected: string;
}

// `/` and `:` are refused by the kernel's dev_valid_name, and `%` makes a name a template for it.
const interfaceName = /^[^\s/:%]+$/;
/** IFNAMSIZ of the kernel, without the closing zero, in bytes. */
const maxInterfaceNameBytes = 15;

/** The length in UTF-8; QuickJS has no TextEncoder. */
function utf8Length(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const point = char.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function isInterfaceName(value: string): boolean {
  return interfaceName.test(value) && value !== '.' && value !== '..' && utf8Length(value) <= maxInterfaceNameBytes;
}

/** CNI_PATH is not here: only the delegates of a pod that has some are looked for in it. */
const variables: Record<'CNI_CONTAINERID' | 'CNI_NETNS' | 'CNI_IFNAME', Variable> = {
  CNI_CONTAINERID: {
    use: { ADD: 'required', DEL: 'required', CHECK: 'required' },
    // The wire's alias in the kernel has to hold it beside the pod's uid: 255 bytes for all.
    valid: (value) => /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(value),
    expected: 'a letter or digit, then letters, digits, "_", "." or "-", at most 128',
  },
  CNI_NETNS: {
    use: { ADD: 'required', DEL: 'optional', CHECK: 'required' },
    valid: (value) => /^\/[^\0]{1,4094}$/.test(value),
    expected: 'the absolute path of a network namespace',
  },
  CNI_IFNAME: {
    use: { ADD: 'required', DEL: 'required', CHECK: 'required' },
    valid: isInterfaceName,
    expected: 'an interface name of at most 15 bytes without blanks, "/", ":" and "%"',
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

/** Of each key what Kubernetes allows; the uid is also what the kernel is to remember. */
const podArguments: Record<keyof PodIdentity, { key: string; valid: RegExp; isNeeded: boolean }> = {
  namespace: { key: 'K8S_POD_NAMESPACE', valid: /^[^;]{1,63}$/, isNeeded: true },
  name: { key: 'K8S_POD_NAME', valid: /^[^;]{1,253}$/, isNeeded: true },
  uid: { key: 'K8S_POD_UID', valid: /^[\w.-]{1,64}$/, isNeeded: false },
};

/** The pod in CNI_ARGS. ADD needs it; DEL and CHECK go by the container id, and strange arguments do not stop them. */
function parsePod(text: string, command: CniCommand, allProblems: string[]): PodIdentity {
  const problems = command === 'ADD' ? allProblems : [];
  const values = parseArguments(text, problems);
  const take = (part: keyof PodIdentity): string => {
    const { key, valid, isNeeded } = podArguments[part];
    const value = values.get(key) ?? '';
    if (value !== '' && valid.test(value)) return value;
    if (value !== '') problems.push(`${key} in CNI_ARGS is ${JSON.stringify(value.slice(0, 80))}, no ${part} of a pod`);
    else if (isNeeded) problems.push(`${key} is missing in CNI_ARGS`);
    return '';
  };
  return { namespace: take('namespace'), name: take('name'), uid: take('uid') };
}

function read(name: keyof typeof variables, value: string, command: CniCommand, problems: string[]): string {
  const { use, valid, expected } = variables[name];
  if (value !== '' && valid(value)) return value;
  if (use[command] !== 'required') return '';
  if (value === '') problems.push(`${name} is missing`);
  else problems.push(`${name} is ${JSON.stringify(value.slice(0, 80))} but must be ${expected}`);
  return '';
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
    throw new CniError(errorCode.invalidEnvironment, msg);
  }
  return environment;
}
