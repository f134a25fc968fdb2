// SPDX-License-Identifier: Apache-2.0
// fast-cni's side of the border. The validator is passed in, because fast-cni brings it compiled.
import { maxMessageBytes } from './messages.ts';
import type { AgentRequest, AgentResponse } from './messages.ts';
import { explain } from './validation.ts';
import type { Validate } from './validation.ts';

/** `partial`: what a torn connection leaves, worth another try; `garbage`: an answer of somebody else. */
export type ParsedResponse = { response: AgentResponse } | { problem: 'partial' | 'garbage'; because: string };

/** Reads one response. */
export function parseResponse(text: string, validate: Validate): ParsedResponse {
  if (text.length > maxMessageBytes)
    return { problem: 'garbage', because: `it is longer than ${maxMessageBytes} bytes` };
  if (text.trim() === '') return { problem: 'partial', because: 'it is empty' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Only what begins as an answer of ours can be the first part of one.
    const problem = text.trimStart().startsWith('{') ? 'partial' : 'garbage';
    return { problem, because: `it is not whole JSON: ${JSON.stringify(text.slice(0, 80))}` };
  }
  const problem = explain(validate, value);
  if (problem !== undefined) return { problem: 'garbage', because: problem };
  return { response: value as AgentResponse };
}

/** The bytes to write before closing the client's half. */
export function formatRequest(request: AgentRequest): string {
  return JSON.stringify(request);
}
