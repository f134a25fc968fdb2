// SPDX-License-Identifier: Apache-2.0
// What an Ips says of itself: its counts, whether it can give out addresses, and whom its deletion waits for.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Ips, IpsStatus } from '../api/generated/ips.ts';
import { addressCount, countOf } from '../api/count-of.ts';
import { poolFinalizer } from '../api/names.ts';
import type { Condition } from '../api/object.ts';
import { formatRange } from '../ip/range.ts';
import type { RangeSet } from '../ip/range-set.ts';
import type { PoolCounts } from './pool-tally.ts';
import { timestamp } from './allocation.ts';
import { exhaustionOf, hollownessOf } from './pool-choice.ts';
import type { ParsedPool, Pool } from './pool.ts';
import type { ServiceRange } from './services.ts';

export interface PoolFacts {
  readonly ips: Ips;
  readonly parsed: ParsedPool;
  readonly counts: PoolCounts;
  readonly inUse: boolean;
  /** Some of the records of the pool, for the message of a deletion that waits. */
  readonly holders: readonly IpAllocation[];
  /** All other pools. */
  readonly others: readonly Pool[];
  readonly services: ServiceRange;
  /** The nodes' own addresses. */
  readonly nodeAddresses: RangeSet;
  /** The wall clock. */
  readonly nowMs: number;
}

export type PoolAction = { action: 'none' } | { action: 'replace'; ips: Ips } | { action: 'replaceStatus'; ips: Ips };

type Said = Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>;

/** Whether the pool holds addresses that Services have. */
export const servicesCondition = 'OverlappingServices';
/** Whether it holds addresses that nodes have of their own. */
export const nodesCondition = 'OverlappingNodes';

/** Names beyond this are counted, not listed: a message is for people. */
const MAX_NAMED = 5;

export function decidePool(facts: PoolFacts): PoolAction {
  const { ips, inUse } = facts;
  const finalizers = ips.metadata.finalizers ?? [];
  const isHeld = finalizers.includes(poolFinalizer);
  const isTerminating = ips.metadata.deletionTimestamp !== undefined;
  if (!isTerminating && !isHeld) {
    return { action: 'replace', ips: withFinalizers(ips, [...finalizers, poolFinalizer]) };
  }
  if (isTerminating && isHeld && !inUse) {
    return {
      action: 'replace',
      ips: withFinalizers(
        ips,
        finalizers.filter((each) => each !== poolFinalizer),
      ),
    };
  }
  if (isTerminating && !isHeld) return { action: 'none' };
  const status = statusOf(facts);
  return sameStatus(ips.status, status) ? { action: 'none' } : { action: 'replaceStatus', ips: { ...ips, status } };
}

function withFinalizers(ips: Ips, finalizers: string[]): Ips {
  return { ...ips, metadata: { ...ips.metadata, finalizers } };
}

function statusOf(facts: PoolFacts): IpsStatus {
  const { ips, counts, nowMs } = facts;
  const observedGeneration = ips.metadata.generation ?? 0;
  const conditions = [readiness, exhaustion, overlap, overlapWithServices, overlapWithNodes]
    .map((of) => of(facts))
    .map((said): Condition => {
      const before = ips.status?.conditions?.find((each) => each.type === said.type);
      const lastTransitionTime = before?.status === said.status ? before.lastTransitionTime : timestamp(nowMs);
      return { ...said, observedGeneration, lastTransitionTime };
    });
  return { observedGeneration, ...counts, conditions };
}

function readiness({ ips, parsed, counts, holders }: PoolFacts): Said {
  if (ips.metadata.deletionTimestamp !== undefined) {
    return { type: 'Ready', status: 'False', reason: 'Terminating', message: deletionMessage(holders) };
  }
  if (parsed.kind === 'problem') {
    return { type: 'Ready', status: 'False', reason: 'Invalid', message: parsed.problem.message };
  }
  // A full pool is ready: one of its pods need only go. Here none can go.
  if (counts.total === 0) {
    const message = hollownessOf(ips.metadata.name);
    return { type: 'Ready', status: 'False', reason: 'NothingUsable', message };
  }
  // Of the counts beside it alone: it changes with them, and costs no write of its own.
  const message = `${countOf(counts.total, 'usable address', 'usable addresses')}, ${counts.free} free`;
  return { type: 'Ready', status: 'True', reason: 'Valid', message };
}

