// SPDX-License-Identifier: Apache-2.0
// Whether the admission policies that fence the agents are there and bite. Everything works without them, so nobody would
// notice that a stolen agent's token may free the addresses of every node.
import type { KubeObject } from '../kube/object.ts';
import { resource } from '../kube/object.ts';
import type { LeaderVerbs } from './tenure.ts';

interface Policy extends KubeObject {
  spec?: { failurePolicy?: string };
}

interface Binding extends KubeObject {
  spec?: { policyName?: string; validationActions?: string[]; matchResources?: object };
}

const group = 'admissionregistration.k8s.io';
const policyKind = resource<Policy>(group, 'v1', 'validatingadmissionpolicies', 'ValidatingAdmissionPolicy', 'cluster');
const bindingKind = resource<Binding>(
  group,
  'v1',
  'validatingadmissionpolicybindings',
  'ValidatingAdmissionPolicyBinding',
  'cluster',
);
/** The names in config/policy; a policy and its binding have the same. */
const names = ['fast-agents', 'fast-records'];

/** What is wrong with them for an install in `namespace`, a clause each. @throws KubeError where nobody can be asked */
export async function policyProblems(
  client: Pick<LeaderVerbs, 'find'>,
  namespace: string,
  signal: AbortSignal,
): Promise<string[]> {
  const problems: string[] = [];
  for (const name of names) {
    const policy = faultOfPolicy(await client.find(policyKind, name, undefined, { signal }), namespace);
    if (policy !== undefined) problems.push(`${policyKind.kind} ${name} ${policy}`);
    const binding = faultOfBinding(await client.find(bindingKind, name, undefined, { signal }), name);
    if (binding !== undefined) problems.push(`${bindingKind.kind} ${name} ${binding}`);
  }
  return problems;
}

function faultOfPolicy(policy: Policy | undefined, namespace: string): string | undefined {
  if (policy === undefined) return 'is missing';
  if (policy.spec?.failurePolicy === 'Ignore') return 'lets pass what it cannot judge (failurePolicy Ignore)';
  const account = `system:serviceaccount:${namespace}:`;
  return JSON.stringify(policy.spec ?? {}).includes(account) ? undefined : `names no account of namespace ${namespace}`;
}

function faultOfBinding(binding: Binding | undefined, name: string): string | undefined {
  if (binding === undefined) return 'is missing';
  const { policyName = '', validationActions = [], matchResources } = binding.spec ?? {};
  if (policyName !== name) return `is of the policy ${policyName}`;
  if (!validationActions.includes('Deny')) return `does not deny (validationActions ${validationActions.join(', ')})`;
  return matchResources === undefined ? undefined : 'leaves objects out (matchResources)';
}
