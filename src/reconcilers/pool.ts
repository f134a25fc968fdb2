// SPDX-License-Identifier: Apache-2.0
// An Ips as a value: its texts parsed once, its gates ready to ask. The CRD's rules refuse most mistakes; what passes
// them all the same (an object written before a rule was) is named here by field, value and cure.
import type { Ips } from '../api/generated/ips.ts';
import { poolFinalizer } from '../api/names.ts';
import { InvalidAddress } from '../ip/address.ts';
import { type Gateway, parseGateway, parseRange, type Range } from '../ip/range.ts';
import { RangeSet } from '../ip/range-set.ts';
import type { LabelSelector } from './selector.ts';

export interface Pool {
  readonly name: string;
  readonly usage: 'Pod' | 'Node';
  readonly gateway: Gateway;
  /** What spec.ips and spec.excludeIPs say, without the network's and broadcast's address of a subnet. */
  readonly declared: RangeSet;
  readonly podGate?: LabelSelector;
  readonly namespaceGate?: LabelSelector;
  readonly nodeGate?: LabelSelector;
  /** How long an address rests after use, in milliseconds. */
  readonly coolDownMs: number;
  /** How long an address is kept for a StatefulSet's ordinal whose pod is gone, in milliseconds; 0 if it is not. */
  readonly reservedMs: number;
  /** Being deleted: what it gave out stays, but it gives out nothing more. */
  readonly terminating: boolean;
  /** Whether the finalizer is on. Nothing is given out before, or a deletion could overtake the first address. */
  readonly held: boolean;
}

/** Why an Ips cannot be used: the field, and the sentence with its value and the cure. */
export interface PoolProblem {
  readonly field: string;
  readonly message: string;
}

export type ParsedPool = { kind: 'pool'; pool: Pool } | { kind: 'problem'; problem: PoolProblem };

/** The schema's default, for what was stored before it had one. */
export const DEFAULT_COOL_DOWN_SECONDS = 30;

class FieldProblem extends Error {
  readonly field: string;

  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** The pool that an Ips describes, or what is wrong with it. Never throws. */
export function parsePool(ips: Ips): ParsedPool {
  try {
    return { kind: 'pool', pool: poolOf(ips) };
  } catch (error) {
    if (error instanceof FieldProblem) {
      return { kind: 'problem', problem: { field: error.field, message: `${error.field}: ${error.message}` } };
    }
    throw error;
  }
}

function poolOf(ips: Ips): Pool {
  const { spec, metadata } = ips;
  if (spec.ips.length === 0) throw new FieldProblem('spec.ips', 'is empty; write at least one range');
  checkCount(spec.ips, 'spec.ips');
  checkCount(spec.excludeIPs ?? [], 'spec.excludeIPs');
  const gateway = inField('spec.subnet', () => parseGateway(spec.subnet));
  if (isUnusable({ first: gateway.address, last: gateway.address })) {
    const message = `"${spec.subnet}" has a gateway that no pod can reach: none below 1.0.0.0, in 127.0.0.0/8 or above 223.255.255.255`;
    throw new FieldProblem('spec.subnet', message);
  }
  const ranges = spec.ips.map((text, index) => inField(`spec.ips[${index}]`, () => parseRange(text)));
  const excluded = (spec.excludeIPs ?? []).map((text, index) =>
    inField(`spec.excludeIPs[${index}]`, () => parseRange(text)),
  );
  for (const [index, text] of spec.ips.entries()) checkUsable(text, ranges[index], `spec.ips[${index}]`);
  for (const [index, text] of (spec.excludeIPs ?? []).entries()) {
    checkUsable(text, excluded[index], `spec.excludeIPs[${index}]`);
  }
  checkInside(spec.ips, ranges, gateway, spec.subnet);
  return {
    name: metadata.name,
    usage: spec.usage ?? 'Pod',
    gateway,
    declared: RangeSet.of(ranges).subtract(RangeSet.of([...excluded, ...endsOf(gateway)])),
    ...gate('podGate', spec.podSelector),
    ...gate('namespaceGate', spec.namespaceSelector),
    ...gate('nodeGate', spec.nodeSelector),
    coolDownMs: (spec.coolDownSeconds ?? DEFAULT_COOL_DOWN_SECONDS) * 1_000,
    reservedMs: (spec.reservedSeconds ?? 0) * 1_000,
    terminating: metadata.deletionTimestamp !== undefined,
    held: metadata.finalizers?.includes(poolFinalizer) ?? false,
  };
}

/** The schema's limit, which keeps its rules affordable. */
const MAX_ENTRIES = 256;

function checkCount(entries: readonly string[], field: string): void {
  if (entries.length <= MAX_ENTRIES) return;
  const message = `has ${entries.length} entries; at most ${MAX_ENTRIES} are allowed, and a CIDR may take the place of many`;
  throw new FieldProblem(field, message);
}

function inField<T>(field: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof InvalidAddress) throw new FieldProblem(field, error.message);
    throw error;
  }
}

/** "This network", loopback, and all from multicast on (RFC 6890): a route for them would cut the node off. */
const unusable = RangeSet.of(['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3'].map(parseRange));

function isUnusable(range: Range): boolean {
  return unusable.intersect(RangeSet.of([range])).size > 0;
}

function checkUsable(text: string, range: Range | undefined, field: string): void {
  if (range === undefined || !isUnusable(range)) return;
  const message = `"${text}" holds addresses that no pod can have: none below 1.0.0.0, in 127.0.0.0/8 or above 223.255.255.255, and no CIDR shorter than /8`;
  throw new FieldProblem(field, message);
}

/** With a /32 the gateway is on the pod's link whatever the pod's address is; with a shorter prefix it must be near. */
function checkInside(texts: string[], ranges: Range[], gateway: Gateway, subnet: string): void {
  if (gateway.prefixLength === 32) return;
  for (const [index, range] of ranges.entries()) {
    if (range.first < gateway.subnet.first || range.last > gateway.subnet.last) {
      const message = `"${texts[index]}" is not inside the subnet ${subnet}; list addresses inside it, or use a /32 subnet, whose pool may hold any`;
      throw new FieldProblem(`spec.ips[${index}]`, message);
    }
  }
}

/** The network's and the broadcast's address, which a /31 (RFC 3021) and a /32 do not have. */
function endsOf({ prefixLength, subnet }: Gateway): Range[] {
  if (prefixLength >= 31) return [];
  return [subnet.first, subnet.last].map((address) => ({ first: address, last: address }));
}

function gate<K extends string>(name: K, selector: unknown): { [key in K]?: LabelSelector } {
  // The CRD's schema gives all three selectors one shape; the generated types show it for the first only.
  return selector === undefined ? {} : ({ [name]: selector as LabelSelector } as { [key in K]: LabelSelector });
}
