// SPDX-License-Identifier: Apache-2.0
// What the reconcilers need of the world, and no more: views of what the API server holds, writes that answer with a
// word, and a clock. The operator adapts its client to these; a simulator can put a model behind them.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Ips } from '../api/generated/ips.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { KubeObject } from '../api/object.ts';
import type { Namespace, Node, Pod } from '../api/workloads.ts';

/** How a reconcile ended. An exception instead of an outcome means: again, with back-off. */
export type Outcome =
  | { outcome: 'done' }
  | { outcome: 'retryAfter'; ms: number; because: string }
  | { outcome: 'giveUp'; because: string };

export const done: Outcome = { outcome: 'done' };

export function retryAfter(ms: number, because: string): Outcome {
  return { outcome: 'retryAfter', ms, because };
}

/** A local copy of one kind's objects, kept by a watch; it may lag behind. The objects are shared: never change them. */
export interface View<T extends KubeObject> {
  get(name: string, namespace?: string): T | undefined;
  list(): T[];
}

export interface Views {
  readonly pods: View<Pod>;
  readonly namespaces: View<Namespace>;
  readonly nodes: View<Node>;
  readonly pools: View<Ips>;
  readonly endpoints: View<NodeEndpoint>;
}

/**
 * How a fenced write ended. `stale`: the object changed since it was read, so the decision is void. `gone`: there is no
 * such object any more. Whatever leaves the result unknown (a timeout, a lost connection) is thrown instead.
 */
export type Written = 'written' | 'stale' | 'gone';

export type Created<T> = { outcome: 'created'; object: T } | { outcome: 'alreadyExists' } | Refused;

/** The API server answered that it takes no such write, so that nothing came of it. */
export type Refused = { outcome: 'refused'; because: string };

/** Writes of IpAllocations. Each but create is fenced by the resourceVersion and uid of the object that it is given. */
export interface RecordPort {
  create(record: IpAllocation): Promise<Created<IpAllocation>>;
  /** A read from the API server itself, not from a view. */
  read(address: string): Promise<IpAllocation | undefined>;
  replace(record: IpAllocation): Promise<Written>;
  replaceStatus(record: IpAllocation): Promise<Written>;
  delete(record: IpAllocation): Promise<Written>;
}

export interface PodPort {
  /** A merge patch that carries the resourceVersion of the pod that it is for. */
  patch(pod: Pod, patch: object): Promise<Written>;
}

export interface PoolPort {
  replace(pool: Ips): Promise<Written>;
  replaceStatus(pool: Ips): Promise<Written>;
}

export interface EndpointPort {
  create(endpoint: NodeEndpoint): Promise<Created<NodeEndpoint>>;
  replace(endpoint: NodeEndpoint): Promise<{ outcome: Written } | Refused>;
  replaceStatus(endpoint: NodeEndpoint): Promise<Written>;
  delete(endpoint: NodeEndpoint): Promise<Written>;
}

/** Live reads of owners, for the moment before an address is taken from one. */
export interface OwnerReader {
  pod(namespace: string, name: string): Promise<Pod | undefined>;
  node(name: string): Promise<Node | undefined>;
  statefulSet(namespace: string, name: string): Promise<KubeObject | undefined>;
}

/** What the collector did, as its metric counts it. */
export type Repair =
  /** A record whose owner is gone. */
  | 'recordReleased'
  /** The record that is not in use of an owner's two. */
  | 'spareReleased'
  /** A pod without an address that nobody was at work for. */
  | 'podWoken'
  /** The wire of a living pod has its record again. */
  | 'wireAdopted'
  /** The wire of a pod that is gone has a record that asks its node to take it away. */
  | 'wireReleased'
  /** A person was told of what only a person can mend. */
  | 'personTold';

export interface CollectorPort {
  /** Lists everything afresh into the views, whatever their watches told; resolves when all of it has been told. */
  refresh(): Promise<void>;
  /** Never fails and never waits. */
  repaired(repair: Repair): void;
  /** What the repair was to be of, for a person. Never fails and never waits. */
  failed(suspect: string, error: unknown): void;
}

export interface EventNote {
  readonly kind: 'Pod' | 'Node' | 'Ips' | 'IpAllocation';
  readonly object: KubeObject;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/** Events for people. Recording one never fails and never waits. */
export interface EventPort {
  record(event: EventNote): void;
}

export interface Clock {
  /** The wall clock, milliseconds since 1970, for times that are written down. */
  now(): number;
  /** A clock that never jumps, in milliseconds, for intervals. */
  monotonicMs(): number;
}

/** The work queues. Adding a key that waits already changes nothing, so delayed adds coalesce. */
export interface Queues {
  /** key: namespace/name. */
  pod(key: string): void;
  /** The record's name, an address. */
  record(address: string): void;
  node(name: string, delayMs?: number): void;
  pool(name: string, delayMs?: number): void;
}
