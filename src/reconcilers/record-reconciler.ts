// SPDX-License-Identifier: Apache-2.0
// Walks one record through its life, one fenced write at a time. A write that finds the record changed does nothing:
// the watch brings the change, and the decision is made anew.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Node } from '../api/workloads.ts';
import type { AddressBook } from './address-book.ts';
import { identityOf, isFinished, isOutOfService } from './pod.ts';
import type { Clock, Outcome, PodReader, RecordPort, Views, Written } from './ports.ts';
import { done, retryAfter } from './ports.ts';
import { decideRelease, type NodeState, type OwnerState, type ReleaseAction } from './release.ts';

export interface RecordWorld {
  readonly views: Views;
  readonly book: AddressBook;
  readonly records: RecordPort;
  readonly livePods: PodReader;
  readonly clock: Clock;
}

/** How long the watch may take to show a change that a refused write has told us of. */
const STALE_RETRY_MS = 250;
/** Node UIDs remembered as gone; the oldest are forgotten first, and their fence is then counted anew. */
const MAX_REMEMBERED_NODES = 10_000;

export class RecordReconciler {
  readonly #world: RecordWorld;
  /** Node UID and state → when this process first saw it so, monotonic milliseconds. */
  readonly #since = new Map<string, number>();

  constructor(world: RecordWorld) {
    this.#world = world;
  }

  async reconcile(address: string): Promise<Outcome> {
    const record = this.#world.book.record(address);
    if (record === undefined) return done;
    const action = this.#decide(record, this.#ownerOf(record));
    if (action.action !== 'confirmOwner') return await this.#apply(record, action);
    return await this.#apply(record, this.#decide(record, await this.#confirm(record)));
  }

  #decide(record: IpAllocation, owner: OwnerState): ReleaseAction {
    const node = this.#nodeOf(record);
    return decideRelease(record, {
      owner,
      node,
      nodeStateMs: this.#inStateMs(record.spec.nodeUID, node),
      nowMs: this.#world.clock.now(),
    });
  }

  async #apply(record: IpAllocation, action: ReleaseAction): Promise<Outcome> {
    const { records } = this.#world;
    switch (action.action) {
      case 'keep':
      case 'confirmOwner':
        return done;
      case 'lookAgain':
        return retryAfter(action.afterMs, action.because);
      case 'replace':
        return after(await records.replace(action.record));
      case 'speakForNode':
        return after(await records.replaceStatus(action.record));
      case 'delete':
        return after(await records.delete(record));
    }
  }

  #ownerOf({ spec: { owner } }: IpAllocation): OwnerState {
    const { views } = this.#world;
    if (owner.kind === 'Node') {
      // A node of that name with another UID is another owner; Node objects are few and their view is trusted.
      return views.nodes.get(owner.name)?.metadata.uid === owner.uid ? 'alive' : 'gone';
    }
    const pod = views.pods.get(owner.name, owner.namespace);
    if (pod === undefined || identityOf(pod) !== owner.uid) return 'unseen';
    return isFinished(pod) ? 'finished' : 'alive';
  }

  /** The view may not show a pod yet that the former leader has served, so an address is taken on a live read only. */
  async #confirm({ spec: { owner } }: IpAllocation): Promise<OwnerState> {
    const pod = await this.#world.livePods.read(owner.namespace ?? '', owner.name);
    if (pod === undefined || identityOf(pod) !== owner.uid) return 'gone';
    return isFinished(pod) ? 'finished' : 'alive';
  }

  #nodeOf({ spec: { nodeName, nodeUID } }: IpAllocation): NodeState {
    const node: Node | undefined = this.#world.views.nodes.get(nodeName);
    if (node === undefined || node.metadata.uid !== nodeUID) return 'gone';
    return isOutOfService(node) ? 'outOfService' : 'present';
  }

  /** Counted from when this process first saw it: a new leader counts anew, which errs on the safe side. */
  #inStateMs(nodeUID: string, state: NodeState): number {
    const nowMs = this.#world.clock.monotonicMs();
    if (state === 'present') {
      this.#since.delete(nodeUID);
      return 0;
    }
    const sinceMs = this.#since.get(nodeUID) ?? nowMs;
    this.#since.set(nodeUID, sinceMs);
    const [oldest] = this.#since.keys();
    if (this.#since.size > MAX_REMEMBERED_NODES && oldest !== undefined) this.#since.delete(oldest);
    return nowMs - sinceMs;
  }
}

function after(written: Written): Outcome {
  return written === 'stale' ? retryAfter(STALE_RETRY_MS, 'the record changed under the decision') : done;
}
