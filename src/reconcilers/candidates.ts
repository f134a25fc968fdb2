// SPDX-License-Identifier: Apache-2.0
// Which pools are meant for a pod, before anybody asks whether they have an address: named by annotations, by selectors
// or by default, and with the gates that no annotation passes.
import { defaultPool, poolAnnotation } from '../api/names.ts';
import type { Namespace, Node, Pod } from '../api/workloads.ts';
import type { AddressBook } from './address-book.ts';
import { fixedAddressOf, shorten } from './fixed-address.ts';
import { ownerOf } from './pod.ts';
import type { Refusal } from './pool-choice.ts';
import type { Pool } from './pool.ts';
import type { Clock, Views } from './ports.ts';
import type { Wish } from './promises.ts';
import { type LabelSelector, matchesLabels, selectorText } from './selector.ts';
import { reservedForOf } from './stateful-set.ts';
import { strangeOf, strangeOfNamespace } from './strange-annotations.ts';

/** Who asks for an address, with what the gates look at. */
export interface Asker {
  readonly usage: 'Pod' | 'Node';
  readonly wish: Wish;
  readonly podLabels?: Record<string, string> | undefined;
  readonly namespaceLabels?: Record<string, string> | undefined;
  readonly nodeLabels?: Record<string, string> | undefined;
  /** No node is chosen yet: no gate on nodes is shut, and those that were let through before come first. */
  readonly isUnscheduled?: boolean | undefined;
  /** What it may have meant to ask for, in words. */
  readonly strange?: string | undefined;
}

export interface PoolWorld {
  readonly book: AddressBook;
  readonly views: Pick<Views, 'pools' | 'namespaces' | 'nodes'>;
  readonly clock: Clock;
}

/** A list in an annotation longer than this is cut: it is a typing error, and each name costs a look. */
const MAX_NAMES = 16;

/**
 * The pools that may serve the pod, in order of preference: the pod's annotation, then its namespace's, then the pools
 * whose selectors name it, then the default pool.
 */
export function candidatePools(pod: Pod, namespace: Namespace, node: Node | undefined, world: PoolWorld): string[] {
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

/** Whose annotation the list of pools is: the namespace's counts where the pod's names none. */
export function annotatedOf({ metadata }: Pod): string {
  const isPods = namesIn(metadata.annotations?.[poolAnnotation]).length > 0;
  return isPods
    ? `annotation ${poolAnnotation}`
    : `annotation ${poolAnnotation} of namespace ${metadata.namespace ?? ''}`;
}

function namesIn(annotation: string | undefined): string[] {
  const names = (annotation ?? '').split(',').map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ''))].slice(0, MAX_NAMES);
}

/** `node` is undefined while none is chosen. */
export function askerOf(pod: Pod, namespace: Namespace, node: Node | undefined): Asker {
  const asked = fixedAddressOf(pod);
  const fixed = asked.fixed === 'address' ? asked.address : undefined;
  return {
    usage: 'Pod',
    wish: { owner: ownerOf(pod), fixed, reservedFor: reservedForOf(pod) },
    podLabels: pod.metadata.labels,
    namespaceLabels: namespace.metadata.labels,
    nodeLabels: node?.metadata.labels,
    isUnscheduled: node === undefined,
    strange: strangeOf(pod) ?? strangeOfNamespace(namespace),
  };
}

/** Why the pool is not for the asker, however many addresses it has. */
export function shutReason(pool: Pool, asker: Asker): Refusal | undefined {
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
  return { reason: 'PoolGated', message: `pool ${name} does not serve this ${gateText(gate, asker)}` };
}

function gateText({ field, selector, whose }: ShutGate, { usage }: Asker): string {
  const asked = `its ${field} "${shorten(selectorText(selector))}" does not match the ${whose}'s labels`;
  const other = usage === 'Pod' ? `, or name another pool by ${poolAnnotation}` : '';
  return `${usage.toLowerCase()}: ${asked}; change either${other}`;
}

/** Whether the pool says itself whom it serves. */
export function hasGate(pool: Pool): boolean {
  return pool.podGate !== undefined || pool.namespaceGate !== undefined || pool.nodeGate !== undefined;
}

interface ShutGate {
  readonly field: 'nodeSelector' | 'podSelector' | 'namespaceSelector';
  readonly selector: LabelSelector;
  /** Of whom it asks for labels. */
  readonly whose: 'node' | 'pod' | 'namespace';
}

/** The first gate that is shut for the asker. A node's own address passes no gate but the node's. */
function gateOf({ podGate, namespaceGate, nodeGate }: Pool, asker: Asker): ShutGate | undefined {
  if (nodeGate !== undefined && asker.isUnscheduled !== true && !matchesLabels(nodeGate, asker.nodeLabels)) {
    return { field: 'nodeSelector', selector: nodeGate, whose: 'node' };
  }
  if (asker.usage === 'Node') return undefined;
  if (podGate !== undefined && !matchesLabels(podGate, asker.podLabels)) {
    return { field: 'podSelector', selector: podGate, whose: 'pod' };
  }
  if (namespaceGate !== undefined && !matchesLabels(namespaceGate, asker.namespaceLabels)) {
    return { field: 'namespaceSelector', selector: namespaceGate, whose: 'namespace' };
  }
  return undefined;
}
