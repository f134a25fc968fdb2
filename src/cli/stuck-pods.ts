// SPDX-License-Identifier: Apache-2.0
// Pods that hold an address and get no further: their runtime fails before it calls a plugin, or cannot tear down what it has
// made. Fast can do nothing for them, and nothing of Fast says that they are stuck. Pure.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Pod } from '../api/workloads.ts';
import { identityOf, isFinished, podKey } from '../reconcilers/pod.ts';
import { sayDuration } from './duration.ts';
import type { SandboxTroubles } from './sandbox-troubles.ts';

/** Longer than any runtime takes to set up a sandbox, or to take one away behind the pod's grace. */
export const stuckPatienceMs = 3 * 60_000;

export interface StuckPod {
  readonly pod: Pod;
  readonly address: string;
  /** For how long, such as `4 min`. */
  readonly since: string;
  /** @param since as above, or a word that stays the same */
  readonly says: (since: string) => string;
}

interface Conditioned {
  readonly conditions?: ReadonlyArray<{ readonly type?: string; readonly status?: string }>;
}

/** A pod whose image is pulled has a sandbox already. */
function hasSandbox({ status }: Pod): boolean {
  const { conditions } = (status ?? {}) as Conditioned;
  return conditions?.some(({ type, status: is }) => type === 'PodReadyToStartContainers' && is === 'True') ?? false;
}

interface Machine {
  readonly metadata: { readonly name?: string };
  readonly status?: Conditioned;
}

function isUnready({ status }: Machine): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is !== 'True') ?? false;
}

/**
 * A pod that waits for a volume has no sandbox either: without a word of the runtime none is named as not starting.
 * @param nodes of those that are not Ready nothing is told: that is said of the node
 */
export function stuckPods(
  pods: readonly Pod[],
  records: readonly IpAllocation[],
  troubles: SandboxTroubles,
  nodes: readonly Machine[],
  nowMs: number,
): StuckPod[] {
  const held = new Map(records.filter(({ spec }) => spec.state === 'Bound').map((one) => [one.spec.owner.uid, one]));
  const unready = new Set(nodes.filter(isUnready).map(({ metadata }) => metadata.name));
  return pods.flatMap((pod): StuckPod[] => {
    const uid = identityOf(pod);
    const record = held.get(uid);
    if (record === undefined || isFinished(pod) || unready.has(record.spec.nodeName)) return [];
    const { address, stateSince } = record.spec;
    const trouble = troubles.get(uid);
    const { deletionTimestamp } = pod.metadata;
    // It is the time at which the pod's grace is over.
    const sinceMs = nowMs - Date.parse(deletionTimestamp ?? stateSince);
    if (sinceMs <= stuckPatienceMs) return [];
    const stuck = { pod, address, since: sayDuration(sinceMs) };
    if (deletionTimestamp !== undefined) {
      const why = trouble === undefined ? '' : `: ${trouble}`;
      return [{ ...stuck, says: (since) => `Terminating for ${since} past its grace, and keeps its address${why}` }];
    }
    const isWired = record.status?.attached?.owner.uid === uid;
    if (isWired || hasSandbox(pod) || trouble === undefined) return [];
    return [{ ...stuck, says: (since) => `has an address for ${since} and gets no sandbox: ${trouble}` }];
  });
}

export function describePod({ metadata: { name, namespace = '' } }: Pod): string {
  return `kubectl describe pod -n ${namespace} ${name}`;
}

export const nameOf = ({ metadata }: Pod): string => podKey(metadata);
