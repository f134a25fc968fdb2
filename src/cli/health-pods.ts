// SPDX-License-Identifier: Apache-2.0
// Who waits for an address: pods that a node has, by their NodeEndpoint, and pods that our scheduling gate holds back,
// judged by the code that lifts it.
import type { Pod } from '../api/workloads.ts';
import { identityOf, isGated, needOf, podKey } from '../reconcilers/pod.ts';
import { decideGate } from '../reconcilers/scheduling-gate.ts';
import { unknownServices } from '../reconcilers/services.ts';
import { strangeOfNamespace } from '../reconcilers/strange-annotations.ts';
import { askAnother, type Check, type ClusterView, type Finding, isUnled } from './health-check.ts';
import { outlived } from './health-wires.ts';
import { bookOf } from './ipam-world.ts';

/** As many as a NodeEndpoint has room for. */
const listedAtMost = 64;
/** A controller that leads lifts a gate within a second. */
const liftPatienceMs = 30_000;

interface Named {
  readonly namespace?: string;
  readonly name: string;
}

function finding(pod: Named, says: string): Finding {
  return { name: podKey(pod), says, cure: `kubectl describe pod -n ${pod.namespace ?? ''} ${pod.name}` };
}

/** But for those that run without a network, which is told of wires. */
function waitingOnNodes(view: ClusterView): Finding[] {
  const running = outlived(view);
  const all = view.endpoints.flatMap(({ spec }) => spec.waiting ?? []);
  return all.filter(({ uid }) => !running.has(uid)).map((one) => finding(one, one.message));
}

function gated(unscheduled: readonly Pod[], view: ClusterView): Finding[] {
  const { nodes, endpoints, pools, records, namespaces, services = unknownServices, nowMs } = view;
  const held = unscheduled.filter((pod) => needOf(pod) === 'gated');
  if (held.length === 0) return [];
  const ofNodes =
    nodes === 'hidden'
      ? []
      : nodes.map(({ metadata: { name = '' }, status }) => {
          return { metadata: { name }, status: { addresses: status?.addresses ?? [] } };
        });
  const book = bookOf({ pools, records, endpoints, nodes: ofNodes, namespaces: [], pods: unscheduled, services });
  for (const pod of unscheduled) book.expected.show(pod, book);
  const get = (name: string) => pools.find(({ metadata }) => metadata.name === name);
  // Who has no node is no rival for an address that another asks for by name: neither of the others is looked at.
  const none = { get: () => undefined, list: () => [] };
  const views = { pools: { get, list: () => [...pools] }, namespaces: none, nodes: none };
  const world = { book, views, clock: { now: () => nowMs, monotonicMs: () => nowMs } };
  return held.flatMap((pod): Finding[] => {
    const { namespace = '' } = pod.metadata;
    const home =
      namespaces === 'hidden'
        ? { metadata: { name: namespace } }
        : namespaces.find(({ metadata }) => metadata.name === namespace);
    const action = decideGate(pod, home, world);
    if (action.gate === 'keep') return [finding(pod.metadata, action.refusal.message)];
    const heldMs = nowMs - Date.parse(pod.metadata.creationTimestamp ?? '');
    if (heldMs <= liftPatienceMs) return [];
    return [finding(pod.metadata, 'there is an address for it, and no controller lifts its gate')];
  });
}

/** Their pods get addresses of another pool than was meant, and nothing is wrong with any of them. */
function misspelt({ namespaces }: ClusterView): Finding[] {
  const all = namespaces === 'hidden' ? [] : namespaces;
  return all.flatMap((namespace): Finding[] => {
    const { name } = namespace.metadata;
    const says = strangeOfNamespace(namespace);
    return says === undefined ? [] : [{ name, says, cure: `kubectl edit namespace ${name}` }];
  });
}

/** Whether our gate holds any of them back. */
export function areGated(unscheduled: readonly Pod[] | 'hidden'): boolean {
  return unscheduled !== 'hidden' && unscheduled.some(isGated);
}

function sayHeld(held: number, all: number): string {
  if (held === 0) return '';
  return held === all ? 'held by the scheduling gate' : `${held} of them held by the scheduling gate`;
}

/** Nobody writes down of these that they wait. */
function undecided(view: ClusterView): Finding[] {
  const { pending, records, endpoints } = view;
  if (pending === 'hidden' || !isUnled(view)) return [];
  const known = new Set([
    ...records.map(({ spec }) => spec.owner.uid),
    ...endpoints.flatMap(({ spec }) => (spec.waiting ?? []).map(({ uid }) => uid)),
  ]);
  return pending
    .filter((pod) => needOf(pod) === 'address' && !known.has(identityOf(pod)))
    .map(({ metadata }) => ({ name: podKey(metadata), says: 'no controller leads that could give it an address' }));
}

export function waiting(view: ClusterView): Check {
  const said = waitingByWord(view);
  const more = undecided(view);
  const unseen = view.pending === 'hidden' && isUnled(view) ? 'this account may not see who else waits' : '';
  const text = [
    said.state === 'good' && more.length > 0 ? '' : said.text,
    more.length === 0 ? '' : `nobody decides: ${more.length} ${more.length === 1 ? 'pod' : 'pods'} without an address`,
    unseen,
  ];
  const counts = { ...said.counts, ...(view.pending === 'hidden' ? {} : { undecided: more.length }) };
  if (more.length === 0 && unseen === '') return { ...said, counts };
  return {
    ...said,
    state: said.state === 'bad' ? 'bad' : 'doubtful',
    text: text.filter((part) => part !== '').join('; '),
    counts,
    findings: [...(said.findings ?? []), ...more],
  };
}

/** By the word of the controller that led last, and by what the gate says. */
function waitingByWord(view: ClusterView): Check {
  const what = 'pods';
  const { endpoints, unscheduled } = view;
  const onNodes = waitingOnNodes(view);
  const atGate = unscheduled === 'hidden' ? [] : gated(unscheduled, view);
  const waiters = [...onNodes, ...atGate];
  const odd = misspelt(view);
  const findings = [...waiters, ...odd];
  const unseen = unscheduled === 'hidden' ? 'this account may not see those that a scheduling gate holds' : '';
  const counts = {
    waiting: waiters.length,
    ...(unscheduled === 'hidden' ? {} : { gated: atGate.length }),
    ...(view.namespaces === 'hidden' ? {} : { misspelt: odd.length }),
  };
  const oddly =
    odd.length === 0
      ? ''
      : `${odd.length} ${odd.length === 1 ? 'namespace' : 'namespaces'} with an annotation that is not read`;
  if (waiters.length === 0 && odd.length > 0) {
    const none = unseen === '' ? 'none waits for an address' : `none on a node waits for an address; ${unseen}`;
    return { what, state: 'doubtful', text: `${none}; ${oddly}`, counts, findings };
  }
  if (findings.length === 0) {
    return unseen === ''
      ? { what, state: 'good', text: 'none waits for an address', counts }
      : { what, state: 'doubtful', text: `none on a node waits for an address; ${unseen}`, counts, cure: askAnother };
  }
  const isCut = endpoints.some(({ spec }) => (spec.waiting ?? []).length >= listedAtMost);
  const parts = [
    `${isCut ? 'at least ' : ''}${waiters.length} ${waiters.length === 1 ? 'waits' : 'wait'} for an address`,
    sayHeld(atGate.length, waiters.length),
    unseen,
    oddly,
  ];
  return { what, state: 'bad', text: parts.filter((part) => part !== '').join(', '), counts, findings };
}
