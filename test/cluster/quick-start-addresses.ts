// SPDX-License-Identifier: Apache-2.0
// Which addresses and wires are the quick start's own, on a cluster where people have pods and pools of theirs beside it.
import type { IpAllocation, NodeEndpoint } from '../../src/api/generated/index.ts';

/** As their ReplicaSets name them. */
const ownPod = /^busybox1?-[a-z0-9]{6,10}-[a-z0-9]{5}$/;
const ownPools = ['sample-ips', 'default-ips'];

const isHeld = ({ spec }: IpAllocation): boolean =>
  spec.owner.kind === 'Pod' && ['Bound', 'Releasing'].includes(spec.state);
const isOwn = ({ spec: { owner } }: IpAllocation): boolean => owner.namespace === 'default' && ownPod.test(owner.name);

export interface Held {
  readonly addresses: readonly string[];
  /** Host ends of their wires, by node. */
  readonly wires: ReadonlyArray<{ readonly node: string; readonly name: string }>;
}

export function heldByQuickStart(records: readonly IpAllocation[]): Held {
  const own = records.filter((one) => isHeld(one) && isOwn(one));
  const wires = own.flatMap(({ spec, status }) =>
    status?.attached === undefined ? [] : [{ node: spec.nodeName, name: status.attached.interface }],
  );
  return { addresses: own.map(({ spec }) => spec.address).toSorted(), wires };
}

/** What keeps the pools from being deleted, and the cure; undefined where nothing does. */
export function keptByOthers(records: readonly IpAllocation[]): string | undefined {
  const others = records.filter((one) => isHeld(one) && !isOwn(one) && ownPools.includes(one.spec.ips));
  if (others.length === 0) return undefined;
  const names = others.map(
    ({ spec: { owner, address, ips } }) => `${owner.namespace}/${owner.name} (${address} of ${ips})`,
  );
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return (
    `the quick start makes its pools ${ownPools.join(' and ')} anew, and other pods have addresses of them: ` +
    `${names.slice(0, 5).join(', ')}${more}. Delete these pods with their owners, or begin with a new cluster: npm run cluster -- down`
  );
}

/** What is still there of records and of the nodes' views; undefined where nothing is. */
export function notReleased(
  records: readonly IpAllocation[],
  endpoints: readonly NodeEndpoint[],
  { addresses }: Pick<Held, 'addresses'>,
): string | undefined {
  const held = records.filter((one) => isHeld(one) && (isOwn(one) || addresses.includes(one.spec.address)));
  if (held.length > 0) {
    const names = held.map(
      ({ spec }) => `${spec.address} ${spec.state} for ${spec.owner.namespace}/${spec.owner.name}`,
    );
    return `records: ${names.join(', ')}`;
  }
  const shown = endpoints.filter(({ spec }) => (spec.podAddresses ?? []).some((one) => addresses.includes(one)));
  return shown.length === 0
    ? undefined
    : `NodeEndpoints with addresses: ${shown.map(({ metadata }) => metadata.name).join(', ')}`;
}
