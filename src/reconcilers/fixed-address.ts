// SPDX-License-Identifier: Apache-2.0
// A pod that asks for one address by the annotation fast.io/ip gets that one or waits, and is told which it is: no
// address, not in the pool, taken, or wanted by others too.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { addressAnnotation, poolAnnotation } from '../api/names.ts';
import type { Pod } from '../api/workloads.ts';
import { type Address, formatAddress, isAddress, parseAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import { timestamp } from './allocation.ts';
import { needOf, podKey } from './pod.ts';
import type { Refusal } from './pool-choice.ts';
import type { Pool } from './pool.ts';

export type FixedAddress =
  | { readonly fixed: 'none' }
  | { readonly fixed: 'address'; readonly address: Address }
  | { readonly fixed: 'problem'; readonly refusal: Refusal };

/** Of what is no address, or no name, so much is shown. */
const MAX_SHOWN = 64;

/** What a person wrote, as far as a person can read it. */
export function shorten(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN).toWellFormed()}…` : text;
}

/** What the pod's annotation says. */
export function fixedAddressOf({ metadata }: Pod): FixedAddress {
  const text = metadata.annotations?.[addressAnnotation]?.trim() ?? '';
  if (text === '') return { fixed: 'none' };
  if (isAddress(text)) return { fixed: 'address', address: parseAddress(text) };
  const message = `annotation ${addressAnnotation}: "${shorten(text)}" is no IPv4 address; write one, such as 10.244.10.7`;
  return { fixed: 'problem', refusal: { reason: 'AddressInvalid', message } };
}

/** Who wants which address, of all pods that need one and are to stay. */
export class Wanted {
  /** The key of the pod → what it wants. */
  readonly #wishes = new Map<string, Address>();
  /** By key, in the order in which they were first seen: it is in what people are told, which must not change for nothing. */
  readonly #wishers = new Map<Address, Map<string, Pod>>();

  /** The pod as it is now. */
  show(pod: Pod): void {
    const key = podKey(pod.metadata);
    const wish = fixedAddressOf(pod);
    const address = wish.fixed === 'address' && needOf(pod) === 'address' ? wish.address : undefined;
    if (this.#wishes.get(key) !== address) this.forget(key);
    if (address === undefined) return;
    this.#wishes.set(key, address);
    this.#wishers.set(address, (this.#wishers.get(address) ?? new Map()).set(key, pod));
  }

  forget(key: string): void {
    const address = this.#wishes.get(key);
    if (address === undefined) return;
    this.#wishes.delete(key);
    const wishers = this.#wishers.get(address);
    wishers?.delete(key);
    if (wishers?.size === 0) this.#wishers.delete(address);
  }

  by(address: Address): Pod[] {
    return [...(this.#wishers.get(address)?.values() ?? [])];
  }
}

/** Why the pool cannot give this very address now, which the `rivals` want too. The book has been asked and has none to offer. */
export function refuseFixed(poolName: string, address: Address, rivals: readonly string[], book: AddressBook): Refusal {
  const text = formatAddress(address);
  const pool = book.pool(poolName);
  if (pool?.declared.contains(address) !== true) {
    const cure = `correct the annotation ${addressAnnotation}, or name a pool that holds it by ${poolAnnotation}`;
    return { reason: 'AddressOutOfPool', message: `${text} is not in pool ${poolName}; ${cure}` };
  }
  if (!book.isUsable(poolName, address)) {
    const isServices = book.kept.services.addresses.contains(address);
    const what = isServices ? "in the Services' range" : "a gateway or a node's own address";
    const message = `${text} is ${what}, which no pod gets; correct the annotation ${addressAnnotation}`;
    return { reason: 'AddressOutOfPool', message };
  }
  const holder = holderOf(address, pool, book);
  if (rivals.length > 0) {
    const message = `${text} is wanted by this pod and by ${rivals.slice(0, 3).join(', ')}, and ${holder}; only one pod can have it, give the others their own by ${addressAnnotation}`;
    return { reason: 'AddressWantedTwice', message };
  }
  return { reason: 'AddressTaken', message: `${text} is taken: ${holder}; the pod gets it when it is free` };
}

function holderOf(address: Address, { coolDownMs }: Pool, book: AddressBook): string {
  const record = book.record(formatAddress(address));
  const promised = book.promised.at(address);
  // What rests may be promised already; then he who had it last is not whom it waits for.
  if (promised !== undefined) return `${who(promised.owner)} is just getting it`;
  if (record === undefined) {
    return book.published.isListed(address) ? 'a NodeEndpoint lists it still' : 'a pod without a record uses it';
  }
  const { owner, state, stateSince, nodeName } = record.spec;
  switch (state) {
    case 'Bound':
      return `${who(owner)} on node ${nodeName} has it`;
    case 'Releasing':
      return `node ${nodeName} has not let go of it for ${who(owner)}`;
    case 'Reserved':
      return `it is kept for ${who(owner)}`;
    case 'Cooling':
      return `it rests after ${who(owner)}, at least until ${timestamp(Date.parse(stateSince) + coolDownMs)}`;
  }
}

function who({ kind, namespace, name }: IpAllocation['spec']['owner']): string {
  return kind === 'Pod' ? `pod ${namespace ?? ''}/${name}` : `node ${name}`;
}
