// SPDX-License-Identifier: Apache-2.0
// Gateways, the nodes' own addresses and those of Services: no pool gives them out, whatever its ranges say.
import type { Address } from '../ip/address.ts';
import { RangeSet } from '../ip/range-set.ts';
import { differenceOf, type ServiceRange, unknownServices } from './services.ts';

export class KeptAddresses {
  /** What each gateway's pool and each node keeps, by `pool NAME` and `node NAME`. */
  readonly #kept = new Map<string, readonly Address[]>();
  /** Each address with how many keep it. */
  readonly #holders = new Map<Address, number>();
  #services = unknownServices;
  /** Made when it is asked for: there are thousands of nodes, and a pool asks each second. */
  #ofNodes: RangeSet | undefined;

  get services(): ServiceRange {
    return this.#services;
  }

  /** The nodes' own addresses. */
  get ofNodes(): RangeSet {
    this.#ofNodes ??= setOf(
      [...this.#kept].flatMap(([holder, addresses]) => (holder.startsWith('node ') ? addresses : [])),
    );
    return this.#ofNodes;
  }

  /** What is left to be given of what a pool declares. */
  usable(declared: RangeSet): RangeSet {
    const kept = [...this.#holders.keys()].filter((address) => declared.contains(address));
    return declared.subtract(setOf(kept)).subtract(this.#services.addresses);
  }

  /** What one holder keeps now, in the place of what it kept. Answers with what this made kept, or free of it. */
  keep(holder: `pool ${string}` | `node ${string}`, added: readonly Address[]): RangeSet {
    const removed = this.#kept.get(holder) ?? [];
    if (holder.startsWith('node ')) this.#ofNodes = undefined;
    if (added.length === 0) this.#kept.delete(holder);
    else this.#kept.set(holder, added);
    const touched = new Set([...added, ...removed]);
    const before = new Set([...touched].filter((address) => this.#holders.has(address)));
    for (const address of added) this.#holders.set(address, (this.#holders.get(address) ?? 0) + 1);
    for (const address of removed) {
      const holders = (this.#holders.get(address) ?? 0) - 1;
      if (holders > 0) this.#holders.set(address, holders);
      else this.#holders.delete(address);
    }
    return setOf([...touched].filter((address) => before.has(address) !== this.#holders.has(address)));
  }

  /** The Services' range as it is now. Answers as `keep` does. */
  keepServices(services: ServiceRange): RangeSet {
    const before = this.#services;
    this.#services = services;
    return differenceOf(before.addresses, services.addresses);
  }
}

function setOf(addresses: readonly Address[]): RangeSet {
  return RangeSet.of(addresses.map((address) => ({ first: address, last: address })));
}
