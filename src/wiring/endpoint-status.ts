// SPDX-License-Identifier: Apache-2.0
// What the agent says of its node in NodeEndpoint.status. Every agent watches every NodeEndpoint, so a status is only
// written for a change that somebody acts upon.
import type { NodeEndpointStatus } from '../api/generated/node-endpoint.ts';
import type { Wire } from './wire.ts';

export interface ConditionFact {
  readonly isTrue: boolean;
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

export interface NodeReport {
  /** Bytes. */
  readonly mtu: number;
  readonly maps: ReadonlyArray<{ readonly name: string; readonly entries: number; readonly maxEntries: number }>;
  readonly orphans: readonly Wire[];
  /** By the condition's type, in the order to show. */
  readonly conditions: Readonly<Record<string, ConditionFact>>;
}

type StatusCondition = NonNullable<NodeEndpointStatus['conditions']>[number];

function conditionsOf(previous: NodeEndpointStatus, report: NodeReport, now: string): StatusCondition[] {
  return Object.entries(report.conditions).map(([type, { isTrue, reason, message }]) => {
    const status = isTrue ? 'True' : 'False';
    const before = previous.conditions?.find((one) => one.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now;
    return { type, status, lastTransitionTime, reason, message };
  });
}

/** The share of a map's room by which its fill moves before it is told anew: 1 in 20. */
const fillSteps = 20;

/**
 * A map's fill is told anew when it doubled, halved, or moved by a twentieth of the map's room. Closer steps would make
 * each third pod of a small node an event for every agent of the cluster.
 */
function fillMoved(previous: NodeEndpointStatus, fills: NodeReport['maps']): boolean {
  return fills.some(({ name, entries, maxEntries }) => {
    const before = previous.maps?.find((one) => one.name === name);
    if (before === undefined || before.maxEntries !== maxEntries) return true;
    if (before.entries === entries) return false;
    const isOtherSize = entries >= 2 * before.entries || 2 * entries <= before.entries;
    return isOtherSize || Math.abs(before.entries - entries) * fillSteps >= maxEntries;
  });
}

/** The status to write, or undefined while the previous one is good enough. `now` is RFC 3339. */
export function endpointStatus(
  previous: NodeEndpointStatus,
  report: NodeReport,
  now: string,
): NodeEndpointStatus | undefined {
  const orphans = report.orphans
    .map((wire) => ({ address: wire.address, ownerUID: wire.identity, interface: wire.interface }))
    .sort((a, b) => a.interface.localeCompare(b.interface));
  const conditions = conditionsOf(previous, report, now);
  if (!fillMoved(previous, report.maps) && isSameBesides(previous, { mtu: report.mtu, orphans, conditions }))
    return undefined;
  return { mtu: report.mtu, maps: report.maps.map((map) => ({ ...map })), orphans, conditions };
}

/** Whether a status to be written tells of nothing new but how full the maps are. */
export function isFillAlone(previous: NodeEndpointStatus, status: NodeEndpointStatus): boolean {
  return fillMoved(previous, status.maps ?? []) && isSameBesides(previous, status);
}

function isSameBesides(previous: NodeEndpointStatus, { mtu, orphans, conditions }: NodeEndpointStatus): boolean {
  return (
    previous.mtu === mtu &&
    sameOrphans(previous.orphans ?? [], orphans ?? []) &&
    sameConditions(previous.conditions ?? [], conditions ?? [])
  );
}

type StatusOrphan = NonNullable<NodeEndpointStatus['orphans']>[number];

/** As lists of values: the API server gives an object's fields back in another order. */
function sameOrphans(a: readonly StatusOrphan[], b: readonly StatusOrphan[]): boolean {
  const text = (list: readonly StatusOrphan[]): string =>
    JSON.stringify(list.map(({ address, ownerUID, interface: name }) => [address, ownerUID, name]));
  return text(a) === text(b);
}

function sameConditions(a: readonly StatusCondition[], b: readonly StatusCondition[]): boolean {
  const text = (list: readonly StatusCondition[]): string =>
    JSON.stringify(list.map(({ type, status, reason, message }) => [type, status, reason, message]));
  return text(a) === text(b);
}
