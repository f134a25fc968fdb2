// SPDX-License-Identifier: Apache-2.0
// A pod that is bound to a node gets its record, or a seat in the waiting room and a sentence that says why.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Pod } from '../api/workloads.ts';
import type { AddressBook } from './address-book.ts';
import { allocate } from './allocation.ts';
import { askerOf, candidatePools } from './candidates.ts';
import { fixedAddressOf } from './fixed-address.ts';
import { identityOf, needOf } from './pod.ts';
import { choosePool, passedOver, type Refusal } from './pool-choice.ts';
import type { Pool } from './pool.ts';
import type { Clock, EventPort, Outcome, PodPort, Queues, RecordPort, Views } from './ports.ts';
import { done, retryAfter } from './ports.ts';
import { decideGate, liftedPatch } from './scheduling-gate.ts';
import { isSameOrdinal } from './stateful-set.ts';
import { strangeOf } from './strange-annotations.ts';
import { Unclear } from './unclear.ts';
import { type WaitingRoom, wake } from './waiting-room.ts';

export interface PodWorld {
  readonly views: Views;
  readonly book: AddressBook;
  readonly waiting: WaitingRoom;
  readonly records: RecordPort;
  readonly podWrites: PodPort;
  readonly events: EventPort;
  readonly queues: Queues;
  readonly clock: Clock;
}

/** Whoever waits is woken by events; this is the net under them. */
const WAIT_RECHECK_MS = 30_000;
/** How long the watch may take to show a change that a refused write has told us of. */
const STALE_RETRY_MS = 250;
/** NodeEndpoints are a view; changes within this time are written at once. */
export const ENDPOINT_COALESCE_MS = 150;

export class PodReconciler {
  readonly #world: PodWorld;
  readonly #unclear: Unclear;

  constructor(world: PodWorld) {
    this.#world = world;
    this.#unclear = new Unclear(world);
  }

