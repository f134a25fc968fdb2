// SPDX-License-Identifier: Apache-2.0
// The addresses of Services. The API server gives them out by a book of its own, and kube-proxy rewrites what is sent
// there: a pod with one would be reached by nobody from the moment that a Service gets it.
import { InvalidAddress, isAddress } from '../ip/address.ts';
import { parseRange, type Range } from '../ip/range.ts';
import { RangeSet } from '../ip/range-set.ts';

export interface ServiceRange {
  readonly addresses: RangeSet;
  /** Whether the API server has told all of it. */
  readonly isWhole: boolean;
}

export const unknownServices: ServiceRange = { addresses: RangeSet.empty, isWhole: false };

/**
 * `cidrs` are those of all ServiceCIDR objects, undefined where there are none to read. Then, and while the API server has
 * made none yet, the address of the Service `kubernetes` is all that is known of the range.
 */
export function serviceRangeOf(cidrs: readonly string[] | undefined, kubernetes = ''): ServiceRange {
  if (cidrs !== undefined && cidrs.length > 0)
    return { addresses: RangeSet.of(cidrs.flatMap(ipv4RangeOf)), isWhole: true };
  return isAddress(kubernetes) ? { addresses: RangeSet.of([parseRange(kubernetes)]), isWhole: false } : unknownServices;
}

export function isSameRange(a: ServiceRange, b: ServiceRange): boolean {
  return a.isWhole === b.isWhole && differenceOf(a.addresses, b.addresses).size === 0;
}

/** What is in one of them alone. */
export function differenceOf(a: RangeSet, b: RangeSet): RangeSet {
  return a.subtract(b).union(b.subtract(a));
}

/** Of two families one is IPv6, which pods do not have. */
function ipv4RangeOf(cidr: string): Range[] {
  if (cidr.includes(':')) return [];
  try {
    return [parseRange(cidr)];
  } catch (error) {
    if (error instanceof InvalidAddress) return [];
    throw error;
  }
}
