// SPDX-License-Identifier: Apache-2.0
// Which pool serves a pod, and the words for why one does not. Pure: the facts come in, a verdict goes out.
import { addressCount, countOf } from '../api/count-of.ts';
import { defaultPool, poolAnnotation } from '../api/names.ts';
import type { Pod } from '../api/workloads.ts';
import type { AddressBook } from './address-book.ts';
import { annotatedOf, type Asker, type PoolWorld, shutReason } from './candidates.ts';
import { refuseFixed, shorten } from './fixed-address.ts';
import { awaited, keepingPools } from './former-address.ts';
import type { Pool } from './pool.ts';
import { parsePool } from './pool.ts';
import type { PoolCounts } from './pool-tally.ts';
import type { Offer } from './promises.ts';
import { rivalsOf } from './rivals.ts';

/** Why somebody has no address yet, as NodeEndpoint spec.waiting and the pod's event show it; docs/pools.md has the list. */
export const waitReasons = [
  'PoolNotFound',
  'PoolInvalid',
  'PoolTerminating',
  'PoolStarting',
  'PoolUsage',
  'PoolGated',
  'PoolExhausted',
  'AddressInvalid',
  'AddressOutOfPool',
  'AddressTaken',
  'AddressWantedTwice',
  'AddressReleasing',
  'NodeNotFound',
  'NamespaceNotFound',
  'RecordRefused',
] as const;
export type WaitReason = (typeof waitReasons)[number];

export interface Refusal {
  readonly reason: WaitReason;
  readonly message: string;
}

/** Names beyond this are counted, not listed: a message is for people. */
const MAX_NAMED = 3;

type Verdict = { pool: Pool; manner: Offer['manner'] } | { refusal: Refusal };

/**
 * The first of the pools that can give an address now; or each one's refusal in one. An address that has not cooled
 * down is for whom no pool of his has another.
 */
export function choosePool(
  names: readonly string[],
  asker: Asker,
  world: PoolWorld,
): { pool: Pool } | { refusal: Refusal } {
  const verdicts = claimedFirst(names, asker, world).map((name) => ask(name, asker, world));
  const refusals: Refusal[] = [];
  let second: Pool | undefined;
  for (const verdict of verdicts) {
    if ('refusal' in verdict) {
      // Its former address is on its way to it; another one would be another's.
      if (verdict.refusal.reason === 'AddressReleasing') return verdict;
      refusals.push(verdict.refusal);
    } else if (verdict.manner !== 'resting') {
      return verdict;
    } else {
      second ??= verdict.pool;
    }
  }
  return second === undefined ? { refusal: joined(refusals, asker) } : { pool: second };
}

/**
 * A create without an answer may have made the record: asking elsewhere would give the owner a second one. Then comes the
 * pool that keeps the ordinal's former address.
 */
function claimedFirst(names: readonly string[], { wish }: Asker, { book, clock }: PoolWorld): string[] {
  const promised = book.promised.of(wish.owner.uid)?.pool;
  const keeping = keepingPools(wish, book, clock.now());
  const rank = (name: string): number => (name === promised ? 0 : keeping.includes(name) ? 1 : 2);
  return names.toSorted((a, b) => rank(a) - rank(b));
}

/** Of a fixed address the pools that do not hold it say nothing, where one does. */
function joined(refusals: readonly Refusal[], { strange }: Asker): Refusal {
  const telling = refusals.filter(({ reason }) => reason !== 'AddressOutOfPool');
  const said = telling.length > 0 ? telling : refusals;
  const reason = said[0]?.reason ?? 'PoolNotFound';
  const messages = said.map((each) => each.message);
  if (reason === 'PoolNotFound' && strange !== undefined) messages.push(strange);
  return { reason, message: messages.join('; ') };
}

function ask(name: string, asker: Asker, world: PoolWorld): Verdict {
  const { book, clock } = world;
  const { wish } = asker;
  const pool = book.pool(name);
  if (pool === undefined) return { refusal: absence(name, asker, world) };
  const shut = shutReason(pool, asker);
  if (shut !== undefined) return { refusal: shut };
  if (book.promised.of(wish.owner.uid)?.pool === name) return { pool, manner: 'own' };
  const coming = awaited(pool, wish, book, clock.now());
  if (coming !== undefined) return { refusal: { reason: 'AddressReleasing', message: coming } };
  const offer = book.offer(name, wish);
  if (offer !== undefined) return letThrough(pool, offer, asker, book);
  if (wish.fixed !== undefined)
    return { refusal: refuseFixed(name, wish.fixed, rivalsOf(wish.fixed, wish.owner.uid, world), book) };
  return { refusal: { reason: 'PoolExhausted', message: exhaustionOf(name, book.counts(name)) } };
}

