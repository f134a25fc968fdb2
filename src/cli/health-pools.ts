// SPDX-License-Identifier: Apache-2.0
// Whether the pools have something to give: each that is in trouble by its name, and the nodes' own where it is missing.
import type { Ips } from '../api/generated/ips.ts';
import { nodePoolSpecOf } from '../api/knobs.ts';
import { configMapName, defaultPool, installNamespace, nodePool } from '../api/names.ts';
import { nodesCondition, servicesCondition } from '../reconcilers/pool-status.ts';
import {
  applyCure,
  askController,
  type Check,
  type ClusterView,
  conditionOf,
  describe,
  type Finding,
  type State,
} from './health-check.ts';

/** Fuller than this is worth a look. */
const nearlyFull = 0.9;

type Trouble = 'missing' | 'not ready' | 'exhausted' | 'nearly full' | 'overlapping';

/** The gravest first. */
const gravity: Readonly<Record<Trouble, State>> = {
  missing: 'bad',
  'not ready': 'bad',
  exhausted: 'bad',
  'nearly full': 'doubtful',
  overlapping: 'doubtful',
};
const troubles = Object.keys(gravity) as Trouble[];

function fillOf({ status }: Ips): number {
  const total = status?.total ?? 0;
  return total === 0 ? 0 : 1 - (status?.free ?? 0) / total;
}

function countsOf({ status }: Ips): string {
  const { free = 0, cooling = 0, total = 0 } = status ?? {};
  if (status !== undefined && total === 0) return 'none of its addresses can be given out';
  return `${free} of ${total} free${cooling > 0 ? `, ${cooling} cooling` : ''}`;
}

/** What cools down is given out in need, as the pool's condition Exhausted has it too. */
function isExhausted({ status }: Ips): boolean {
  return status?.total !== undefined && (status.free ?? 0) + (status.cooling ?? 0) === 0;
}

interface PoolInTrouble {
  readonly name: string;
  readonly says: ReadonlyMap<Trouble, string>;
  readonly cure: string;
}

function troubleOf(pool: Ips): PoolInTrouble {
  const says = new Map<Trouble, string>();
  const unready = conditionOf(pool, 'Ready', 'False');
  const overlaps = ['Overlapping', servicesCondition, nodesCondition].flatMap(
    (type) => conditionOf(pool, type, 'True') ?? [],
  );
  if (unready !== undefined) says.set('not ready', `not ready: ${unready.message ?? ''}`);
  else if (isExhausted(pool)) says.set('exhausted', `exhausted: ${countsOf(pool)}`);
  else if (fillOf(pool) > nearlyFull) says.set('nearly full', countsOf(pool));
  const shared = overlaps.map(({ message = 'shares addresses with another pool' }) => message);
  if (shared.length > 0) says.set('overlapping', shared.join('; '));
  const { name } = pool.metadata;
  return { name, says, cure: says.has('not ready') ? describe('ips', name) : `kubectl edit ips ${name}` };
}

/** The controller makes it by the ConfigMap of knobs wherever it is not there. */
function missingOf(view: ClusterView): PoolInTrouble[] {
  if (view.pools.some(({ metadata }) => metadata.name === nodePool)) return [];
  const says = 'missing: new nodes get no address of their own, and take no pods';
  return [{ name: nodePool, says: new Map([['missing', says]]), cure: cureOfMissing(view) }];
}

function cureOfMissing(view: ClusterView): string {
  const { knobs } = view;
  if (knobs === 'hidden') return askController(view);
  const text = knobs?.data?.[nodePool];
  if (text === undefined) return applyCure(view);
  const isRefused = 'says' in nodePoolSpecOf(text);
  return isRefused ? `kubectl edit configmap -n ${installNamespace} ${configMapName}` : askController(view);
}

/** No trouble of an install that is not in use yet, so that it stands behind what is. */
const noneForPods: Finding = {
  name: defaultPool,
  says: 'not made yet: pods get no address',
  cure: 'kubectl apply -f config/samples/ips.yaml',
};

const rankOf = ({ says }: PoolInTrouble): number => troubles.findIndex((trouble) => says.has(trouble));

/** Of those for pods; the nodes' own is named beside it only where it is fuller than all of them. */
function fullestOf(forPods: readonly Ips[], all: readonly Ips[]): string {
  const coolingOf = ({ status }: Ips): number => status?.cooling ?? 0;
  const byFill = (a: Ips, b: Ips): number => fillOf(b) - fillOf(a) || coolingOf(a) - coolingOf(b);
  const [fullest] = forPods.toSorted(byFill);
  const [ofNodes] = all.filter((pool) => !forPods.includes(pool)).toSorted(byFill);
  if (fullest === undefined) return '';
  const more =
    ofNodes !== undefined && fillOf(ofNodes) > fillOf(fullest)
      ? `; for nodes ${ofNodes.metadata.name}: ${countsOf(ofNodes)}`
      : '';
  return `fullest ${fullest.metadata.name}: ${countsOf(fullest)}${more}`;
}

const addressCounts = ['total', 'bound', 'cooling', 'reserved', 'free'] as const;

/** Of the pools for pods what their status counts, summed up; and how many pools of any use are in which trouble. */
function countsFor(forPods: readonly Ips[], inTrouble: readonly PoolInTrouble[]): Record<string, number> {
  const sum = (field: (typeof addressCounts)[number]): number =>
    forPods.reduce((so, { status }) => so + (status?.[field] ?? 0), 0);
  const nameOf = (trouble: string): string =>
    trouble.replaceAll(/ (.)/g, (_all, letter: string) => letter.toUpperCase());
  return {
    forPods: forPods.length,
    ...Object.fromEntries(addressCounts.map((field) => [field, sum(field)])),
    ...Object.fromEntries(
      troubles.map((trouble) => [nameOf(trouble), inTrouble.filter(({ says }) => says.has(trouble)).length]),
    ),
  };
}

export function pools(view: ClusterView): Check {
  const what = 'pools';
  const { pools: all } = view;
  const forPods = all.filter(({ spec }) => spec.usage !== 'Node');
  const inTrouble = [...missingOf(view), ...all.map(troubleOf)]
    .filter(({ says }) => says.size > 0)
    .toSorted((a, b) => rankOf(a) - rankOf(b));
  const findings = inTrouble.map(({ name, says, cure }): Finding => {
    return { name, says: [...says.values()].join('; '), cure };
  });
  const counted = troubles.flatMap((trouble) => {
    const count = inTrouble.filter(({ says }) => says.has(trouble)).length;
    return count === 0 ? [] : [{ trouble, count }];
  });
  const counts = countsFor(forPods, inTrouble);
  const said = counted.map(({ trouble, count }) => `${count} ${trouble}`).join(', ');
  if (forPods.length === 0) {
    const text = said === '' ? 'none for pods' : `none for pods; ${said}`;
    const state = counted.some(({ trouble }) => gravity[trouble] === 'bad') ? 'bad' : 'doubtful';
    return { what, state, text, counts, findings: [...findings, noneForPods] };
  }
  const text = `${forPods.length} for pods; ${said === '' ? fullestOf(forPods, all) : said}`;
  const [first] = counted;
  return first === undefined
    ? { what, state: 'good', text, counts }
    : { what, state: gravity[first.trouble], text, counts, findings };
}
