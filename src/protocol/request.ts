// SPDX-License-Identifier: Apache-2.0
// The agent's side of the border: a text from the socket becomes a request that may be trusted, or the answer to send.
import { Ajv } from 'ajv';
import { errorCode } from './error-codes.ts';
import { agentCommands, maxMessageBytes, protocolVersion } from './messages.ts';
import type { AgentFailure, AgentRequest, AgentResponse } from './messages.ts';
import { requestSchema } from './schemas.ts';
import { explain } from './validation.ts';

export type ParsedRequest = { request: AgentRequest } | { error: AgentFailure };

const validateRequest = new Ajv({ strictTypes: false }).compile(requestSchema);

const expected: Record<string, string> = {
  protocol: `${protocolVersion}, the version this agent speaks`,
  command: `one of ${agentCommands.join(', ')}`,
  containerId: 'the container id, never empty for ADD, CHECK and DEL',
  ifName: 'the interface name in the pod, never empty for ADD, CHECK and DEL',
  netns: 'the absolute path of a network namespace',
  'pod.namespace': 'K8S_POD_NAMESPACE of CNI_ARGS, never empty for ADD',
  'pod.name': 'K8S_POD_NAME of CNI_ARGS, never empty for ADD',
};

const cure =
  'fast-cni and the fast-agent of one release understand each other; does the agent install its own fast-cni?';

function refuse(code: number, msg: string): { error: AgentFailure } {
  return { error: { ok: false, code, msg, details: cure } };
}

/** Reads one request. The error is the response to send back: code 100 with the field and its value, or 6 for no JSON. */
export function parseRequest(text: string): ParsedRequest {
  if (text.length > maxMessageBytes) {
    return refuse(errorCode.protocol, `the request has ${text.length} characters, more than ${maxMessageBytes}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return refuse(errorCode.cannotDecode, `the request is not JSON (${reason}): ${JSON.stringify(text.slice(0, 80))}`);
  }
  const problem = explain(validateRequest, value, expected);
  if (problem !== undefined)
    return refuse(errorCode.protocol, `the request is not one of protocol ${protocolVersion}: ${problem}`);
  return { request: value as AgentRequest };
}

/**
 * What the agent writes now and then while it works: blanks before a JSON text mean nothing (RFC 8259, section 2), and a
 * caller that is gone does not take them.
 */
export const stillAtWork = ' ';

/** The bytes to write before closing. */
export function formatResponse(response: AgentResponse): string {
  return `${JSON.stringify(response)}\n`;
}
