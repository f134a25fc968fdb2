// SPDX-License-Identifier: Apache-2.0
// What a change means to whom: each change of an object is noted in the book and wakes the keys that it concerns. All
// knowledge of "who must look again when this happens" is in this file. A wrong wake costs microseconds; a missing one
// leaves somebody waiting.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Ips } from '../api/generated/ips.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { KubeObject } from '../api/object.ts';
import type { Namespace, Node, Pod } from '../api/workloads.ts';
import { parseAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import { hasGate } from './candidates.ts';
import { orphansOf } from './orphan.ts';
import { identityOf, isFinished, isOutOfService, nodeAddressesOf, podKey, runningAddressOf } from './pod.ts';
import { ENDPOINT_COALESCE_MS } from './pod-reconciler.ts';
import { parsePool } from './pool.ts';
import type { Queues, Views } from './ports.ts';
import { isSameRange, type ServiceRange } from './services.ts';
import { POOL_COALESCE_MS, type WaitingRoom, wake, wakePools, wakeUnlisted } from './waiting-room.ts';

export type Change<T extends KubeObject> =
  | { type: 'added' | 'updated'; object: T; old?: T }
  | { type: 'deleted'; object: T };

export interface RouterWorld {
  readonly views: Views;
  readonly book: AddressBook;
  readonly waiting: WaitingRoom;
  readonly queues: Queues;
}

export class Router {
  readonly #world: RouterWorld;
  /** Node name → its addresses, as one text to compare by: a kubelet reports often and moves rarely. */
  readonly #nodeAddresses = new Map<string, string>();

  constructor(world: RouterWorld) {
    this.#world = world;
  }

  onPod({ type, object }: Change<Pod>): void {
    const { queues, book } = this.#world;
    queues.pod(podKey(object.metadata));
    if (type === 'deleted') book.wanted.forget(podKey(object.metadata));
    else book.wanted.show(object);
    const spared =
      type === 'deleted' ? book.expected.forget(podKey(object.metadata)) : book.expected.show(object, book);
    if (spared !== undefined) this.wakePools([spared]);
    const worn = type === 'deleted' ? undefined : runningAddressOf(object);
    this.wakePools(book.wear(identityOf(object), worn));
    // One that comes back (a mirror) ends its record's wait as surely as one that goes begins it.
    if (type === 'updated' && !isFinished(object)) return;
    for (const record of book.byOwner(identityOf(object))) queues.record(record.metadata.name);
  }

  onRecord(change: Change<IpAllocation>): void {
    const { queues, book } = this.#world;
    const { type, object } = change;
    const { spec, metadata } = object;
    const promised = book.promised.at(parseAddress(metadata.name));
    if (type === 'deleted') this.wakePools(book.forget(object));
    else book.observe(object);
    const spared = type === 'deleted' ? undefined : book.expected.serve(spec.owner);
    if (spared !== undefined) this.wakePools([spared]);
    // It was about to change hands, and has gone elsewhere.
    if (promised !== undefined && !book.isServed(promised.owner.uid)) this.#wakeOwner(promised.owner);
    if (type === 'deleted' || spec.state !== 'Bound') this.#wakeOwner(spec.owner);
    else this.#wakeFormer(object);
    // In need a pool gives out what has not cooled down.
    if (spec.state === 'Cooling') this.wakePools([spec.ips]);
    queues.record(metadata.name);
    this.#wakeTwins(spec.owner.uid);
    queues.node(spec.nodeName, ENDPOINT_COALESCE_MS);
    // What an agent says of a record changes no count; and of pools that share the address all counts change.
    if (type === 'updated' && isStatusOnly(change.old, object)) return;
    queues.pool(spec.ips, POOL_COALESCE_MS);
    const address = parseAddress(metadata.name);
    for (const { name, declared } of book.pools()) if (declared.contains(address)) queues.pool(name, POOL_COALESCE_MS);
  }

  onPool(change: Change<Ips>): void {
    const { queues, book } = this.#world;
    const { name } = change.object.metadata;
    if (change.type === 'updated' && isStatusOnly(change.old, change.object)) {
      // Mostly our own write: at once, the counts that moved meanwhile would chase it without end.
      queues.pool(name, POOL_COALESCE_MS);
      return;
    }
    const parsed = parsePool(change.object);
    if (change.type === 'deleted' || parsed.kind === 'problem') book.removePool(name);
    else book.setPool(parsed.pool);
    queues.pool(name);
    this.wakePools([name]);
    for (const record of book.resting(name)) queues.record(record.metadata.name);
    // Whom a selector names may wait for other pools so far.
    if (parsed.kind === 'pool' && hasGate(parsed.pool)) wake(this.#world.waiting.all(), queues);
    for (const other of book.pools()) queues.pool(other.name, POOL_COALESCE_MS);
  }

  onNode(change: Change<Node>): void {
    const { queues, book, waiting } = this.#world;
    const { type, object } = change;
    const { name } = object.metadata;
    this.#followNodeAddresses(name, type === 'deleted' ? [] : nodeAddressesOf(object));
    queues.node(name);
    wake(waiting.onNode(name), queues);
    // A kubelet reports every few seconds, which concerns only records on their way out. A node that comes or goes concerns
    // all: how long it has been away is counted with them.
    const isTurn = change.type !== 'updated' || isOutOfService(object) !== isOutOfService(change.old ?? object);
    for (const record of book.byNode(name)) {
      const isConcerned = isTurn || record.spec.state === 'Releasing' || record.spec.owner.kind === 'Node';
      if (isConcerned) queues.record(record.metadata.name);
    }
  }

  onNamespace({ object }: Change<Namespace>): void {
    wake(this.#world.waiting.inNamespace(object.metadata.name), this.#world.queues);
  }

  onEndpoint({ type, object }: Change<NodeEndpoint>): void {
    const { name } = object.metadata;
    this.#world.queues.node(name, ENDPOINT_COALESCE_MS);
    wakeUnlisted(this.#world.book.published.show(name, type === 'deleted' ? undefined : object), this.#world);
    this.wakePools(this.#world.book.setOrphans(name, type === 'deleted' ? [] : orphansOf(object)));
    this.#wakeTwins(object.spec.nodeUID);
  }

  /** The range of Services, as the API server tells it now. */
  onServices(services: ServiceRange): void {
    const { book, queues } = this.#world;
    if (isSameRange(book.kept.services, services)) return;
    this.wakePools(book.setServices(services));
    for (const { name } of book.pools()) queues.pool(name, POOL_COALESCE_MS);
  }

  /** Everything looks again, as after a start. */
  wakeAll(): void {
    const { views, book, queues } = this.#world;
    for (const pool of views.pools.list()) queues.pool(pool.metadata.name);
    for (const node of views.nodes.list()) queues.node(node.metadata.name);
    for (const endpoint of views.endpoints.list()) queues.node(endpoint.metadata.name);
    for (const pod of views.pods.list()) queues.pod(podKey(pod.metadata));
    for (const record of book.records()) queues.record(record.metadata.name);
  }

  /** The pools have a free address more: those who wait for one look again, and the counts follow. */
  wakePools(pools: readonly string[]): void {
    wakePools(pools, this.#world);
  }

  /** One address too many is given back as soon as it is known which is in use. */
  #wakeTwins(ownerUid: string): void {
    const records = this.#world.book.byOwner(ownerUid);
    if (records.length > 1) for (const { metadata } of records) this.#world.queues.record(metadata.name);
  }

  /** An address that was kept for an ordinal which has another one now. */
  #wakeFormer({ metadata, spec: { reservedFor } }: IpAllocation): void {
    if (reservedFor === undefined) return;
    for (const former of this.#world.book.byOrdinal(reservedFor)) {
      if (former.metadata.name !== metadata.name) this.#world.queues.record(former.metadata.name);
    }
  }

  /**
   * An owner that lives on after its record is gone (a static pod, a record deleted by hand) gets a new one, and the next
   * pod of a StatefulSet's ordinal has the name of the last.
   */
  #wakeOwner(owner: IpAllocation['spec']['owner']): void {
    if (owner.kind === 'Pod') this.#world.queues.pod(podKey(owner));
    else this.#world.queues.node(owner.name);
  }

  #followNodeAddresses(name: string, addresses: readonly string[]): void {
    const text = addresses.join();
    if ((this.#nodeAddresses.get(name) ?? '') === text) return;
    if (text === '') this.#nodeAddresses.delete(name);
    else this.#nodeAddresses.set(name, text);
    this.wakePools(this.#world.book.setNodeAddresses(name, addresses.map(parseAddress)));
  }
}

/**
 * Status writes must wake nobody else; a spec edit raises the generation. After a backup was brought back the same generation
 * may stand for another spec.
 */
function isStatusOnly(old: KubeObject | undefined, now: KubeObject): boolean {
  return (
    old?.metadata.generation !== undefined &&
    old.metadata.generation === now.metadata.generation &&
    old.metadata.uid === now.metadata.uid &&
    specText(old) === specText(now) &&
    old.metadata.deletionTimestamp === now.metadata.deletionTimestamp &&
    (old.metadata.finalizers ?? []).join() === (now.metadata.finalizers ?? []).join()
  );
}

function specText(object: KubeObject): string {
  return JSON.stringify((object as { spec?: unknown }).spec);
}
