// SPDX-License-Identifier: Apache-2.0
// Walks one record through its life, one fenced write at a time. A write that finds the record changed does nothing:
// the watch brings the change, and the decision is made anew.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Node } from '../api/workloads.ts';
import { parseAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import { isAttached } from './collector-suspects.ts';
import { identityOf, isFinished, isOutOfService, isStaticIdentity } from './pod.ts';
import type { Clock, Outcome, OwnerReader, RecordPort, Views, Written } from './ports.ts';
import { done, retryAfter } from './ports.ts';
import {
  decideRelease,
  isReleased,
  type NodeState,
  type OwnerState,
  type ReleaseAction,
  type SetState,
} from './release.ts';
import { DEFAULT_COOL_DOWN_SECONDS } from './pool.ts';
import { Since } from './since.ts';
import { isSetOf, setOf } from './stateful-set.ts';

export interface RecordWorld {
  readonly views: Views;
  readonly book: AddressBook;
  readonly records: RecordPort;
  readonly liveOwners: OwnerReader;
  readonly clock: Clock;
}

/** How long the watch may take to show a change that a refused write has told us of. */
const STALE_RETRY_MS = 250;
/** Nodes and mirrors remembered as gone; beyond it the wait of the oldest is counted anew. */
const MAX_REMEMBERED = 10_000;
/** Addresses on their way out and at rest, of the biggest clusters. */
const MAX_RESTING = 200_000;

/** What live reads have told, where the views do not say it. */
interface Confirmed {
  readonly owner?: OwnerState;
  readonly set?: SetState;
}

export class RecordReconciler {
  readonly #world: RecordWorld;
  /** Node UIDs that cannot speak for themselves. */
  readonly #nodesAway = new Since(MAX_REMEMBERED);
  /** Addresses that nodes are to let go of on which no agent has ever said a word. */
  readonly #agentless = new Since(MAX_REMEMBERED);
  /** Identities of static pods without a mirror. */
  readonly #mirrorless = new Since(MAX_REMEMBERED);
  /** Records in no use any more, by state and address. */
  readonly #inState = new Since(MAX_RESTING);

  constructor(world: RecordWorld) {
    this.#world = world;
  }

  async reconcile(address: string): Promise<Outcome> {
    const record = this.#world.book.record(address);
    for (const state of ['Releasing', 'Cooling', 'Reserved']) {
      if (record?.spec.state !== state) this.#inState.forget(`${state} ${address}`);
    }
    if (record === undefined || !this.#isAgentless(record)) this.#agentless.forget(address);
    if (record === undefined) return done;
    const action = this.#decide(record, {});
    if (action.action === 'confirmOwner') {
      return await this.#apply(record, this.#decide(record, { owner: await this.#confirm(record) }));
    }
    if (action.action === 'confirmSet') {
      return await this.#apply(record, this.#decide(record, { set: await this.#readSet(record) }));
    }
    return await this.#apply(record, action);
  }

  #decide(record: IpAllocation, { owner = this.#ownerOf(record), set = 'unread' }: Confirmed): ReleaseAction {
    const { clock } = this.#world;
    const node = this.#nodeOf(record);
    const nowMs = clock.monotonicMs();
    // A look at the view alone ends no wait; only a live read tells that the mirror is back.
    // A static pod whose wire is there has the whole wait before it when the wire goes.
    const isWired = owner === 'mirrorless' && isAttached(record) && node === 'present';
    if ((owner !== 'mirrorless' && owner !== 'unseen') || isWired) this.#mirrorless.forget(record.spec.owner.uid);
    if (node === 'present' || node === 'agentless') this.#nodesAway.forget(record.spec.nodeUID);
    return decideRelease(record, {
      owner,
      mirrorlessMs: owner === 'mirrorless' ? this.#mirrorless.age(record.spec.owner.uid, nowMs) : 0,
      isAttached: isAttached(record),
      isSpare: this.#isSpare(record),
      node,
      isListed: this.#world.book.published.isListed(parseAddress(record.metadata.name)),
      nodeStateMs: this.#nodeStateMs(record, node, nowMs),
      ...this.#policyOf(record),
      set,
      isSuperseded: this.#isSuperseded(record),
      inStateMs:
        record.spec.state === 'Bound' ? 0 : this.#inState.age(`${record.spec.state} ${record.metadata.name}`, nowMs),
      nowMs: clock.now(),
    });
  }

  async #apply(record: IpAllocation, action: ReleaseAction): Promise<Outcome> {
    const { records } = this.#world;
    switch (action.action) {
      case 'keep':
      case 'confirmOwner':
      case 'confirmSet':
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
    // A node of that name with another UID is another owner.
    if (owner.kind === 'Node') return views.nodes.get(owner.name)?.metadata.uid === owner.uid ? 'alive' : 'unseen';
    const pod = views.pods.get(owner.name, owner.namespace);
    if (pod === undefined || identityOf(pod) !== owner.uid) return 'unseen';
    if (!isFinished(pod)) return 'alive';
    // A static pod begins anew under its identity, by a mirror that the view may not show yet.
    return isStaticIdentity(owner.uid) ? 'unseen' : 'finished';
  }

  /** The view may not show an owner yet that the former leader has served: an address is taken on a live read only. */
  async #confirm({ spec: { owner } }: IpAllocation): Promise<OwnerState> {
    const { liveOwners } = this.#world;
    if (owner.kind === 'Node')
      return (await liveOwners.node(owner.name))?.metadata.uid === owner.uid ? 'alive' : 'gone';
    const pod = await liveOwners.pod(owner.namespace ?? '', owner.name);
    if (pod === undefined && isStaticIdentity(owner.uid)) return 'mirrorless';
    if (pod === undefined || identityOf(pod) !== owner.uid) return 'gone';
    return isFinished(pod) ? 'finished' : 'alive';
  }

  async #readSet(record: IpAllocation): Promise<SetState> {
    const { namespace, name } = setOf(record);
    return isSetOf(await this.#world.liveOwners.statefulSet(namespace, name), record) ? 'alive' : 'gone';
  }

  /** A pool that is to go waits for no rest. One that cannot be read now still has addresses that must rest. */
  #policyOf({ spec }: IpAllocation): { coolDownMs: number; reservedMs: number } {
    const pool = this.#world.book.pool(spec.ips);
    if (pool === undefined) return { coolDownMs: DEFAULT_COOL_DOWN_SECONDS * 1_000, reservedMs: 0 };
    return pool.terminating ? { coolDownMs: 0, reservedMs: 0 } : pool;
  }

  #isSuperseded({ metadata, spec: { reservedFor } }: IpAllocation): boolean {
    if (reservedFor === undefined) return false;
    const all = this.#world.book.byOrdinal(reservedFor);
    return all.some((each) => each.metadata.name !== metadata.name && each.spec.state === 'Bound');
  }

  /**
   * Of two leaders' records of one pod the wired one stays, as the node has said; of a node's, the one that its endpoint
   * shows.
   */
  #isSpare({ metadata, spec: { owner, nodeName } }: IpAllocation): boolean {
    const { book, views } = this.#world;
    const bound = book.byOwner(owner.uid).filter((each) => each.spec.state === 'Bound' && !isReleased(each));
    if (bound.length < 2) return false;
    const overlay = views.endpoints.get(nodeName)?.spec.overlayAddress;
    const isUsed = ({ spec, status }: IpAllocation): boolean =>
      owner.kind === 'Node' ? spec.address === overlay : status?.attached?.owner.uid === owner.uid;
    const used = bound.filter(isUsed);
    return used.length > 0 && used.every((each) => each.metadata.name !== metadata.name);
  }

  /**
   * A machine that registered anew under its name has an agent that knows the wires and speaks for them, whatever UID its
   * Node object had when they were made.
   */
  #nodeOf(record: IpAllocation): NodeState {
    const node: Node | undefined = this.#world.views.nodes.get(record.spec.nodeName);
    if (node === undefined) return 'gone';
    if (isOutOfService(node)) return 'outOfService';
    return this.#isAgentless(record) ? 'agentless' : 'present';
  }

  /**
   * A machine that is off, or of an architecture or system without an agent, is a Node all the same, and pods get bound to
   * it. Nobody there will ever let go of their addresses.
   */
  #isAgentless(record: IpAllocation): boolean {
    if (record.spec.state !== 'Releasing' || isAttached(record)) return false;
    const endpoint = this.#world.views.endpoints.get(record.spec.nodeName);
    return endpoint !== undefined && !hasSpoken(endpoint);
  }

  /** Of a node without an agent each address is counted by itself, from when it was to be let go of. */
  #nodeStateMs({ metadata, spec }: IpAllocation, node: NodeState, nowMs: number): number {
    if (node === 'present') return 0;
    return node === 'agentless' ? this.#agentless.age(metadata.name, nowMs) : this.#nodesAway.age(spec.nodeUID, nowMs);
  }
}

/** Whether the node's agent has ever said how its datapath is, which is the first that it does. */
function hasSpoken({ status }: NodeEndpoint): boolean {
  return status?.conditions?.some(({ type }) => type === 'DatapathReady') ?? false;
}

function after(written: Written): Outcome {
  return written === 'stale' ? retryAfter(STALE_RETRY_MS, 'the record changed under the decision') : done;
}
