// SPDX-License-Identifier: Apache-2.0
// Whether the node that a traced packet is sent to is there to receive it, as far as this account may know.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { type Node, nodes } from '../kube/resources.ts';
import { sayDuration } from './duration.ts';
import { silentKubelets } from './kubelet-silence.ts';
import type { Cluster } from './surroundings.ts';

export interface NodeState {
  /** Nobody is there who could be asked. */
  readonly isSilent: boolean;
  /** What is amiss, with the cure; undefined where nothing is. */
  readonly amiss?: string;
  /** What was not to be asked. */
  readonly hidden?: unknown;
}

const patienceMs = 5_000;

function sayOff(name: string, how: string): NodeState {
  const cure = `start ${name}, or mend its network; kubectl describe node ${name}`;
  const what = `${name} does not answer: ${how}; nothing arrives there while its machine is off or cut off: ${cure}`;
  return { isSilent: true, amiss: what };
}

/** The control plane needs 40 s and more to write that a node is NotReady; its Lease shows it sooner. */
async function silenceOf(cluster: Pick<Cluster, 'list'>, name: string, nowMs: number): Promise<string | undefined> {
  try {
    const silentMs = (await silentKubelets(cluster, nowMs)).get(name);
    return silentMs === undefined ? undefined : `its kubelet has said nothing for ${sayDuration(silentMs)}`;
  } catch {
    // Who may not look knows it from the Node, later.
    return undefined;
  }
}

function ofNode(name: string, node: Node, nowMs: number): NodeState {
  const { status, message, lastTransitionTime } = node.status?.conditions?.find(({ type }) => type === 'Ready') ?? {};
  const since = lastTransitionTime === undefined ? '' : ` for ${sayDuration(nowMs - Date.parse(lastTransitionTime))}`;
  if (status === 'Unknown') return sayOff(name, `it is NotReady${since}`);
  if (status !== 'False') return { isSilent: false };
  const amiss = `${name} is NotReady${since}: ${message ?? 'it does not say why'}; kubectl describe node ${name}`;
  return { isSilent: false, amiss };
}

async function byNode(cluster: Pick<Cluster, 'find' | 'list'>, name: string, nowMs: number): Promise<NodeState> {
  const node = await cluster.find(nodes, name, undefined, { timeoutMs: patienceMs });
  if (node === undefined) return sayOff(name, 'its Node object is gone');
  const state = ofNode(name, node, nowMs);
  if (state.amiss !== undefined) return state;
  const silence = await silenceOf(cluster, name, nowMs);
  return silence === undefined ? state : sayOff(name, silence);
}

/** By the Node and its Lease, and where those may not be read by what the controller says of it on the NodeEndpoint. */
export async function stateOfNode(
  cluster: Pick<Cluster, 'find' | 'list'>,
  { metadata: { name }, status }: NodeEndpoint,
  nowMs: number,
): Promise<NodeState> {
  const datapath = status?.conditions?.find(({ type }) => type === 'DatapathReady');
  let own: NodeState;
  try {
    own = await byNode(cluster, name, nowMs);
  } catch (error) {
    if (datapath?.status === 'Unknown') return sayOff(name, datapath.message);
    own = { isSilent: false, hidden: error };
  }
  if (own.amiss !== undefined || datapath === undefined || datapath.status === 'True') return own;
  return { ...own, amiss: `${name}: ${datapath.message}; kubectl describe nodeendpoint ${name}` };
}
