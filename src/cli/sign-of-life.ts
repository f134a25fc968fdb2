// SPDX-License-Identifier: Apache-2.0
// Which kubelets speak at this moment. A node whose power was cut a second ago looks well in all that the API server has; only
// its next renewal of its Lease shows whether it is still there. That needs no exec, and is one read for 1,000 nodes.
import { type Lease, leases } from '../kube/resources.ts';
import { heardMs } from './kubelet-silence.ts';
import { seen } from './seen.ts';
import type { Cluster, Surroundings } from './surroundings.ts';

/** A kubelet renews each quarter of a Lease's duration and up to 4 % later; half as much again is for one that is busy. */
const renewalsLimit = 1.5 / 4;
const pollMs = 1_000;

interface Renewals {
  /** By node; of those alone that have a Lease. */
  readonly heard: ReadonlyMap<string, number>;
  readonly limitMs: number;
}

/** @returns undefined where the account may not look */
async function renewalsOf(cluster: Pick<Cluster, 'list'>, names: ReadonlySet<string>): Promise<Renewals | undefined> {
  const all = (await seen(cluster.list(leases, { namespace: 'kube-node-lease' })))?.items;
  if (all === undefined) return undefined;
  const theirs = all.filter(({ metadata }) => names.has(metadata.name ?? ''));
  const limitOf = ({ spec }: Lease): number => (spec?.leaseDurationSeconds ?? 40) * 1000 * renewalsLimit;
  return {
    heard: new Map(theirs.map((lease) => [lease.metadata.name ?? '', heardMs(lease)])),
    limitMs: theirs.reduce((longest, lease) => Math.max(longest, limitOf(lease)), 0),
  };
}

/** Those of the nodes whose kubelets do not speak while this waits for them; none where nobody may look at their Leases. */
export async function mute(
  cluster: Pick<Cluster, 'list'>,
  { nowMs, sleep, stopped }: Pick<Surroundings, 'nowMs' | 'sleep' | 'stopped'>,
  nodes: readonly string[],
  say: (line: string) => void,
): Promise<string[]> {
  const before = await renewalsOf(cluster, new Set(nodes));
  if (before === undefined || before.heard.size === 0) return [];
  const endMs = nowMs() + before.limitMs;
  say(`waiting for a sign of life from every node, ${Math.ceil(before.limitMs / 1000)} s at most`);
  let silent = [...before.heard.keys()];
  while (silent.length > 0 && nowMs() < endMs && !stopped.aborted) {
    await sleep(pollMs);
    const now = await renewalsOf(cluster, new Set(silent));
    // Also one that was made anew.
    silent = silent.filter((name) => now?.heard.get(name) === before.heard.get(name));
  }
  return stopped.aborted ? [] : silent;
}
