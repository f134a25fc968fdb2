// SPDX-License-Identifier: Apache-2.0
// What a scheduling gate of ours is for: a pod is let through only when its pool has an address for it beside those that were let
// through before. Judged by what its leader saw when it sent the patch.
import type { Ips } from '../../src/api/generated/ips.ts';
import { addressAnnotation, expectsAnnotation } from '../../src/api/names.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { type Address, formatAddress } from '../../src/ip/address.ts';
import { identityOf, isGated, needOf, nodeAddressesOf, podKey, runningAddressOf } from '../../src/reconcilers/pod.ts';
import { parsePool } from '../../src/reconcilers/pool.ts';
import { ordinalKey, reservedForOf } from '../../src/reconcilers/stateful-set.ts';
import type { Seen } from './sent.ts';

export class Gates {
  /** What was seen at each patch of a pod, by who sent it and the pod's key. */
  readonly #seen = new Map<string, Seen[]>();

  note(sender: string, key: string, seen: Seen): void {
    this.#seen.set(`${sender} ${key}`, [...(this.#seen.get(`${sender} ${key}`) ?? []), seen]);
  }

  /** Why the pod should not have been let through; undefined where nothing is wrong with the write. */
  onPod(sender: string, old: Pod | undefined, now: Pod | undefined): string | undefined {
    if (old === undefined || now === undefined || !isGated(old) || isGated(now)) return undefined;
    const key = podKey(now.metadata);
    const whys = (this.#seen.get(`${sender} ${key}`) ?? []).map((seen) => whyNotLetThrough(now, seen));
    this.#seen.delete(`${sender} ${key}`);
    return whys.includes(undefined) ? undefined : `pod ${key} was let through: ${whys[0]}`;
  }
}

/** Pods that were let through for an address of the pool, and have none yet. */
export function expecting(pool: string, pods: readonly Pod[], isServed: (pod: Pod) => boolean): Pod[] {
  return pods.filter((pod) => {
    const isWaiting = ['address', 'unscheduled'].includes(needOf(pod)) && !isServed(pod);
    return isWaiting && !isGated(pod) && pod.metadata.annotations?.[expectsAnnotation] === pool;
  });
}

function whyNotLetThrough(pod: Pod, seen: Seen): string | undefined {
  const name = pod.metadata.annotations?.[expectsAnnotation] ?? '';
  // The one that it asks for, or the one that is kept for its ordinal, is no other pod's.
  if (pod.metadata.annotations?.[addressAnnotation] !== undefined || hasOwn(pod, seen)) return undefined;
  const ips = seen.pools.find(({ metadata }) => metadata.name === name);
  if (ips === undefined) return `there is no pool ${name}`;
  const served = new Set(seen.records.map(({ spec }) => spec.owner.uid));
  const before = expecting(name, seen.pods, (each) => served.has(identityOf(each)));
  const others = before.filter((each) => each.metadata.uid !== pod.metadata.uid).length;
  const left = givable(ips, seen).length;
  if (left > others) return undefined;
  return `pool ${name} has ${left} addresses left, for ${others} pods that were let through before`;
}

function hasOwn(pod: Pod, { records }: Seen): boolean {
  const reservedFor = reservedForOf(pod);
  if (reservedFor === undefined) return false;
  return records.some(({ spec }) => spec.reservedFor && ordinalKey(spec.reservedFor) === ordinalKey(reservedFor));
}

/** Free or at rest. */
function givable(ips: Ips, seen: Seen): Address[] {
  const parsed = parsePool(ips);
  if (parsed.kind !== 'pool') return [];
  const kept = [
    ...seen.pools.map(({ spec }) => spec.subnet.split('/')[0]),
    ...seen.nodes.flatMap(nodeAddressesOf),
    ...seen.endpoints.flatMap(({ status }) => (status?.orphans ?? []).map(({ address }) => address)),
    ...seen.pods.flatMap((pod) => (runningAddressOf(pod) === undefined ? [] : (pod.status?.podIP ?? []))),
    ...seen.records
      .filter(({ spec }) => spec.state !== 'Cooling' || spec.ips !== ips.metadata.name)
      .map(({ spec }) => spec.address),
  ];
  const { ranges } = parsed.pool.declared.subtract(seen.services);
  return ranges
    .flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at))
    .filter((address) => !kept.includes(formatAddress(address)));
}
