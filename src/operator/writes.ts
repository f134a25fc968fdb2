// SPDX-License-Identifier: Apache-2.0
// The reconcilers' ports on the API server: errors become words where the reconcilers know what to do, and stay
// exceptions where only another try helps. Every write dies with the leadership: `signal` aborts it.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Pod } from '../api/workloads.ts';
import type { KubeClient } from '../kube/client.ts';
import { isReason, KubeError } from '../kube/errors.ts';
import type { EventRecorder } from '../kube/events.ts';
import { type KubeObject, type Resource, reference } from '../kube/object.ts';
import type {
  Created,
  EndpointPort,
  EventPort,
  OwnerReader,
  PodPort,
  PoolPort,
  RecordPort,
  Written,
} from '../reconcilers/ports.ts';
import { endpointKind, nodeKind, podKind, poolKind, recordKind, statefulSetKind } from './kinds.ts';

export interface Writes {
  readonly records: RecordPort;
  readonly podWrites: PodPort;
  readonly poolWrites: PoolPort;
  readonly endpoints: EndpointPort;
  readonly liveOwners: OwnerReader;
}

/** The verbs that the ports stand on. */
export type WriteVerbs = Pick<KubeClient, 'create' | 'find' | 'replace' | 'replaceStatus' | 'patch' | 'delete'>;

/** The ports, for as long as `signal` is not aborted. */
export function writesOn(client: WriteVerbs, signal: AbortSignal): Writes {
  const call = { signal };
  const replace = <T extends KubeObject>(kind: Resource<T>) => {
    return (object: T) => written(() => client.replace(kind, object, call), signal);
  };
  const replaceStatus = <T extends KubeObject>(kind: Resource<T>) => {
    return (object: T) => written(() => client.replaceStatus(kind, object, call), signal);
  };
  const create = <T extends KubeObject>(kind: Resource<T>, isRefused = isMalformed) => {
    return (object: T) => created(() => client.create(kind, object, call), signal, isRefused);
  };
  const remove = <T extends KubeObject>(kind: Resource<T>) => {
    return (object: T) => written(() => client.delete(kind, object.metadata.name ?? '', fence(object), call), signal);
  };
  return {
    records: {
      create: create(recordKind),
      read: (address) => client.find(recordKind, address, undefined, call),
      replace: replace(recordKind),
      replaceStatus: replaceStatus(recordKind),
      delete: remove(recordKind),
    },
    podWrites: { patch: (pod, patch) => written(() => patchPod(client, pod, patch, call), signal) },
    poolWrites: { replace: replace(poolKind), replaceStatus: replaceStatus(poolKind) },
    endpoints: {
      create: create(endpointKind, isRefusal),
      replace: (endpoint) => replacedEndpoint(client, endpoint, call),
      replaceStatus: replaceStatus(endpointKind),
      delete: remove(endpointKind),
    },
    liveOwners: {
      pod: (namespace, name) => client.find(podKind, name, namespace, call),
      node: (name) => client.find(nodeKind, name, undefined, call),
      statefulSet: (namespace, name) => client.find(statefulSetKind, name, namespace, call),
    },
  };
}

/**
 * Makes the API server forget who wrote which field, from then on too (managedfields.NewFieldManager of apimachinery
 * takes [{}] for a reset and tracks nothing in what has no entry). Every agent hears of each change of every endpoint,
 * and those entries were 43 % of its bytes; nobody applies an endpoint, so nobody needs them.
 */
function unmanaged<T extends KubeObject>(object: T): T {
  return { ...object, metadata: { ...object.metadata, managedFields: [{}] } };
}

function patchPod(client: WriteVerbs, { metadata }: Pod, patch: object, call: { signal: AbortSignal }) {
  return client.patch(podKind, metadata.name, patch, { type: 'merge', namespace: metadata.namespace }, call);
}

/** Deleted only if it is still this very object in this very version. */
function fence({ metadata }: KubeObject): { uid?: string; resourceVersion?: string } {
  const { uid, resourceVersion } = metadata;
  if (uid === undefined || resourceVersion === undefined) {
    throw new Error(
      `${metadata.name ?? 'an object'} has no uid or resourceVersion; a delete without them is not fenced`,
    );
  }
  return { uid, resourceVersion };
}

async function written(write: () => Promise<unknown>, signal: AbortSignal): Promise<Written> {
  signal.throwIfAborted();
  try {
    await write();
    return 'written';
  } catch (error) {
    if (isReason(error, 'conflict') || isOtherUid(error)) return 'stale';
    if (isReason(error, 'notFound')) return 'gone';
    throw error;
  }
}

async function replacedEndpoint(client: WriteVerbs, endpoint: NodeEndpoint, call: { signal: AbortSignal }) {
  try {
    return { outcome: await written(() => client.replace(endpointKind, unmanaged(endpoint), call), call.signal) };
  } catch (error) {
    if (isRefusal(error)) return { outcome: 'refused' as const, because: error.message };
    throw error;
  }
}

/** Any answer that says for good that nothing was written. A 429 may follow on a try whose outcome is not known. */
function isRefusal(error: unknown): error is KubeError {
  if (!(error instanceof KubeError) || isReason(error, 'throttled', 'timeout')) return false;
  return error.status >= 400 && error.status < 500;
}

function isMalformed(error: unknown): error is KubeError {
  return isReason(error, 'invalid', 'badRequest');
}

/** On the main resource a uid that is not the object's is answered with 422, not with 409. */
function isOtherUid(error: unknown): boolean {
  return isReason(error, 'invalid') && (error as KubeError).causes.some((cause) => cause.field === 'metadata.uid');
}

async function created<T>(
  write: () => Promise<T>,
  signal: AbortSignal,
  isRefused: (error: unknown) => error is KubeError,
): Promise<Created<T>> {
  signal.throwIfAborted();
  try {
    return { outcome: 'created', object: await write() };
  } catch (error) {
    if (isReason(error, 'alreadyExists')) return { outcome: 'alreadyExists' };
    if (isRefused(error)) return { outcome: 'refused', because: error.message };
    throw error;
  }
}

const eventKinds = { Pod: podKind, Node: nodeKind, Ips: poolKind, IpAllocation: recordKind } as const;

export function eventsOn(recorder: EventRecorder): EventPort {
  return {
    record({ kind, object, type, reason, note }) {
      const regarding = reference<KubeObject>(eventKinds[kind], object);
      recorder.record({ regarding, type, reason, note, action: 'Allocate' });
    },
  };
}
