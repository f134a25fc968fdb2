// SPDX-License-Identifier: Apache-2.0
// What a shell offers that only the cluster or the kubeconfig knows. It is asked between two keys: soon, or not at all.
import { nodes } from '../kube/resources.ts';
import { poolKind, recordKind } from './kinds.ts';
import type { ClusterChoice, Surroundings } from './surroundings.ts';

export type Kind = 'contexts' | 'nodes' | 'pods' | 'pools';

const patienceMs = 1_500;

type Asked = Pick<Surroundings, 'cluster' | 'contexts'>;

async function ask(
  kind: Kind,
  { cluster, contexts }: Asked,
  choice: ClusterChoice,
  signal: AbortSignal,
): Promise<string[]> {
  if (kind === 'contexts') return contexts(choice);
  const call = { timeoutMs: patienceMs, signal };
  const reader = await cluster(choice);
  if (kind === 'pods') {
    const { items } = await reader.list(recordKind, {}, call);
    return items.flatMap(({ spec: { owner, state } }) =>
      owner.kind === 'Pod' && state === 'Bound' ? `${owner.namespace ?? ''}/${owner.name}` : [],
    );
  }
  const { items } = kind === 'nodes' ? await reader.list(nodes, {}, call) : await reader.list(poolKind, {}, call);
  return items.map(({ metadata }) => metadata.name ?? '');
}

/** Nothing where nobody answers in time: a shell shows what a program says in the midst of the line. */
export async function suggestionsFor(kind: Kind, s: Asked, choice: ClusterChoice): Promise<string[]> {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const nothing = new Promise<string[]>((resolve) => {
    timer = setTimeout(() => {
      late.abort();
      resolve([]);
    }, patienceMs);
  });
  try {
    return await Promise.race([ask(kind, s, choice, late.signal), nothing]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}
