// SPDX-License-Identifier: Apache-2.0
// Which addresses have been of Services, and since when: nobody is given one that was theirs before its giver began.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { type Address, parseAddress } from '../../src/ip/address.ts';
import { parseRange, type Range } from '../../src/ip/range.ts';
import type { KubeObject } from '../../src/kube/object.ts';

type ServiceCidr = KubeObject & { spec?: { cidrs?: string[] } };

interface Span {
  readonly name: string;
  readonly range: Range;
  /** How many things had come before it. */
  readonly from: number;
  isOver: boolean;
}

export class ServiceRanges {
  /** Of the ranges and the controllers' processes, of which many may come at one moment. */
  #order = 0;
  readonly #spans: Span[] = [];
  /** When each controller's process began, in that order. */
  readonly #starts = new Map<string, number>();

  onWrite(old: ServiceCidr | undefined, now: ServiceCidr | undefined): void {
    const name = (now ?? old)?.metadata.name ?? '';
    for (const span of this.#spans) if (span.name === name) span.isOver = true;
    this.#order += 1;
    for (const cidr of now?.spec?.cidrs ?? []) {
      this.#spans.push({ name, range: parseRange(cidr), from: this.#order, isOver: false });
    }
  }

  onStart(controller: string): void {
    this.#order += 1;
    this.#starts.set(controller, this.#order);
  }

  /** Whether the address has ever been of Services. */
  haveHeld(address: Address): boolean {
    return this.#of(address).length > 0;
  }

  /** Why the record may not have its address. Whoever runs with one keeps it, whose ever it becomes. */
  whyNotGiven(
    creator: string,
    { spec: { address, owner } }: IpAllocation,
    pods: ReadonlyMap<string, Pod>,
    endpoints: readonly NodeEndpoint[],
  ): string | undefined {
    const isWired = endpoints.some(({ status }) => status?.orphans?.some((each) => each.address === address));
    if (isWired || pods.get(owner.uid)?.status?.podIP === address) return undefined;
    const start = this.#starts.get(creator) ?? 0;
    const known = this.#of(parseAddress(address)).find(({ from, isOver }) => from < start && !isOver);
    return known && `it is of Services, by the ServiceCIDR ${known.name}`;
  }

  #of(address: Address): Span[] {
    return this.#spans.filter(({ range: { first, last } }) => first <= address && address <= last);
  }
}
