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

/** A map's fill is told anew when it moved by a tenth of what was told. */
function fillMoved(previous: NodeEndpointStatus, report: NodeReport): boolean {
  return report.maps.some((map) => {
    const before = previous.maps?.find((one) => one.name === map.name);
    if (before === undefined || before.maxEntries !== map.maxEntries) return true;
    return before.entries !== map.entries && Math.abs(before.entries - map.entries) * 10 >= before.entries;
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
  const isSame =
    previous.mtu === report.mtu &&
    !fillMoved(previous, report) &&
    JSON.stringify(previous.orphans ?? []) === JSON.stringify(orphans) &&
    sameConditions(previous.conditions ?? [], conditions);
  if (isSame) return undefined;
  return { mtu: report.mtu, maps: report.maps.map((map) => ({ ...map })), orphans, conditions };
}

function sameConditions(a: readonly StatusCondition[], b: readonly StatusCondition[]): boolean {
  const text = (list: readonly StatusCondition[]): string =>
    JSON.stringify(list.map(({ type, status, reason, message }) => [type, status, reason, message]));
  return text(a) === text(b);
}
