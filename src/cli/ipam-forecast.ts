// SPDX-License-Identifier: Apache-2.0
// `fast-ctl ipam forecast`: how long a pool lasts if it goes on as in the last hour, and whether more pods fit.
import type { Ips } from '../api/generated/ips.ts';
import type { Namespace, Pod } from '../api/workloads.ts';
import { RangeSet } from '../ip/range-set.ts';
import type { AddressBook } from '../reconcilers/address-book.ts';
import { askerOf, candidatePools } from '../reconcilers/candidates.ts';
import { choosePool } from '../reconcilers/pool-choice.ts';
import type { Column } from './table.ts';

export const forecastColumns: readonly Column[] = [
  { title: 'POOL', field: 'pool' },
  { title: 'FREE', field: 'free', isRightAligned: true },
  { title: 'COOLING', field: 'cooling', isRightAligned: true },
  { title: 'NEW-PER-HOUR', field: 'newPerHour', isRightAligned: true },
  { title: 'LASTS', field: 'lasts', tone: (text) => (text === 'exhausted' ? 'bad' : undefined) },
];

const hourMs = 3_600_000;
const hourSeconds = 3_600;

/** How a pool goes on as in the last hour. The keys are what programs read; the sentence is for people. */
export type Outlook = {
  readonly pool: string;
  /** Addresses, as are `cooling` and `newPerHour`. */
  readonly free: number;
  readonly cooling: number;
  readonly newPerHour: number;
  readonly outlook: 'exhausted' | 'steady' | 'growing';
  /** Absent where the pool does not grow. */
  readonly lastsAtLeastSeconds?: number;
  readonly lasts: string;
};

/**
 * Pods that began in the last hour and still run are what the pool grew by, at most: what ended meanwhile is not
 * recorded anywhere. So a pool lasts at least as long as this says.
 */
export function forecastRows(book: AddressBook, nowMs: number): Outlook[] {
  return book
    .pools()
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name }) => {
      const { free, cooling } = book.counts(name);
      const newPerHour = book.byPool(name).filter(({ spec }) => {
        return spec.state === 'Bound' && nowMs - Date.parse(spec.stateSince) < hourMs;
      }).length;
      return { pool: name, free, cooling, newPerHour, ...lastsFor(free + cooling, newPerHour) };
    });
}

type Lasting = Pick<Outlook, 'outlook' | 'lastsAtLeastSeconds' | 'lasts'>;

function lastsFor(left: number, newPerHour: number): Lasting {
  if (left === 0) return { outlook: 'exhausted', lastsAtLeastSeconds: 0, lasts: 'exhausted' };
  if (newPerHour === 0) return { outlook: 'steady', lasts: 'does not grow' };
  const hours = left / newPerHour;
  return { outlook: 'growing', lastsAtLeastSeconds: Math.round(hours * hourSeconds), lasts: sentenceFor(hours) };
}

function sentenceFor(hours: number): string {
  if (hours < 1) return `${Math.max(1, Math.round(hours * 60))} min or longer`;
  return hours < 48 ? `${Math.round(hours)} h or longer` : `${Math.round(hours / 24)} days or longer`;
}

export interface Fit {
  readonly workload: string;
  readonly pods: number;
  /** How many of them each pool would serve, in the order of preference. */
  readonly from: ReadonlyArray<{ readonly pool: string; readonly pods: number }>;
  readonly missing: number;
  /** Why those that are missing would wait, in a word of docs/reference.md; absent where none would. */
  readonly reason?: string;
  /** The same in a sentence, for people. */
  readonly because: string;
}

/** Whether `count` more pods like this one would have addresses. */
export function fitOf(
  workload: string,
  count: number,
  pod: Pod,
  namespace: Namespace,
  pools: readonly Ips[],
  book: AddressBook,
  nowMs: number,
): Fit {
  const view = { get: (name: string) => pools.find(({ metadata }) => metadata.name === name), list: () => [...pools] };
  // A book that was told of no pods knows of none that want one address.
  const none = { get: () => undefined, list: () => [] };
  const views = { pools: view, namespaces: none, nodes: none };
  const world = { book, views, clock: { now: () => nowMs, monotonicMs: () => nowMs } };
  const from: Array<{ pool: string; pods: number }> = [];
  let missing = count;
  // Of pools that overlap an address is counted once.
  let offered = RangeSet.empty;
  let why: { reason: string; message: string } | undefined;
  for (const name of candidatePools(pod, namespace, undefined, world)) {
    const choice = choosePool([name], askerOf(pod, namespace, undefined), world);
    if ('refusal' in choice) {
      why ??= choice.refusal;
      continue;
    }
    const free = book.sets(name).free;
    const left = free.subtract(offered).size + book.counts(name).cooling;
    offered = offered.union(free);
    const pods = Math.min(missing, left);
    if (pods > 0) from.push({ pool: name, pods });
    missing -= pods;
    if (missing > 0) why ??= { reason: 'PoolExhausted', message: `pool ${name} has ${left} addresses left` };
  }
  if (missing === 0 || why === undefined) return { workload, pods: count, from, missing, because: '' };
  return { workload, pods: count, from, missing, reason: why.reason, because: why.message };
}

export function fitSentence({ workload, pods, from, missing, because }: Fit): string {
  const parts = from.map((each) => `${each.pods} from pool ${each.pool}`).join(', ');
  if (missing === 0) return `${workload}: ${pods} more pods fit: ${parts}`;
  const some = parts === '' ? '' : `${parts}; `;
  return `${workload}: ${pods} more pods do not fit: ${some}${missing} would wait, since ${because}`;
}