  /** `key` is namespace/name. */
  async reconcile(key: string): Promise<Outcome> {
    const [namespace = '', name = ''] = key.split('/');
    const pod = this.#world.views.pods.get(name, namespace);
    if (pod !== undefined && needOf(pod) === 'gated') return await this.#lookAtGate(key, pod);
    if (pod === undefined || needOf(pod) !== 'address') return await this.#settled(key);
    await this.#unclear.dropLost(identityOf(pod));
    if (this.#world.book.isServed(identityOf(pod))) return await this.#settled(key);
    // Another pod of this name may have gone between its create and the answer.
    await this.#unclear.giveBack(key, identityOf(pod));
    return await this.#serve(key, pod);
  }

  async #serve(key: string, pod: Pod): Promise<Outcome> {
    const { views, book } = this.#world;
    const nodeName = pod.spec.nodeName ?? '';
    const namespace = views.namespaces.get(pod.metadata.namespace ?? '');
    const node = views.nodes.get(nodeName);
    if (node === undefined) {
      const message = `node ${nodeName} does not exist; the pod gets its address once it does`;
      return this.#wait(key, pod, [], { reason: 'NodeNotFound', message });
    }
    if (namespace === undefined) {
      const message = `namespace ${pod.metadata.namespace ?? ''} is not known yet`;
      return this.#wait(key, pod, [], { reason: 'NamespaceNotFound', message });
    }
    const asked = fixedAddressOf(pod);
    if (asked.fixed === 'problem') return this.#wait(key, pod, [], asked.refusal);
    const candidates = candidatePools(pod, namespace, node, this.#world);
    const asker = askerOf(pod, namespace, node);
    const choice = choosePool(candidates, asker, this.#world);
    if ('refusal' in choice) {
      await this.#unclear.findOut(asker.wish.owner.uid);
      return this.#wait(key, pod, candidates, choice.refusal);
    }
    const missing = passedOver(pod, candidates, choice.pool.name, this.#world);
    this.#unclear.begin(key, asker.wish.owner.uid);
    const claim = { ...asker.wish, nodeName, nodeUID: node.metadata.uid ?? '' };
    const result = await allocate(claim, choice.pool, this.#world);
    this.#unclear.end(key);
    if (result.outcome === 'refused') {
      return this.#wait(key, pod, candidates, { reason: 'RecordRefused', message: result.because });
    }
    if (result.outcome === 'crowded') return retryAfter(1_000, result.because);
    // Another worker took the last address between the choice and the promise: choose again, and say so properly.
    if (result.outcome === 'overtaken') return retryAfter(1, 'the address was just taken');
    if (result.outcome === 'exhausted') return retryAfter(1, 'the last address was just taken');
    book.expected.forget(key);
    const { before } = result;
    const isCutShort = before?.spec.state === 'Cooling' && !isSameOrdinal(before.spec.reservedFor, claim.reservedFor);
    if (isCutShort) this.#tellCutShort(pod, choice.pool, before);
    this.#tellStrange(pod, choice.pool);
    if (missing !== undefined) this.#tellMissing(pod, missing);
    this.#world.queues.node(nodeName, ENDPOINT_COALESCE_MS);
    return await this.#settled(key);
  }

  async #lookAtGate(key: string, pod: Pod): Promise<Outcome> {
    const { views, book, podWrites } = this.#world;
    const namespace = views.namespaces.get(pod.metadata.namespace ?? '');
    const action = decideGate(pod, namespace, this.#world);
    if (action.gate === 'keep') {
      this.#expectNoMore(key);
      return this.#wait(key, pod, action.pools, action.refusal);
    }
    // Noted before the write: others are looked at meanwhile. After one without an answer it stands until the next look.
    if (action.pool !== '') book.expected.expect(pod, action.pool);
    const written = await podWrites.patch(pod, liftedPatch(pod, action.pool));
    if (written === 'written') return await this.#settled(key);
    this.#expectNoMore(key);
    return written === 'gone'
      ? await this.#settled(key)
      : retryAfter(STALE_RETRY_MS, 'the pod changed under the decision');
  }

  /** What its pool has is for others, unless the watch shows by now that somebody has let it through. */
  #expectNoMore(key: string): void {
    const { views, book, waiting, queues } = this.#world;
    const pool = book.expected.forget(key);
    const [namespace = '', name = ''] = key.split('/');
    const shown = views.pods.get(name, namespace);
    if (shown !== undefined) book.expected.show(shown, book);
    if (pool !== undefined) wake(waiting.forPool(pool), queues);
  }

  /** A rest that is cut short is a sign that the pool is too small for its churn. */
  #tellCutShort(pod: Pod, pool: Pool, { spec: { address, stateSince } }: IpAllocation): void {
    const { events, clock } = this.#world;
    const restedSeconds = Math.max(0, Math.floor((clock.now() - Date.parse(stateSince)) / 1_000));
    const note = `${address} has rested ${restedSeconds} s of ${pool.coolDownMs / 1_000} s: pool ${pool.name} had nothing else to give`;
    events.record({ kind: 'Pod', object: pod, type: 'Normal', reason: 'RestCutShort', note });
  }

  /** Told once, with the address: nothing else shows that the pod asked for something. */
  #tellStrange(pod: Pod, { name }: Pool): void {
    const strange = strangeOf(pod);
    if (strange === undefined) return;
    const note = `its address is from pool ${name}; ${strange}`;
    this.#world.events.record({ kind: 'Pod', object: pod, type: 'Warning', reason: 'AnnotationUnknown', note });
  }

  /** Told once, with the address. */
  #tellMissing(pod: Pod, note: string): void {
    this.#world.events.record({ kind: 'Pod', object: pod, type: 'Warning', reason: 'PoolNotFound', note });
  }

  /** The pod has what it needs, or needs nothing any more. */
  async #settled(key: string): Promise<Outcome> {
    await this.#unclear.giveBack(key);
    const waiter = this.#world.waiting.leave('Pod', key);
    if (waiter !== undefined && waiter.nodeName !== '') this.#world.queues.node(waiter.nodeName, ENDPOINT_COALESCE_MS);
    return done;
  }

  #wait(key: string, pod: Pod, pools: readonly string[], refusal: Refusal): Outcome {
    const { waiting, events, queues } = this.#world;
    const nodeName = pod.spec.nodeName ?? '';
    const { namespace = '', name } = pod.metadata;
    const news = waiting.enter({
      key,
      kind: 'Pod',
      uid: identityOf(pod),
      namespace,
      name,
      nodeName,
      pools,
      ...refusal,
    });
    if (news !== 'same') {
      // A pool that has only just been made is ready in a moment; no event for that.
      if (refusal.reason !== 'PoolStarting') {
        events.record({ kind: 'Pod', object: pod, type: 'Warning', reason: refusal.reason, note: refusal.message });
      }
      if (nodeName !== '') queues.node(nodeName, ENDPOINT_COALESCE_MS);
    }
    return retryAfter(WAIT_RECHECK_MS, refusal.message);
  }
}
