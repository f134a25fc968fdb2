// SPDX-License-Identifier: Apache-2.0
// The network configuration from stdin: a text becomes a value that is checked once and then trusted.
import { agentSocketPath } from '../api/names.ts';
import { errorCode } from '../protocol/error-codes.ts';
import type { PreviousResult, ValidAttachment } from '../protocol/messages.ts';
import { explain } from '../protocol/validation.ts';
import { CniError } from './cni-error.ts';
import type { CniCommand } from './environment.ts';
import type { HostOutcome } from './host.ts';
import { validateConfiguration } from './validators.ts';
import { checkVersion } from './versions.ts';
import type { SpecVersion } from './versions.ts';

export interface Configuration {
  cniVersion: SpecVersion;
  socket: string;
  timeoutMs: number;
  prevResult?: PreviousResult;
  validAttachments?: ValidAttachment[];
}

/** Below the two minutes that a kubelet gives a sandbox, and its share of it that the runtime needs itself. */
const defaultTimeoutSeconds = 55;

const expected: Record<string, string> = {
  cniVersion: 'a version of the CNI specification, such as "1.1.0"',
  name: 'the name of the network: a letter or digit, then letters, digits, "_", "." or "-"',
  type: 'the name of the executable, "fast-cni"',
  socket: "the absolute path of the agent's socket, at most 107 bytes",
  timeoutSeconds: 'a whole number of seconds from 1 to 600',
  'cni.dev/valid-attachments': 'a list of {containerID, ifname}',
};

const cure = 'correct the configuration in /etc/cni/net.d; the fast-agent writes its own there';

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
  socket?: string;
  timeoutSeconds?: number;
  prevResult?: PreviousResult;
  'cni.dev/valid-attachments'?: { containerID: string; ifname: string }[];
}

/** What the specification asks of the configuration for one command and a schema cannot say. */
function checkForCommand(raw: RawConfiguration, command: CniCommand): void {
  const refuse = (msg: string): never => {
    throw new CniError(errorCode.invalidConfiguration, msg, cure);
  };
  if (command === 'ADD' && raw.prevResult !== undefined) {
    refuse('ADD got a "prevResult"; fast-cni makes the interface itself, so put it first in the list of plugins');
  }
  if (command === 'CHECK' && raw.prevResult === undefined) {
    refuse('CHECK needs "prevResult", the result of ADD, and the runtime gave none');
  }
  if (command === 'GC' && raw['cni.dev/valid-attachments'] === undefined) {
    refuse('GC needs "cni.dev/valid-attachments" and the runtime gave none');
  }
}

/** Throws code 7 that names the field, or 1 for a version that is not served. */
export function parseConfiguration(value: unknown, command: CniCommand): Configuration {
  const problem = explain(validateConfiguration, value, expected);
  if (problem !== undefined) {
    const whole = problem.replace('the message is', 'the whole is');
    throw new CniError(errorCode.invalidConfiguration, `the network configuration is not valid: ${whole}`, cure);
  }
  const raw = value as RawConfiguration;
  const cniVersion = checkVersion(raw.cniVersion, command);
  checkForCommand(raw, command);
  const { prevResult } = raw;
  const attachments = raw['cni.dev/valid-attachments'];
  return {
    cniVersion,
    socket: raw.socket ?? agentSocketPath,
    timeoutMs: (raw.timeoutSeconds ?? defaultTimeoutSeconds) * 1000,
    ...(command === 'CHECK' && prevResult !== undefined ? { prevResult } : {}),
    ...(command === 'GC' && attachments !== undefined
      ? { validAttachments: attachments.map((a) => ({ containerId: a.containerID, ifName: a.ifname })) }
      : {}),
  };
}
