// SPDX-License-Identifier: Apache-2.0
// That no API server answers, as a person needs it: which one was asked, who named it, and how to name another.
import { isReason } from '../kube/errors.ts';
import type { ClusterChoice, Surroundings } from './surroundings.ts';

const cure = 'start it, or name another by --kubeconfig, --context or KUBECONFIG';

/** What is to be said behind the error; empty for all other errors. */
export async function sayWhere(
  error: unknown,
  { clusterPlace }: Pick<Surroundings, 'clusterPlace'>,
  choice: ClusterChoice,
): Promise<string> {
  if (!isReason(error, 'unreachable')) return '';
  try {
    const { from, context, server } = await clusterPlace(choice);
    return `; ${server} is named by ${context === undefined ? '' : `the context ${context} of `}${from}: ${cure}`;
  } catch {
    return `; ${cure}`;
  }
}
