// SPDX-License-Identifier: Apache-2.0
// Gateways and the nodes' own addresses: no pool gives them out, whatever its ranges say.
import type { Address } from '../ip/address.ts';
import type { RangeSet } from '../ip/range-set.ts';

export class KeptAddresses {
  /** Each with how many gateways and nodes hold it. */
  readonly #holders = new Map<Address, number>();

  within(declared: RangeSet): Address[] {
    return [...this.#holders.keys()].filter((address) => declared.contains(address));
  }

  /** Notes who keeps which address and who no more. Answers with the addresses that this made kept, or free of it. */
  change(added: readonly Address[], removed: readonly Address[]): Address[] {
    const touched = new Set([...added, ...removed]);
    const before = new Set([...touched].filter((address) => this.#holders.has(address)));
    for (const address of added) this.#holders.set(address, (this.#holders.get(address) ?? 0) + 1);
    for (const address of removed) {
      const holders = (this.#holders.get(address) ?? 0) - 1;
      if (holders > 0) this.#holders.set(address, holders);
      else this.#holders.delete(address);
    }
    return [...touched].filter((address) => before.has(address) !== this.#holders.has(address));
  }
}