function deletionMessage(holders: readonly IpAllocation[]): string {
  const names = holders.slice(0, MAX_NAMED).map(({ spec: { address, owner } }) => {
    return `${address} of ${owner.kind.toLowerCase()} ${owner.kind === 'Pod' ? `${owner.namespace}/` : ''}${owner.name}`;
  });
  const more = holders.length > names.length ? ` and ${holders.length - names.length} more` : '';
  const isOfNodes = holders.some(({ spec }) => spec.owner.kind === 'Node');
  const pods = holders.length === 1 ? 'its pod' : 'their pods';
  const cure = isOfNodes ? 'a node gives its own back when its Node object is deleted' : `delete ${pods}`;
  return `deletion waits for ${addressCount(holders.length)} in use: ${names.join(', ')}${more}; ${cure}`;
}

function exhaustion({ ips, parsed, counts }: PoolFacts): Said {
  const type = 'Exhausted';
  if (parsed.kind === 'problem') {
    return { type, status: 'Unknown', reason: 'Invalid', message: `${parsed.problem.field} is invalid` };
  }
  if (counts.free > 0) return { type, status: 'False', reason: 'AddressesFree', message: 'addresses are free' };
  if (counts.cooling > 0) {
    const resting = `no address is free; ${countOf(counts.cooling, 'cools down and is', 'cool down and are')} given out in need`;
    return { type, status: 'False', reason: 'AddressesCooling', message: resting };
  }
  const message = exhaustionOf(ips.metadata.name, counts);
  return { type, status: 'True', reason: 'NoFreeAddress', message };
}

function overlap({ parsed, others }: PoolFacts): Said {
  const type = 'Overlapping';
  if (parsed.kind === 'problem') {
    return { type, status: 'Unknown', reason: 'Invalid', message: `${parsed.problem.field} is invalid` };
  }
  const shared = others.flatMap((other) => {
    const [first] = parsed.pool.declared.intersect(other.declared).ranges;
    return first === undefined ? [] : [`${formatRange(first)} with pool ${other.name}`];
  });
  if (shared.length === 0) return { type, status: 'False', reason: 'Disjoint', message: 'shares no address' };
  const more = shared.length > MAX_NAMED ? ` and ${countOf(shared.length - MAX_NAMED, 'pool')} more` : '';
  const message = `shares ${shared.sort().slice(0, MAX_NAMED).join(', ')}${more}; no address is given out twice, but the counts of both fall together`;
  return { type, status: 'True', reason: 'SharesAddresses', message };
}

function overlapWithServices({ parsed, services }: PoolFacts): Said {
  const type = servicesCondition;
  if (parsed.kind === 'problem') {
    return { type, status: 'Unknown', reason: 'Invalid', message: `${parsed.problem.field} is invalid` };
  }
  const [first] = parsed.pool.declared.intersect(services.addresses).ranges;
  if (first !== undefined) {
    const message = `holds ${formatRange(first)} of the Services' range, which no pod gets; take it out of spec.ips`;
    return { type, status: 'True', reason: 'SharesServiceRange', message };
  }
  if (services.isWhole) {
    return { type, status: 'False', reason: 'OutsideServiceRange', message: "holds no address of the Services' range" };
  }
  const message =
    "the API server does not tell the Services' range; compare spec.ips with its --service-cluster-ip-range";
  return { type, status: 'Unknown', reason: 'ServiceRangeUnknown', message };
}

function overlapWithNodes({ parsed, nodeAddresses }: PoolFacts): Said {
  const type = nodesCondition;
  if (parsed.kind === 'problem') {
    return { type, status: 'Unknown', reason: 'Invalid', message: `${parsed.problem.field} is invalid` };
  }
  const { ranges } = parsed.pool.declared.intersect(nodeAddresses);
  if (ranges.length === 0) {
    return { type, status: 'False', reason: 'OutsideNodeAddresses', message: "holds no node's own address" };
  }
  const named = ranges.slice(0, MAX_NAMED).map(formatRange).join(', ');
  const more = ranges.length > MAX_NAMED ? ` and ${ranges.length - MAX_NAMED} more` : '';
  const message = `holds ${named}${more} of the nodes' own addresses, which no pod gets; a node that joins may come with an address that a pod has: take the nodes' network out of spec.ips`;
  return { type, status: 'True', reason: 'SharesNodeAddresses', message };
}

const countFields = ['observedGeneration', 'total', 'bound', 'cooling', 'reserved', 'free', 'outOfRange'] as const;

function sameStatus(a: IpsStatus | undefined, b: IpsStatus): boolean {
  if (a === undefined) return false;
  if (countFields.some((field) => a[field] !== b[field])) return false;
  return canonical(a) === canonical(b);
}

function canonical(status: IpsStatus): string {
  const said = (status.conditions ?? []).map((each) => [each.type, each.status, each.reason, each.message]);
  return JSON.stringify(said.map((words) => words.join(' ')).sort());
}
