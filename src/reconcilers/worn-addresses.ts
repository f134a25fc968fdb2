// SPDX-License-Identifier: Apache-2.0
// Addresses that are in use though no record says so: a pod runs with one after its record was lost, or a node has a
// wire that no record explains. Nobody else may get them, and their owner gets its own again.
import type { Address } from '../ip/address.ts';

export interface Wearer {
  /** The identity that its record's owner would have. */
  readonly ownerUid: string;
  readonly address: Address;
}

export class WornAddresses {
  /** What each source has said last. */
  readonly #said = new Map<string, readonly Wearer[]>();
  /** One entry for each saying, so that of two sources that say the same one may fall silent. */
  readonly #wearersOf = new Map<Address, string[]>();
  readonly #addressesOf = new Map<string, Address[]>();

  /** What one source says now, in the place of what it said before. Answers with the addresses that it touched. */
  say(source: string, wearers: readonly Wearer[]): Address[] {
    const before = this.#said.get(source) ?? [];
    for (const { ownerUid, address } of before) {
      without(this.#wearersOf, address, ownerUid);
      without(this.#addressesOf, ownerUid, address);
    }
    for (const { ownerUid, address } of wearers) {
      this.#wearersOf.set(address, [...(this.#wearersOf.get(address) ?? []), ownerUid]);
      this.#addressesOf.set(ownerUid, [...(this.#addressesOf.get(ownerUid) ?? []), address]);
    }
    if (wearers.length === 0) this.#said.delete(source);
    else this.#said.set(source, wearers);
    return [...new Set([...before, ...wearers].map((each) => each.address))];
  }

  has(address: Address): boolean {
    return this.#wearersOf.has(address);
  }

  addresses(): Iterable<Address> {
    return this.#wearersOf.keys();
  }

  of(ownerUid: string): readonly Address[] {
    return this.#addressesOf.get(ownerUid) ?? [];
  }

  /** Whether anybody but this owner wears it. */
  isOthers(address: Address, ownerUid: string): boolean {
    return (this.#wearersOf.get(address) ?? []).some((each) => each !== ownerUid);
  }
}

/** Both ways by which such an address is known. */
export class InUse {
  /** What pods run with, as their kubelets say. */
  readonly pods = new WornAddresses();
  /** What wires without a record have, as their nodes say. */
  readonly wires = new WornAddresses();

  has(address: Address): boolean {
    return this.pods.has(address) || this.wires.has(address);
  }

  addresses(): Address[] {
    return [...this.pods.addresses(), ...this.wires.addresses()];
  }

  /** A wire says more than a kubelet, which writes down what it was told once. */
  of(ownerUid: string): Address[] {
    return [...this.wires.of(ownerUid), ...this.pods.of(ownerUid)];
  }

  isOthers(address: Address, ownerUid: string): boolean {
    return this.pods.isOthers(address, ownerUid) || this.wires.isOthers(address, ownerUid);
  }
}

/** Takes one entry out of the list under the key. */
function without<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key) ?? [];
  const left = list.toSpliced(list.indexOf(value), list.includes(value) ? 1 : 0);
  if (left.length === 0) lists.delete(key);
  else lists.set(key, left);
}
