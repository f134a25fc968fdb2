// SPDX-License-Identifier: Apache-2.0
// What the API server refuses, as a person needs it: which right is missing, to whom, and where to run the command instead.
import { agentName, installNamespace } from '../api/names.ts';
import { KubeError } from '../kube/errors.ts';

/** The API server's own words (k8s.io/apiserver, registry/rest and authorization): an admission policy's are others. */
const words = /User "([^"]*)" cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?/;

const ofAgent = `system:serviceaccount:${installNamespace}:${agentName}`;
const elsewhere = 'run it where your own kubeconfig is, such as on your laptop';

function cureFor(user: string, isPodAccount: boolean): string {
  if (user === ofAgent) return `that is the agents' account, which looks after its own node alone; ${elsewhere}`;
  // One that a kubeconfig names, such as a robot's, is named there with right.
  if (isPodAccount && user.startsWith('system:serviceaccount:')) return `that is a pod's account; ${elsewhere}`;
  return 'have it granted, or name another account by --context or --kubeconfig';
}

/** One sentence for an error of the API server that is about rights; undefined for all others. */
export function sayRefused(error: unknown, isPodAccount: boolean): string | undefined {
  if (!(error instanceof KubeError)) return undefined;
  if (error.reason === 'unauthorized') {
    return `${error.message}: the API server does not take these credentials; log in again, or name others by --context or --kubeconfig`;
  }
  const [, user = '', verb = '', resource = '', group = '', namespace] = words.exec(error.message) ?? [];
  if (error.reason !== 'forbidden' || user === '') return undefined;
  const [plural = '', subresource] = resource.split('/');
  const kind = `${plural}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`;
  const where = namespace === undefined ? '' : ` in ${namespace}`;
  return `${user} may not ${verb} ${kind}${where}: ${cureFor(user, isPodAccount)}`;
}
