// SPDX-License-Identifier: Apache-2.0
// Which pool serves a pod, and the words for why one does not. Pure: the facts come in, a verdict goes out.
import type { Ips } from '../api/generated/ips.ts';
import { defaultPool, poolAnnotation } from '../api/names.ts';
import type { Namespace, Node, Pod } from '../api/workloads.ts';
import type { AddressBook } from './address-book.ts';
import { identityOf } from './pod.ts';
import type { Pool } from './pool.ts';
import { parsePool } from './pool.ts';
import type { View } from './ports.ts';
import { matchesLabels } from './selector.ts';

/** Why somebody has no address yet, as NodeEndpoint spec.waiting and the pod's event show it. */
export type WaitReason =
  | 'PoolNotFound'
  | 'PoolInvalid'
  | 'PoolTerminating'
  | 'PoolStarting'
  | 'PoolUsage'
  | 'PoolGated'
  | 'PoolExhausted'
  | 'NodeNotFound'
  | 'NamespaceNotFound'
  | 'RecordRefused';

export interface Refusal {
  readonly reason: WaitReason;
  readonly message: string;
}

/** Who asks for an address, with what the gates look at. */
export interface Asker {
  readonly usage: 'Pod' | 'Node';
  /** The identity that its record's owner will have. */
  readonly uid: string;
  readonly podLabels?: Record<string, string> | undefined;
  readonly namespaceLabels?: Record<string, string> | undefined;
  readonly nodeLabels?: Record<string, string> | undefined;
}

export interface PoolWorld {
  readonly book: AddressBook;
  readonly pools: View<Ips>;
}

/** A list in an annotation longer than this is cut: it is a typing error, and each name costs a look. */
const MAX_NAMES = 16;

/**
 * The pools that may serve the pod, in order of preference: the pod's annotation, then its namespace's, then the pools
 * whose selectors name it, then the default pool.
 */
export function candidatePools(pod: Pod, namespace: Namespace, node: Node, world: PoolWorld): string[] {
  const named = namesIn(pod.metadata.annotations?.[poolAnnotation]);
  if (named.length > 0) return named;
  const inherited = namesIn(namespace.metadata.annotations?.[poolAnnotation]);
  if (inherited.length > 0) return inherited;
  const asker = askerOf(pod, namespace, node);
  const selecting = world.book
    .pools()
    .filter((pool) => pool.usage === 'Pod' && hasGate(pool) && gateOf(pool, asker) === undefined)
    .map((pool) => pool.name)
    .sort();
  return selecting.length > 0 ? selecting : [defaultPool];
}

function namesIn(annotation: string | undefined): string[] {
  const names = (annotation ?? '').split(',').map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ''))].slice(0, MAX_NAMES);
}

export function askerOf(pod: Pod, namespace: Namespace, node: Node): Asker {
  return {
    usage: 'Pod',
    uid: identityOf(pod),
    podLabels: pod.metadata.labels,
    namespaceLabels: namespace.metadata.labels,
    nodeLabels: node.metadata.labels,
  };
}

/** The first of the pools that can give an address now; or each one's refusal in one. */
export function choosePool(
  names: readonly string[],
  asker: Asker,
  world: PoolWorld,
): { pool: Pool } | { refusal: Refusal } {
  const refusals: Refusal[] = [];
  // A create without an answer may have made the record: asking elsewhere would give the owner a second one.
  const promised = world.book.promisedIn(asker.uid);
  const inOrder = names.toSorted((a, b) => Number(b === promised) - Number(a === promised));
  for (const name of inOrder) {
    const verdict = ask(name, asker, world);
    if ('pool' in verdict) return verdict;
    refusals.push(verdict.refusal);
  }
  const reason = refusals[0]?.reason ?? 'PoolNotFound';
  return {
    refusal: {
      reason,
      message: refusals
        .map((each) => each.message)
        .join('; ')
        .slice(0, 1_024),
    },
  };
}

function ask(name: string, asker: Asker, world: PoolWorld): { pool: Pool } | { refusal: Refusal } {
  const pool = world.book.pool(name);
  if (pool === undefined) return { refusal: absence(name, asker, world) };
  const shut = shutReason(pool, asker);
  if (shut !== undefined) return { refusal: shut };
  const room = world.book.room(name) ?? { free: 0, total: 0 };
  const isKept = world.book.promisedIn(asker.uid) === name || world.book.ownAddress(name, asker.uid) !== undefined;
  if (room.free > 0 || isKept) return { pool };
  const message =
    room.total === 0
      ? `pool ${name} has no address to give: its gateway, excludeIPs and the nodes' addresses leave none of spec.ips`
      : `pool ${name} is exhausted: ${room.total} of ${room.total} in use`;
  return { refusal: { reason: 'PoolExhausted', message } };
}

function absence(name: string, asker: Asker, world: PoolWorld): Refusal {
  const ips = world.pools.get(name);
  const parsed = ips === undefined ? undefined : parsePool(ips);
  if (parsed?.kind === 'problem') {
    return { reason: 'PoolInvalid', message: `pool ${name} is invalid: ${parsed.problem.message}` };
  }
  const cure =
    name === defaultPool && asker.usage === 'Pod'
      ? `create the Ips ${name}, or name another by the annotation ${poolAnnotation}`
      : `create the Ips ${name}${asker.usage === 'Pod' ? `, or correct the annotation ${poolAnnotation}` : ''}`;
  return { reason: 'PoolNotFound', message: `pool ${name} does not exist; ${cure}` };
}

function shutReason(pool: Pool, asker: Asker): Refusal | undefined {
  const { name } = pool;
  if (pool.usage !== asker.usage) {
    const whom = pool.usage === 'Node' ? 'nodes, not for pods' : 'pods, not for nodes';
    const message = `pool ${name} is for ${whom}; name a pool whose usage is ${asker.usage}`;
    return { reason: 'PoolUsage', message };
  }
  if (pool.terminating) {
    return { reason: 'PoolTerminating', message: `pool ${name} is being deleted; name another, or create it again` };
  }
  if (!pool.held) {
    return { reason: 'PoolStarting', message: `pool ${name} is new; the controller puts its finalizer on it first` };
  }
  const gate = gateOf(pool, asker);
  if (gate === undefined) return undefined;
  return { reason: 'PoolGated', message: `pool ${name} does not serve this pod: its ${gate} does not match` };
}

/** Whether the pool says itself whom it serves. */
export function hasGate(pool: Pool): boolean {
  return pool.podGate !== undefined || pool.namespaceGate !== undefined || pool.nodeGate !== undefined;
}

/** The field of the first gate that is shut for the asker. A node's own address passes no gate but the node's. */
function gateOf(pool: Pool, asker: Asker): string | undefined {
  if (pool.nodeGate !== undefined && !matchesLabels(pool.nodeGate, asker.nodeLabels)) return 'nodeSelector';
  if (asker.usage === 'Node') return undefined;
  if (pool.podGate !== undefined && !matchesLabels(pool.podGate, asker.podLabels)) return 'podSelector';
  if (pool.namespaceGate !== undefined && !matchesLabels(pool.namespaceGate, asker.namespaceLabels)) {
    return 'namespaceSelector';
  }
  return undefined;
}
