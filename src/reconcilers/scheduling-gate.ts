// SPDX-License-Identifier: Apache-2.0
// A pod may ask, by a scheduling gate of ours, not to be scheduled before there is an address for it: then exhaustion
// shows as a pod that is gated, and not as one that hangs on a node. The gate is lifted as soon as the pool has one
// address more than those let through before will take. Who was let through is written on the pod, so a crash forgets nobody.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { expectsAnnotation, schedulingGate } from '../api/names.ts';
import type { Namespace, Pod } from '../api/workloads.ts';
import type { AddressBook } from './address-book.ts';
import { askerOf, candidatePools, type PoolWorld } from './candidates.ts';
import { fixedAddressOf } from './fixed-address.ts';
import { identityOf, isGated, needOf, podKey } from './pod.ts';
import { choosePool, type Refusal } from './pool-choice.ts';

/** `pool` is '' for a pod that needs no address of ours. */
export type GateAction =
  | { readonly gate: 'lift'; readonly pool: string }
  | { readonly gate: 'keep'; readonly pools: readonly string[]; readonly refusal: Refusal };

export function decideGate(pod: Pod, namespace: Namespace | undefined, world: PoolWorld): GateAction {
  if (pod.spec.hostNetwork === true) return { gate: 'lift', pool: '' };
  if (namespace === undefined) {
    const message = `namespace ${pod.metadata.namespace ?? ''} is not known yet`;
    return { gate: 'keep', pools: [], refusal: { reason: 'NamespaceNotFound', message } };
  }
  const asked = fixedAddressOf(pod);
  if (asked.fixed === 'problem') return { gate: 'keep', pools: [], refusal: asked.refusal };
  const pools = candidatePools(pod, namespace, undefined, world);
  const choice = choosePool(pools, askerOf(pod, namespace, undefined), world);
  if ('pool' in choice) return { gate: 'lift', pool: choice.pool.name };
  return { gate: 'keep', pools, refusal: choice.refusal };
}

/** The pod without the gate, and with the word of what it expects. Its resourceVersion is the fence. */
export function liftedPatch(pod: Pod, pool: string): object {
  const schedulingGates = (pod.spec.schedulingGates ?? []).filter(({ name }) => name !== schedulingGate);
  const annotations = pool === '' ? {} : { annotations: { [expectsAnnotation]: pool } };
  return { metadata: { resourceVersion: pod.metadata.resourceVersion, ...annotations }, spec: { schedulingGates } };
}

/** Pods that were let through and have no address yet. */
export class Expected {
  /** The pod's key → its identity, and the pool that it expects its address from. */
  readonly #pods = new Map<string, { readonly uid: string; readonly pool: string }>();

  /** The pod as the watch shows it. One that is still gated may be older than what is written. */
  show(pod: Pod, book: Pick<AddressBook, 'isServed'>): string | undefined {
    const key = podKey(pod.metadata);
    if (isGated(pod)) return undefined;
    const pool = pod.metadata.annotations?.[expectsAnnotation];
    const need = needOf(pod);
    const isWaiting = (need === 'address' || need === 'unscheduled') && !book.isServed(identityOf(pod));
    if (pool === undefined || !isWaiting) return this.forget(key);
    this.expect(pod, pool);
    return undefined;
  }

  expect(pod: Pod, pool: string): void {
    this.#pods.set(podKey(pod.metadata), { uid: identityOf(pod), pool });
  }

  /** A record shows that the pod has its address, which the pod itself does not tell. Answers as `forget` does. */
  serve({ namespace = '', name, uid }: IpAllocation['spec']['owner']): string | undefined {
    const key = podKey({ namespace, name });
    return this.#pods.get(key)?.uid === uid ? this.forget(key) : undefined;
  }

  /** It has its address, or needs none any more. Answers with the pool that has one to give instead. */
  forget(key: string): string | undefined {
    const { pool } = this.#pods.get(key) ?? {};
    this.#pods.delete(key);
    return pool;
  }

  /** Those who come before this pod. A patch of its own that failed may have noted the pod itself. */
  before(uid: string, pool: string): number {
    let count = 0;
    for (const each of this.#pods.values()) if (each.pool === pool && each.uid !== uid) count += 1;
    return count;
  }
}