/**
 * For a pod that is served: what of its list before that pool does not exist, in a sentence. Mostly a slip of the pen, by
 * which the pod has another address than its owner means; nothing else shows it.
 */
export function passedOver(
  pod: Pod,
  names: readonly string[],
  served: string,
  { views }: PoolWorld,
): string | undefined {
  const missing = names.slice(0, Math.max(0, names.indexOf(served))).filter((name) => !views.pools.get(name));
  const [first] = missing;
  if (first === undefined) return undefined;
  const named = missing.slice(0, MAX_NAMED).map(shorten).join(', ');
  const more = missing.length > MAX_NAMED ? ` and ${missing.length - MAX_NAMED} more` : '';
  const isOne = missing.length === 1;
  const fate = isOne ? 'does not exist and was passed over' : 'do not exist and were passed over';
  const cure =
    isOne && isObjectName(first) ? `correct the annotation, or create the Ips ${first}` : 'correct the annotation';
  return `${annotatedOf(pod)} names ${named}${more}, which ${fate}; the address is from pool ${served}; ${cure}`;
}

/** An address that is just free may be for a pod that the scheduler has in hand. */
function letThrough(pool: Pool, { manner }: Offer, { isUnscheduled, wish }: Asker, book: AddressBook): Verdict {
  const isAny = wish.fixed === undefined && (manner === 'free' || manner === 'resting');
  if (isUnscheduled !== true || !isAny) return { pool, manner };
  const expected = book.expected.before(wish.owner.uid, pool.name);
  const { free } = book.counts(pool.name);
  const rested = free > expected ? [] : [...book.rested(pool.name, wish).take(expected + 1 - free)];
  const left = free + rested.length;
  if (left > expected) return { pool, manner };
  const before = `${countOf(expected, 'pod')} let through before this one`;
  const message = `pool ${pool.name} has ${addressCount(left)} left, for ${before}; ${widen}`;
  return { refusal: { reason: 'PoolExhausted', message } };
}

/** The field of the pool that the sentence is about. */
const widen = 'add ranges to its spec.ips';

/** With numbers, for whoever has to find addresses. */
export function exhaustionOf(name: string, { total, reserved }: PoolCounts): string {
  if (total === 0) return hollownessOf(name);
  const kept = reserved === 0 ? '' : `, ${reserved} of them kept for StatefulSets`;
  return `pool ${name} is exhausted: ${total} of ${total} in use${kept}; ${widen}`;
}

/** Of a pool that could not give an address even if nobody had one. */
export function hollownessOf(name: string): string {
  return `pool ${name} has no address to give: its gateway, excludeIPs, the nodes' addresses and the Services' leave none of spec.ips; ${widen}`;
}

const nameRule =
  'a name is lower-case letters, digits, "-" and ".", begins and ends with a letter or digit, and has 253 characters at most (RFC 1123)';

/** A subdomain by RFC 1123, as the API server takes it for a name. */
function isObjectName(text: string): boolean {
  const isPart = (part: string): boolean => /^[a-z0-9-]+$/.test(part) && !part.startsWith('-') && !part.endsWith('-');
  return text.length <= 253 && text.split('.').every(isPart);
}

function absence(name: string, asker: Asker, world: PoolWorld): Refusal {
  const ips = world.views.pools.get(name);
  const parsed = ips === undefined ? undefined : parsePool(ips);
  if (parsed?.kind === 'problem') {
    return { reason: 'PoolInvalid', message: `pool ${name} is invalid: ${parsed.problem.message}` };
  }
  if (!isObjectName(name)) {
    const message = `pool "${shorten(name)}" cannot exist: ${nameRule}; correct the annotation ${poolAnnotation}`;
    return { reason: 'PoolNotFound', message };
  }
  const cure =
    name === defaultPool && asker.usage === 'Pod'
      ? `create the Ips ${name}, or name another by the annotation ${poolAnnotation}`
      : `create the Ips ${name}${asker.usage === 'Pod' ? `, or correct the annotation ${poolAnnotation}` : ''}`;
  return { reason: 'PoolNotFound', message: `pool ${name} does not exist; ${cure}` };
}
