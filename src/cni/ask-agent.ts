// SPDX-License-Identifier: Apache-2.0
// One question to the agent, and what each way of not getting an answer means to the runtime.
import { errorCode } from '../protocol/error-codes.ts';
import type { AgentCommand, AgentRequest, Attachment } from '../protocol/messages.ts';
import { protocolVersion } from '../protocol/messages.ts';
import { formatRequest, parseResponse } from '../protocol/response.ts';
import { CniError } from './cni-error.ts';
import type { Configuration } from './configuration.ts';
import type { Environment } from './environment.ts';
import type { Host } from './host.ts';
import { validateResponse } from './validators.ts';

/** So much earlier than fast-cni gives up, the agent does, and then the error says what was waited for. */
const marginMs = 1000;

function buildRequest(command: AgentCommand, configuration: Configuration, environment: Environment): AgentRequest {
  const { timeoutMs, prevResult, validAttachments } = configuration;
  return {
    protocol: protocolVersion,
    command,
    ...environment,
    deadlineMs: Math.max(timeoutMs - marginMs, Math.floor(timeoutMs / 2)),
    ...(prevResult === undefined ? {} : { prevResult }),
    ...(validAttachments === undefined ? {} : { validAttachments }),
  };
}

/** A failure of the exchange itself. STATUS has a code of its own for it; all else is worth another try. */
function noAnswer(command: AgentCommand, because: string, cure: string): CniError {
  const code = command === 'STATUS' ? errorCode.notAvailable : errorCode.tryAgainLater;
  return new CniError(code, `${because}; ${cure}`);
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
): Attachment | undefined {
  const { socket, timeoutMs } = configuration;
  const body = formatRequest(buildRequest(command, configuration, environment));
  const outcome = host.unixRequest(socket, body, timeoutMs);
  if ('problem' in outcome) {
    if (outcome.problem === 'connect') {
      if (command === 'DEL') return undefined;
      const because = `the agent cannot be reached at ${socket} (${outcome.message})`;
      throw noAnswer(command, because, 'is the fast-agent pod running on this node?');
    }
    if (outcome.problem === 'timeout') {
      const because = `the agent at ${socket} gave no answer within ${timeoutMs / 1000} s (timeoutSeconds)`;
      throw noAnswer(command, because, 'the log of the fast-agent on this node says what it waits for');
    }
    const because = `the connection to the agent at ${socket} broke off (${outcome.problem}: ${outcome.message})`;
    throw noAnswer(command, because, 'did the fast-agent on this node restart?');
  }
  const parsed = parseResponse(outcome.text, validateResponse);
  if ('problem' in parsed) {
    if (parsed.problem === 'partial') {
      const because = `the agent's answer at ${socket} broke off: ${parsed.because}`;
      throw noAnswer(command, because, 'did the fast-agent on this node restart?');
    }
    const msg = `the answer at ${socket} is not one of protocol ${protocolVersion}: ${parsed.because}`;
    throw new CniError(errorCode.protocol, `${msg}; does a fast-agent of the same release listen there?`);
  }
  const { response } = parsed;
  if (!response.ok) throw new CniError(response.code, response.msg, response.details);
  return response.result;
}
