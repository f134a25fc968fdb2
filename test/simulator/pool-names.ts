// SPDX-License-Identifier: Apache-2.0
// Which pools a pod names, worked out apart from the controllers: its own annotation, then its namespace's, then the default.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import { defaultPool, poolAnnotation } from '../../src/api/names.ts';
import type { Namespace, Pod } from '../../src/api/workloads.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { identityOf } from '../../src/reconcilers/pod.ts';
import { parsePool } from '../../src/reconcilers/pool.ts';
import type { Seen } from './sent.ts';

export function poolNamesOf(pod: Pod, namespaces: readonly Namespace[]): string[] {
  const namespace = namespaces.find(({ metadata }) => metadata.name === pod.metadata.namespace);
  return namesOf(pod, namespace);
}

function namesOf(pod: Pod, namespace: Namespace | undefined): string[] {
  const named = pod.metadata.annotations?.[poolAnnotation] ?? namespace?.metadata.annotations?.[poolAnnotation];
  return named?.split(',') ?? [defaultPool];
}

export function isOfPool(address: string, pools: readonly Ips[]): boolean {
  return pools.some((ips) => {
    const parsed = parsePool(ips);
    return parsed.kind === 'pool' && parsed.pool.declared.contains(parseAddress(address));
  });
}

/** What a controller has in hand while it hears of a change of the namespace was decided before. */
const memoryMs = 10_000;

export class NamespacePools {
  readonly #now: () => number;
  readonly #versions = new Map<string, Array<{ readonly fromMs: number; readonly namespace: Namespace }>>();

  constructor(now: () => number) {
    this.#now = now;
  }

  onNamespace(namespace: Namespace): void {
    const { name } = namespace.metadata;
    this.#versions.set(name, [...(this.#versions.get(name) ?? []), { fromMs: this.#now(), namespace }]);
  }

  /** Why the record may not be of its pool, by what its giver saw; undefined where it may. */
  whyNotItsPool({ spec }: IpAllocation, { pods, endpoints, namespaces }: Seen): string | undefined {
    const { address, owner, ips } = spec;
    const pod = pods.find((each) => identityOf(each) === owner.uid);
    // A wire is adopted with whatever pool holds its address.
    const isWired = endpoints.some(({ status }) => status?.orphans?.some((each) => each.address === address));
    if (pod === undefined || isWired) return undefined;
    const known = namespaces.find(({ metadata }) => metadata.name === pod.metadata.namespace);
    if (this.#until(known).some((namespace) => namesOf(pod, namespace).includes(ips))) return undefined;
    return `it is of pool ${ips}, and the pod's are ${namesOf(pod, known).join()}`;
  }

  /** The version that is known, the one before it, and those of the last while. */
  #until(known: Namespace | undefined): Array<Namespace | undefined> {
    const all = this.#versions.get(known?.metadata.name ?? '') ?? [];
    const at = all.findIndex(({ namespace }) => namespace.metadata.resourceVersion === known?.metadata.resourceVersion);
    const lately = all.findLastIndex(({ fromMs }) => fromMs <= this.#now() - memoryMs);
    return [known, ...all.slice(Math.max(0, Math.min(at - 1, lately)), at + 1).map(({ namespace }) => namespace)];
  }
}
