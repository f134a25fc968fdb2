// SPDX-License-Identifier: Apache-2.0
// Who may write what: config/rbac and config/policy, by hand. The contract suite holds them against the real ones.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { KubeObject } from '../../src/kube/object.ts';

export type Caller =
  | { readonly is: 'admin' }
  | { readonly is: 'controller'; readonly name: string }
  /** The agent whose token names this node. */
  | { readonly is: 'agent'; readonly node: string };

const controllerVerbs: Readonly<Record<string, readonly string[]>> = {
  ipallocations: ['create', 'update', 'delete'],
  'ipallocations/status': ['update'],
  pods: ['patch'],
  ipses: ['create', 'update'],
  'ipses/status': ['update'],
  nodeendpoints: ['create', 'update', 'delete'],
  'nodeendpoints/status': ['update'],
  leases: ['create', 'update'],
};
const agentVerbs: Readonly<Record<string, readonly string[]>> = {
  'ipallocations/status': ['update'],
  'nodeendpoints/status': ['update'],
};

/** Why a write is refused, or undefined. Everybody of Fast may read all that the simulation holds. */
export function forbidden(
  caller: Caller,
  verb: string,
  plural: string,
  subresource: 'status' | undefined,
  old: KubeObject | undefined,
): string | undefined {
  const target = subresource === undefined ? plural : `${plural}/${subresource}`;
  const verbs = { admin: undefined, controller: controllerVerbs, agent: agentVerbs }[caller.is];
  if (verbs !== undefined && verbs[target]?.includes(verb) !== true) return `cannot ${verb} resource "${target}"`;
  if (target === 'ipallocations' && caller.is !== 'controller') return 'is written by fast-controller-manager alone';
  if (caller.is !== 'agent' || old === undefined) return undefined;
  const node = plural === 'ipallocations' ? (old as IpAllocation).spec.nodeName : old.metadata.name;
  return node === caller.node ? undefined : `the agent of node "${caller.node}" may not write the status of it`;
}
