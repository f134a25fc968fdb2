// SPDX-License-Identifier: Apache-2.0
// A node that is off says nothing any more, and what its agent said last would stand for ever. The control plane sees it
// first: when it has lost the node, nobody knows how its datapath is, and the endpoint says so.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Node } from '../api/workloads.ts';
import { timestamp } from './allocation.ts';

export interface Silence {
  /** When the control plane lost the node. */
  readonly since: string;
  /** The endpoint as it is to be written. */
  readonly endpoint: NodeEndpoint;
}

/**
 * Undefined where there is nothing to say. An agent that has spoken since knows better: its node's kubelet alone is
 * silent. NotReady by the kubelet's own word is no silence.
 */
export function silenceOf(
  endpoint: NodeEndpoint | undefined,
  node: Node | undefined,
  nowMs: number,
): Silence | undefined {
  const ready = node?.status?.conditions?.find(({ type }) => type === 'Ready');
  const since = ready?.lastTransitionTime;
  const conditions = endpoint?.status?.conditions ?? [];
  const said = conditions.find(({ type }) => type === 'DatapathReady');
  if (endpoint === undefined || ready?.status !== 'Unknown' || since === undefined || said?.status !== 'True')
    return undefined;
  if (Date.parse(said.lastTransitionTime) > Date.parse(since)) return undefined;
  const unknown = {
    ...said,
    status: 'Unknown' as const,
    reason: 'NodeSilent',
    message: `The control plane lost the node at ${since}, and its agent has said nothing since. Its pods keep their addresses until it is back, deleted or tainted out-of-service.`,
    lastTransitionTime: timestamp(nowMs),
  };
  const others = conditions.map((each) => (each === said ? unknown : each));
  return { since, endpoint: { ...endpoint, status: { ...endpoint.status, conditions: others } } };
}
