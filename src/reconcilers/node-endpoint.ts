// SPDX-License-Identifier: Apache-2.0
// A node as the others see it, made from the Node object and the records: a view that can always be made again, so it
// is compared whole and written only when it differs.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { NodeEndpoint, NodeEndpointSpec } from '../api/generated/node-endpoint.ts';
import { apiVersion } from '../api/names.ts';
import type { Node } from '../api/workloads.ts';
import { parseAddress } from '../ip/address.ts';
import { tunnelAddressOf } from './pod.ts';
import { isReleased } from './release.ts';
import type { Waiter } from './waiting-room.ts';

export interface EndpointFacts {
  readonly name: string;
  readonly node: Node | undefined;
  readonly existing: NodeEndpoint | undefined;
  /** All records whose spec.nodeName is this node, the node's own overlay address included. */
  readonly records: readonly IpAllocation[];
  readonly waiting: readonly Waiter[];
}

export type EndpointAction =
  | { action: 'none' }
  | { action: 'create'; endpoint: NodeEndpoint }
  | { action: 'replace'; endpoint: NodeEndpoint }
  | { action: 'delete'; endpoint: NodeEndpoint }
  | { action: 'blocked'; because: string };

/** The limits of the CRD's schema, in items and in characters. */
const MAX_WAITING = 64;
const MAX_POD_ADDRESSES = 4_096;
const MAX_CHARS = { uid: 64, namespace: 63, name: 253, reason: 128, message: 1_024 } as const;

export function decideEndpoint(facts: EndpointFacts): EndpointAction {
  const { node, existing, name } = facts;
  if (node === undefined) return decideWithoutNode(facts);
  const because = `node ${name} has no InternalIP of family IPv4 in status.addresses; set the kubelet's --node-ip`;
  const blocked: EndpointAction = { action: 'blocked', because };
  const own = tunnelAddressOf(node);
  // A node that lost its address keeps its former end: what it lists must still become less.
  const tunnelAddress = own ?? existing?.spec.tunnelAddress;
  if (tunnelAddress === undefined) return blocked;
  const nodeUID = node.metadata.uid ?? '';
  const overlay = overlayOf(facts, nodeUID);
  const spec: NodeEndpointSpec = {
    nodeUID,
    tunnelAddress,
    ...(overlay === undefined ? {} : { overlayAddress: overlay }),
    podAddresses: podAddresses(facts.records),
    waiting: waitingList(facts.waiting),
  };
  if (existing === undefined) {
    return { action: 'create', endpoint: { apiVersion, kind: 'NodeEndpoint', metadata: { name }, spec } };
  }
  if (!sameSpec(existing.spec, spec)) return { action: 'replace', endpoint: { ...existing, spec } };
  return own === undefined ? blocked : { action: 'none' };
}

/** The endpoint of a node that is gone stays until its addresses are released: others may still have packets for them. */
function decideWithoutNode({ existing, records }: EndpointFacts): EndpointAction {
  if (existing === undefined) return { action: 'none' };
  const held = records.filter(isHeld);
  if (held.length === 0) return { action: 'delete', endpoint: existing };
  const { overlayAddress, ...rest } = existing.spec;
  // Once its record is released another node may get it.
  const keepsOverlay = overlayAddress !== undefined && held.some(({ spec }) => spec.address === overlayAddress);
  const overlay = keepsOverlay ? { overlayAddress } : {};
  const spec = { ...rest, ...overlay, podAddresses: podAddresses(held), waiting: [] };
  return sameSpec(existing.spec, spec) ? { action: 'none' } : { action: 'replace', endpoint: { ...existing, spec } };
}

/** Whether the node has not let go of the address yet. */
function isHeld(record: IpAllocation): boolean {
  return (record.spec.state === 'Bound' || record.spec.state === 'Releasing') && !isReleased(record);
}

/** The node's own address. Of two leaders' two it is the one that the endpoint shows already. */
function overlayOf({ records, existing }: EndpointFacts, nodeUID: string): string | undefined {
  const own = records
    .filter(({ spec }) => spec.owner.kind === 'Node' && spec.owner.uid === nodeUID && spec.state === 'Bound')
    .map(({ spec }) => spec.address)
    .sort((a, b) => parseAddress(a) - parseAddress(b));
  const shown = existing?.spec.overlayAddress;
  return own.find((address) => address === shown) ?? own[0];
}

/** Held by pods and not yet let go of by the node, ascending. */
function podAddresses(records: readonly IpAllocation[]): string[] {
  return records
    .filter((record) => record.spec.owner.kind === 'Pod' && isHeld(record))
    .map((record) => record.spec.address)
    .sort((a, b) => parseAddress(a) - parseAddress(b))
    .slice(0, MAX_POD_ADDRESSES);
}

function waitingList(waiting: readonly Waiter[]): NonNullable<NodeEndpointSpec['waiting']> {
  return waiting.slice(0, MAX_WAITING).map((waiter) => ({
    uid: cut(waiter.uid, MAX_CHARS.uid),
    namespace: cut(waiter.namespace, MAX_CHARS.namespace),
    name: cut(waiter.name, MAX_CHARS.name),
    reason: cut(waiter.reason, MAX_CHARS.reason),
    message: cut(waiter.message, MAX_CHARS.message),
  }));
}

/**
 * Annotations and webhooks are of any length, and one text that is too long keeps the whole endpoint from being written. The
 * schema counts code points, of which there are never more than UTF-16 units; half of one would come back as another.
 */
function cut(text: string, maxChars: number): string {
  return text.slice(0, maxChars).toWellFormed();
}

function sameSpec(a: NodeEndpointSpec, b: NodeEndpointSpec): boolean {
  return canonical(a) === canonical(b);
}

/** The fields in one order, since the API server keeps none, and absent lists as empty ones. */
function canonical(spec: NodeEndpointSpec): string {
  const waiting = (spec.waiting ?? []).map((each) => [each.uid, each.namespace, each.name, each.reason, each.message]);
  return JSON.stringify([
    spec.nodeUID,
    spec.tunnelAddress,
    spec.overlayAddress ?? '',
    spec.podAddresses ?? [],
    waiting,
  ]);
}
