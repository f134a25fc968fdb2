// SPDX-License-Identifier: Apache-2.0
// What a StatefulSet is promised: each ordinal gets its former address back as long as that is kept for it, and waits for
// one that its former pod's node has not let go of. Judged by what the leader saw when it sent its write.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { addressAnnotation } from '../../src/api/names.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { identityOf, nodeAddressesOf } from '../../src/reconcilers/pod.ts';
import { parsePool, type Pool } from '../../src/reconcilers/pool.ts';
import { ordinalKey } from '../../src/reconcilers/stateful-set.ts';
import { poolNamesOf } from './pool-names.ts';
import type { Seen } from './sent.ts';
import { startMs } from './time.ts';

/** Why the record's ordinal should have had another address; undefined where it should not. */
export function whyNotOrdinals({ spec }: IpAllocation, seen: Seen): string | undefined {
  const { address, owner } = spec;
  const pod = seen.pods.find((each) => identityOf(each) === owner.uid);
  if (pod === undefined || pod.metadata.annotations?.[addressAnnotation] !== undefined) return undefined;
  const former = ofOrdinal(spec, seen).filter((record) => record.spec.owner.uid !== owner.uid);
  // What it runs with is its own, whoever has said so.
  if (former.some(({ metadata }) => metadata.name === address) || pod.status?.podIP === address) return undefined;
  const kept = former.find((record) => isComingBack(record, pod, seen));
  return kept && `its ordinal's address ${kept.metadata.name} is ${kept.spec.state}`;
}

/** Why the record is to be kept, by the time that is written in it; undefined where it may be anybody's. */
export function whyToBeKept({ spec }: IpAllocation, seen: Seen): string | undefined {
  const others = ofOrdinal(spec, seen).filter(({ metadata }) => metadata.name !== spec.address);
  const pool = poolOf(spec.ips, seen);
  if (pool === undefined || pool.reservedMs === 0 || others.some((each) => each.spec.state === 'Bound'))
    return undefined;
  const keptMs = startMs + seen.atMs - Date.parse(spec.stateSince);
  if (spec.state === 'Reserved' && keptMs >= pool.reservedMs) return undefined;
  return `pool ${pool.name} keeps it ${pool.reservedMs} ms`;
}

/** Whether two records were made for one ordinal of a StatefulSet. */
export function isSameOrdinal(one: IpAllocation['spec'], other: IpAllocation['spec']): boolean {
  if (one.reservedFor === undefined || other.reservedFor === undefined) return false;
  return ordinalKey(one.reservedFor) === ordinalKey(other.reservedFor);
}

function ofOrdinal(spec: IpAllocation['spec'], { records }: Seen): IpAllocation[] {
  return records.filter((record) => isSameOrdinal(record.spec, spec));
}

function isComingBack({ spec, metadata: { name } }: IpAllocation, pod: Pod, seen: Seen): boolean {
  const pools = poolNamesOf(pod, seen.namespaces);
  const pool = poolOf(spec.ips, seen);
  if (pool === undefined || !pools.includes(pool.name) || pool.reservedMs === 0) return false;
  if (!isUsable(name, pool, seen)) return false;
  if (spec.state === 'Bound') return true;
  if (spec.state === 'Cooling' || (spec.state === 'Reserved' && isInUse(name, seen))) return false;
  return startMs + seen.atMs < Date.parse(spec.stateSince) + pool.reservedMs;
}

function isUsable(address: string, pool: Pool, { pools, nodes, services }: Seen): boolean {
  if (!pool.declared.contains(parseAddress(address)) || services.contains(parseAddress(address))) return false;
  if (pools.some(({ spec }) => spec.subnet.split('/')[0] === address)) return false;
  return !nodes.some((node) => nodeAddressesOf(node).includes(address));
}

/** By what others say of it. */
function isInUse(address: string, { endpoints, pods }: Seen): boolean {
  if (pods.some(({ status }) => status?.podIP === address)) return true;
  return endpoints.some(({ spec, status }) => {
    const isOrphans = status?.orphans?.some((each) => each.address === address) === true;
    return isOrphans || spec.podAddresses?.includes(address) === true;
  });
}

/** The pool, if it gives and keeps anything. */
function poolOf(name: string, { pools }: Seen): Pool | undefined {
  const ips = pools.find(({ metadata }) => metadata.name === name);
  const parsed = ips === undefined ? undefined : parsePool(ips);
  return parsed?.kind === 'pool' && parsed.pool.held && !parsed.pool.terminating ? parsed.pool : undefined;
}
