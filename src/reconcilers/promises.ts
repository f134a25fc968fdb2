// SPDX-License-Identifier: Apache-2.0
// Addresses that are on their way to an owner: being written, written but not shown by the watch yet, or written
// without an answer. An owner has at most one, so that a next try asks for the same address and finds out.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { Address } from '../ip/address.ts';
import type { ReservedFor } from './stateful-set.ts';

/** Who asks for an address, and what for beside any. */
export interface Wish {
  readonly owner: IpAllocation['spec']['owner'];
  /** This very address and no other. */
  readonly fixed?: Address | undefined;
  readonly reservedFor?: ReservedFor | undefined;
}

/** An address that a pool can give to an owner now. */
export interface Offer {
  readonly address: Address;
  /** `own`: the owner runs with it already. `kept`: it is reserved for the owner's ordinal. `resting`: it has not cooled down. */
  readonly manner: 'own' | 'kept' | 'free' | 'resting';
  /** The record that is to change hands; undefined where one is to be made. */
  readonly base: IpAllocation | undefined;
}

export interface Promised {
  readonly owner: IpAllocation['spec']['owner'];
  readonly address: Address;
  readonly pool: string;
  /** The resting or reserved record that is to change hands, as it was read; undefined where a record is to be made. */
  readonly base: IpAllocation | undefined;
}

export class Promises {
  /** By the owner's uid. */
  readonly #promised = new Map<string, Promised>();
  /** The uid of the owner that an address is promised to. */
  readonly #owners = new Map<Address, string>();
  /** Owners whose record has changed hands for them, which the watch has not shown yet. */
  readonly #written = new Set<string>();

  of(ownerUid: string): Promised | undefined {
    return this.#promised.get(ownerUid);
  }

  at(address: Address): Promised | undefined {
    return this.#promised.get(this.#owners.get(address) ?? '');
  }

  has(address: Address): boolean {
    return this.#owners.has(address);
  }

  addresses(): Iterable<Address> {
    return this.#owners.keys();
  }

  /** What other owners of the same name have been promised: the pods of a StatefulSet's ordinal have one name. */
  ofNamesakes({ uid, namespace, name }: Promised['owner']): Promised[] {
    return [...this.#promised.values()].filter(
      ({ owner }) => owner.name === name && owner.namespace === namespace && owner.uid !== uid,
    );
  }

  isWritten(ownerUid: string): boolean {
    return this.#written.has(ownerUid);
  }

  isAnyIn(pool: string): boolean {
    return [...this.#promised.values()].some((each) => each.pool === pool);
  }

  make(promised: Promised): void {
    this.#promised.set(promised.owner.uid, promised);
    this.#owners.set(promised.address, promised.owner.uid);
  }

  /** The API server has taken the write. It stays promised until the watch shows it. */
  written(ownerUid: string): void {
    if (this.#promised.has(ownerUid)) this.#written.add(ownerUid);
  }

  end(ownerUid: string): Promised | undefined {
    const promised = this.#promised.get(ownerUid);
    if (promised === undefined) return undefined;
    this.#promised.delete(ownerUid);
    this.#owners.delete(promised.address);
    this.#written.delete(ownerUid);
    return promised;
  }
}
