// SPDX-License-Identifier: Apache-2.0
// Which kubelets have said nothing lately, by their Leases: a node whose power is cut is seen so before the control plane
// writes Ready Unknown, which takes it 40 to 50 s.
import type { KubeObject } from '../kube/object.ts';
import { type Lease, leases } from '../kube/resources.ts';
import type { Cluster } from './surroundings.ts';

/** A kubelet renews each quarter of a Lease's duration (40 s by default); two in a row that are missing are no accident. */
const silenceLimit = 2.5 / 4;
/**
 * The newest of several Leases is not older than this, where any kubelet is heard at all: each is renewed after 10 s and a
 * little, and noted in whole seconds. A clock that is as much too fast makes nobody silent.
 */
const renewalMs = 12_000;

/** By node, for how many milliseconds a kubelet has said nothing: of those alone that are silent. */
export type Silences = ReadonlyMap<string, number>;

interface ManagedFields {
  readonly time?: string;
  readonly fieldsV1?: { readonly 'f:spec'?: { readonly 'f:renewTime'?: object } };
}

function limitMs({ spec }: Lease): number {
  return (spec?.leaseDurationSeconds ?? 40) * 1000 * silenceLimit;
}

/** By the API server's clock, which it notes down with whoever changed a field last; else by the node's own. */
export function heardMs({ metadata, spec }: Lease): number {
  const { managedFields = [] } = metadata as KubeObject['metadata'] & { managedFields?: readonly ManagedFields[] };
  const renewal = managedFields.find(({ fieldsV1 }) => fieldsV1?.['f:spec']?.['f:renewTime'] !== undefined);
  return Date.parse(renewal?.time ?? spec?.renewTime ?? '');
}

/**
 * @param nowMs by the clock of this machine, which may be wrong: then it is not later than the newest renewal. So where every
 * kubelet is silent none is named; the control plane says so soon after.
 */
export function silencesOf(all: readonly Lease[], nowMs: number): Silences {
  const heard = all.map((lease) => ({ lease, atMs: heardMs(lease) })).filter(({ atMs }) => !Number.isNaN(atMs));
  const newestMs = heard.reduce((newest, { atMs }) => Math.max(newest, atMs), -Infinity);
  const isClockRight = nowMs >= newestMs && nowMs - newestMs <= renewalMs;
  const untilMs = isClockRight ? nowMs : newestMs;
  const silent = heard.filter(({ lease, atMs }) => untilMs - atMs > limitMs(lease));
  return new Map(silent.map(({ lease, atMs }) => [lease.metadata.name ?? '', untilMs - atMs]));
}

/** @throws KubeError where the account may not look */
export async function silentKubelets(cluster: Pick<Cluster, 'list'>, nowMs: number): Promise<Silences> {
  const { items } = await cluster.list(leases, { namespace: 'kube-node-lease' });
  return silencesOf(items, nowMs);
}
