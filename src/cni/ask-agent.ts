// SPDX-License-Identifier: Apache-2.0
// One question to the agent, and what each way of not getting an answer means to the runtime.
import { errorCode } from '../protocol/error-codes.ts';
import type { AgentCommand, AgentRequest, Attachment } from '../protocol/messages.ts';
import { protocolVersion } from '../protocol/messages.ts';
import { formatRequest, parseResponse } from '../protocol/response.ts';
import { CniError } from './cni-error.ts';
import type { Configuration } from './configuration.ts';
import type { Environment } from './environment.ts';
import type { Host, HostOutcome } from './host.ts';
import { knownPart } from './result.ts';
import { validateResponse } from './validators.ts';

/** So much earlier than fast-cni gives up, the agent does, and then the error says what was waited for. */
const marginMs = 1000;

function buildRequest(
  command: AgentCommand,
  configuration: Configuration,
  environment: Environment,
  timeoutMs: number,
): AgentRequest {
  const { name, prevResult, validAttachments, hasBandwidthLimit } = configuration;
  return {
    protocol: protocolVersion,
    command,
    ...environment,
    deadlineMs: Math.max(timeoutMs - marginMs, Math.floor(timeoutMs / 2)),
    ...(command === 'ADD' && hasBandwidthLimit ? { hasBandwidthLimit } : {}),
    ...(command === 'CHECK' && prevResult !== undefined ? { prevResult: knownPart(prevResult) } : {}),
    ...(validAttachments === undefined ? {} : { validAttachments, network: name }),
  };
}

/** A failure of the exchange itself. STATUS has a code of its own for it; all else is worth another try. */
function noAnswer(command: AgentCommand, because: string, cure: string): CniError {
  const code = command === 'STATUS' ? errorCode.notAvailable : errorCode.tryAgainLater;
  return new CniError(code, because, cure);
}

/** What became of an exchange that brought no text. */
function failed(command: AgentCommand, configuration: Configuration, outcome: Failure, timeoutMs: number): CniError {
  const { socket } = configuration;
  const limit = timeoutMs === configuration.timeoutMs ? ' (timeoutSeconds)' : ", the rest of the command's time";
  switch (outcome.problem) {
    case 'connect':
      return noAnswer(
        command,
        `the agent cannot be reached at ${socket} (${outcome.message})`,
        'is the fast-agent pod running on this node?',
      );
    case 'timeout':
      return noAnswer(
        command,
        `the agent at ${socket} gave no answer within ${Math.round(timeoutMs / 100) / 10} s${limit}`,
        'the log of the fast-agent on this node says what it waits for',
      );
    case 'write':
    case 'read':
      return noAnswer(
        command,
        `the connection to the agent at ${socket} broke off (${outcome.problem}: ${outcome.message})`,
        'did the fast-agent on this node restart?',
      );
    case 'tooLong':
    case 'encoding':
      return stranger(socket, outcome.message);
  }
}

type Failure = Extract<HostOutcome, { problem: string }>;

function stranger(socket: string, because: string): CniError {
  const msg = `the answer at ${socket} is not one of protocol ${protocolVersion}: ${because}`;
  return new CniError(errorCode.protocol, msg, 'does a fast-agent of the same release listen there?');
}

/**
 * Throws code 11 (STATUS: 50) while the agent is away or late, 100 for an answer that is not one, and the agent's own
 * errors. A DEL with the agent away is done: its wire goes when the agent is back and finds the pod gone.
 */
export function askAgent(
  host: Host,
  command: AgentCommand,
  configuration: Configuration,
  environment: Environment,
  timeoutMs: number,
): Attachment | undefined {
  const { socket } = configuration;
  const body = formatRequest(buildRequest(command, configuration, environment, timeoutMs));
  const outcome = host.unixRequest(socket, body, timeoutMs);
  if ('problem' in outcome) {
    if (outcome.problem === 'connect' && command === 'DEL') return undefined;
    throw failed(command, configuration, outcome, timeoutMs);
  }
  const parsed = parseResponse(outcome.text, validateResponse);
  if ('problem' in parsed) {
    if (parsed.problem === 'garbage') throw stranger(socket, parsed.because);
    const because = `the agent's answer at ${socket} broke off: ${parsed.because}`;
    throw noAnswer(command, because, 'did the fast-agent on this node restart?');
  }
  const { response } = parsed;
  if (!response.ok) throw new CniError(response.code, response.msg, response.details);
  return response.result;
}
