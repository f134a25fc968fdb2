// SPDX-License-Identifier: Apache-2.0
// Whether the admission policies that fence the agents are there. Everything works without them, so nobody would notice
// that a stolen agent's token may free the addresses of every node.
import type { KubeObject } from '../api/object.ts';
import type { KubeClient } from '../kube/client.ts';
import { resource } from '../kube/object.ts';

const group = 'admissionregistration.k8s.io';
const kinds = [
  resource<KubeObject>(group, 'v1', 'validatingadmissionpolicies', 'ValidatingAdmissionPolicy', 'cluster'),
  resource<KubeObject>(group, 'v1', 'validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding', 'cluster'),
];
/** The names in config/policy; a policy and its binding have the same. */
const names = ['fast-agents', 'fast-records'];

/** What is missing, each as `Kind name`. @throws KubeError where the API server cannot be asked */
export async function missingPolicies(client: Pick<KubeClient, 'find'>, signal: AbortSignal): Promise<string[]> {
  const missing: string[] = [];
  for (const kind of kinds) {
    for (const name of names) {
      if ((await client.find(kind, name, undefined, { signal })) === undefined) missing.push(`${kind.kind} ${name}`);
    }
  }
  return missing;
}
