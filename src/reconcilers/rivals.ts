// SPDX-License-Identifier: Apache-2.0
// Who else wants an address and can have it: of two such pods one waits for ever, which only a person can mend.
import type { Pod } from '../api/workloads.ts';
import { type Address, formatAddress } from '../ip/address.ts';
import { askerOf, candidatePools, type PoolWorld, shutReason } from './candidates.ts';
import { identityOf, podKey } from './pod.ts';

/** The other pods that want the address and have it or may get it, in the order in which they were first seen. */
export function rivalsOf(address: Address, uid: string, world: PoolWorld): string[] {
  return world.book.wanted
    .by(address)
    .filter((pod) => identityOf(pod) !== uid && isInReach(pod, address, world))
    .map(({ metadata }) => podKey(metadata));
}

function isInReach(pod: Pod, address: Address, world: PoolWorld): boolean {
  const { book, views } = world;
  const uid = identityOf(pod);
  const records = book.byOwner(uid).map(({ metadata }) => metadata.name);
  const promised = book.promised.of(uid)?.address;
  // An annotation that came later changes no address: who has another one keeps it.
  if (records.length > 0) return records.includes(formatAddress(address));
  if (promised !== undefined) return promised === address;
  const node = views.nodes.get(pod.spec.nodeName ?? '');
  const namespace = views.namespaces.get(pod.metadata.namespace ?? '');
  if (node === undefined || namespace === undefined) return false;
  const asker = askerOf(pod, namespace, node);
  return candidatePools(pod, namespace, node, world).some((name) => {
    const pool = book.pool(name);
    return pool !== undefined && book.isUsable(name, address) && shutReason(pool, asker) === undefined;
  });
}
