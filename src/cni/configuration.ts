// SPDX-License-Identifier: Apache-2.0
// The network configuration from stdin: a text becomes a value that is checked once and then trusted.
import { agentSocketPath } from '../api/names.ts';
import { errorCode } from '../protocol/error-codes.ts';
import type { ValidAttachment } from '../protocol/messages.ts';
import { explain } from '../protocol/validation.ts';
import { boundBursts, hasBandwidthLimit } from './bandwidth.ts';
import { CniError } from './cni-error.ts';
import type { Delegate } from './delegates.ts';
import type { CniCommand } from './environment.ts';
import type { HostOutcome } from './host.ts';
import type { RawResult } from './result.ts';
import { refuseUnsupported } from './unsupported.ts';
import { validateConfiguration, validatePreviousResult } from './validators.ts';
import { checkVersion } from './versions.ts';
import type { SpecVersion } from './versions.ts';

export interface Configuration {
  cniVersion: SpecVersion;
  /** The network's. */
  name: string;
  socket: string;
  timeoutMs: number;
  /** For ADD what the plugins before made, for CHECK and DEL what all of them made. */
  prevResult?: RawResult;
  /** What an administrator wants the result to say of name servers. */
  dns?: object;
  /** Whether the plugin bandwidth will limit the pod. */
  hasBandwidthLimit: boolean;
  /** The plugins that fast-cni has to run, in their order: for a pod those that it asks for, else all. */
  delegates: Delegate[];
  /** As it stands, for them; of the runtime's bursts see `boundBursts`. */
  whole: object;
  /** With the runtime's bursts, where they are others: what an older fast-cni gave the plugin. */
  formerWhole?: object;
  /** Absent where the runtime gave no list, which is no statement about any attachment. */
  validAttachments?: ValidAttachment[];
}

/** With the plugins' part (deadline.ts) within what a kubelet gives the making of a sandbox. */
const defaultTimeoutSeconds = 55;

const expected: Record<string, string> = {
  cniVersion: 'a version of the CNI specification, such as "1.1.0"',
  name: 'the name of the network: a letter or digit, then letters, digits, "_", "." or "-"',
  type: 'the name of the executable, "fast-cni"',
  socket: "the absolute path of the agent's socket, at most 107 bytes",
  delegates: 'the names of plugins by capability, such as {"portMappings": "portmap", "bandwidth": "bandwidth"}',
  timeoutSeconds: 'a whole number of seconds from 1 to 600',
  'cni.dev/valid-attachments': 'a list of {containerID, ifname}',
};

/** stdin as JSON; throws code 5 where it cannot be read and 6 where it is not JSON. */
export function decode(input: HostOutcome): unknown {
  if ('problem' in input) {
    const code = input.problem === 'read' ? errorCode.inputOutput : errorCode.cannotDecode;
    throw new CniError(code, `the configuration on stdin cannot be read: ${input.message}`);
  }
  try {
    return JSON.parse(input.text) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const start = JSON.stringify(input.text.slice(0, 60));
    throw new CniError(errorCode.cannotDecode, `the configuration on stdin is not JSON: ${reason}; it begins ${start}`);
  }
}

interface RawConfiguration {
  cniVersion: string;
  name: string;
  socket?: string;
  timeoutSeconds?: number;
  ipam?: unknown;
  dns?: object | null;
  prevResult?: RawResult | null;
  runtimeConfig?: Record<string, unknown> | null;
  delegates?: Partial<Record<DelegatedCapability, string>> | null;
  'cni.dev/valid-attachments'?: { containerID: string; ifname: string }[] | null;
}

function refuse(msg: string): never {
  throw new CniError(errorCode.invalidConfiguration, msg);
}

/** The result of others as far as the command needs one. DEL needs none, so that a strange one cannot stop it. */
function previousResult(raw: RawConfiguration, command: CniCommand): { prevResult?: RawResult } {
  const prevResult = raw.prevResult ?? undefined;
  if (command === 'CHECK' && prevResult === undefined) {
    refuse('CHECK needs "prevResult", the result of ADD, and the runtime gave none');
  }
  if (prevResult === undefined || command === 'GC' || command === 'STATUS') return {};
  const problem = explain(validatePreviousResult, prevResult);
  if (problem !== undefined && command === 'DEL') return {};
  if (problem !== undefined) refuse(`"prevResult" is not a result: ${problem}`);
  return { prevResult };
}

/** An absent list is no list; null is how Go writes an empty one. */
function validAttachments(raw: RawConfiguration, command: CniCommand): { validAttachments?: ValidAttachment[] } {
  const list = raw['cni.dev/valid-attachments'];
  if (command !== 'GC' || list === undefined) return {};
  return { validAttachments: (list ?? []).map((one) => ({ containerId: one.containerID, ifName: one.ifname })) };
}

/** The order in which their plugins run: a limit is laid on what portmap has left of the result. */
const delegatedCapabilities = ['portMappings', 'bandwidth'] as const;
type DelegatedCapability = (typeof delegatedCapabilities)[number];

/** Whether a pod asks for the capability: runtimes write empty lists and limits of 0 too. */
const isAsked: Record<DelegatedCapability, (value: unknown) => boolean> = {
  portMappings: (value) => Array.isArray(value) && value.length > 0,
  bandwidth: hasBandwidthLimit,
};

function delegatesOf({ delegates, runtimeConfig }: RawConfiguration, command: CniCommand): Delegate[] {
  const isOfPod = command === 'ADD' || command === 'DEL' || command === 'CHECK';
  return delegatedCapabilities.flatMap((capability) => {
    const type = delegates?.[capability];
    const isNeeded = !isOfPod || isAsked[capability](runtimeConfig?.[capability]);
    return type !== undefined && isNeeded ? [{ type }] : [];
  });
}

function wholeFor(raw: RawConfiguration): Pick<Configuration, 'whole' | 'formerWhole'> {
  const { runtimeConfig } = raw;
  const bounded = boundBursts(runtimeConfig?.['bandwidth']);
  if (bounded === undefined) return { whole: raw };
  return { whole: { ...raw, runtimeConfig: { ...runtimeConfig, bandwidth: bounded } }, formerWhole: raw };
}

/** Throws code 7 that names the field, 2 for a field that cannot be honoured, or 1 for a version that is not served. */
export function parseConfiguration(value: unknown, command: CniCommand): Configuration {
  const problem = explain(validateConfiguration, value, expected);
  if (problem !== undefined) {
    refuse(`the network configuration is not valid: ${problem.replace('the message is', 'the whole is')}`);
  }
  const raw = value as RawConfiguration;
  const cniVersion = checkVersion(raw.cniVersion, command);
  if (command === 'ADD' || command === 'STATUS')
    refuseUnsupported(raw.ipam, raw.runtimeConfig ?? {}, Object.keys(raw.delegates ?? {}));
  return {
    cniVersion,
    name: raw.name,
    socket: raw.socket ?? agentSocketPath,
    hasBandwidthLimit: hasBandwidthLimit(raw.runtimeConfig?.['bandwidth']),
    delegates: delegatesOf(raw, command),
    ...wholeFor(raw),
    timeoutMs: (raw.timeoutSeconds ?? defaultTimeoutSeconds) * 1000,
    ...(raw.dns ? { dns: raw.dns } : {}),
    ...previousResult(raw, command),
    ...validAttachments(raw, command),
  };
}
