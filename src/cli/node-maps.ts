// SPDX-License-Identifier: Apache-2.0
// The maps of every node, by the fast-ctl in each agent's pod. A node that does not answer is named with the reason.
import type { ClusterPodEntry, LocalPodEntry } from '../datapath/entries.ts';
import { execOnNode } from './node-exec.ts';
import { sayRefused } from './refusal.ts';
import type { Cluster, Surroundings } from './surroundings.ts';

export interface NodeMaps {
  readonly local: readonly LocalPodEntry[];
  readonly cluster: readonly ClusterPodEntry[];
}

export interface Asked {
  /** By node. */
  readonly maps: ReadonlyMap<string, NodeMaps>;
  /** Node → why it could not be asked. */
  readonly unasked: ReadonlyMap<string, string>;
}

const answerMs = 20_000;
/** Answers at once: each is a connection of the API server's to a kubelet. One that is quiet makes room for the next. */
const atOnce = 8;

export async function askNodes(
  cluster: Cluster,
  nodes: readonly string[],
  { stopped, isPodAccount }: Pick<Surroundings, 'stopped'> & { readonly isPodAccount: boolean },
): Promise<Asked> {
  const maps = new Map<string, NodeMaps>();
  const unasked = new Map<string, string>();
  const left = [...nodes];
  const asked: Array<Promise<void>> = [];
  const ask = async (node: string, onQuiet: () => void): Promise<void> => {
    try {
      if (stopped.aborted) throw new Error('stopped before it was asked');
      maps.set(node, await mapsOf(cluster, node, stopped, onQuiet));
    } catch (error) {
      unasked.set(node, sayRefused(error, isPodAccount) ?? (error instanceof Error ? error.message : String(error)));
    }
  };
  const work = async (): Promise<void> => {
    for (let node = left.shift(); node !== undefined; node = left.shift()) {
      const quiet = Promise.withResolvers<void>();
      const asking = ask(node, quiet.resolve);
      asked.push(asking);
      await Promise.race([asking, quiet.promise]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  await Promise.all(asked);
  return { maps, unasked };
}

async function mapsOf(cluster: Cluster, node: string, stopped: AbortSignal, onQuiet: () => void): Promise<NodeMaps> {
  const said = { stdout: '', stderr: '' };
  const late = AbortSignal.timeout(answerMs);
  const streams = {
    stdout: (text: string) => void (said.stdout += text),
    stderr: (text: string) => void (said.stderr += text),
    signal: AbortSignal.any([stopped, late]),
  };
  const code = await execOnNode(cluster, node, ['maps', 'list', '-o', 'json'], streams, { onQuiet });
  if (late.aborted) throw new Error(`no answer within ${answerMs / 1000} s`);
  if (code !== 0) throw new Error(said.stderr.trim() || `fast-ctl maps list ended with ${code} there`);
  const all = JSON.parse(said.stdout) as { local_pod_ips: LocalPodEntry[]; cluster_pod_ips: ClusterPodEntry[] };
  return { local: all.local_pod_ips, cluster: all.cluster_pod_ips };
}
