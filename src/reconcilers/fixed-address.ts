// SPDX-License-Identifier: Apache-2.0
// A pod that asks for one address by the annotation fast.io/ip gets that one or waits, and is told which it is: no
// address, not in the pool, taken, or wanted by others too.
import { addressAnnotation, poolAnnotation } from '../api/names.ts';
import type { Pod } from '../api/workloads.ts';
import { type Address, formatAddress, isAddress, parseAddress } from '../ip/address.ts';
import type { AddressBook } from './address-book.ts';
import { timestamp } from './allocation.ts';
import { identityOf, needOf, podKey } from './pod.ts';
import type { Refusal } from './pool-choice.ts';
import type { Pool } from './pool.ts';

export type FixedAddress =
  | { readonly fixed: 'none' }
  | { readonly fixed: 'address'; readonly address: Address }
  | { readonly fixed: 'problem'; readonly refusal: Refusal };

/** Of what is no address so much is shown. */
const MAX_SHOWN = 64;

/** What the pod's annotation says. */
export function fixedAddressOf({ metadata }: Pod): FixedAddress {
  const text = metadata.annotations?.[addressAnnotation]?.trim() ?? '';
  if (text === '') return { fixed: 'none' };
  if (isAddress(text)) return { fixed: 'address', address: parseAddress(text) };
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN).toWellFormed()}…` : text;
  const message = `annotation ${addressAnnotation}: "${shown}" is no IPv4 address; write one, such as 10.244.10.7`;
  return { fixed: 'problem', refusal: { reason: 'AddressInvalid', message } };
}

/** Who wants which address, of all pods that need one. */
export class Wanted {
  /** The key of the pod → what it wants. */
  readonly #wishes = new Map<string, { readonly uid: string; readonly address: Address }>();
  readonly #wishers = new Map<Address, Set<string>>();

  /** The pod as it is now. */
  show(pod: Pod): void {
    const key = podKey(pod.metadata);
    this.forget(key);
    const wish = fixedAddressOf(pod);
    const need = needOf(pod);
    if (wish.fixed !== 'address' || (need !== 'address' && need !== 'terminating')) return;
    const { address } = wish;
    this.#wishes.set(key, { uid: identityOf(pod), address });
    this.#wishers.set(address, (this.#wishers.get(address) ?? new Set()).add(key));
  }

  forget(key: string): void {
    const wish = this.#wishes.get(key);
    if (wish === undefined) return;
    this.#wishes.delete(key);
    const wishers = this.#wishers.get(wish.address);
    wishers?.delete(key);
    if (wishers?.size === 0) this.#wishers.delete(wish.address);
  }

  /** The other pods that want the address, in the order in which they were first seen. */
  byOthers(address: Address, uid: string): string[] {
    return [...(this.#wishers.get(address) ?? [])].filter((key) => this.#wishes.get(key)?.uid !== uid);
  }
}

/** Why the pool cannot give this very address to the owner now. The book has been asked and has none to offer. */
export function refuseFixed(poolName: string, address: Address, ownerUid: string, book: AddressBook): Refusal {
  const text = formatAddress(address);
  const pool = book.pool(poolName);
  if (pool?.declared.contains(address) !== true) {
    const cure = `correct the annotation ${addressAnnotation}, or name a pool that holds it by ${poolAnnotation}`;
    return { reason: 'AddressOutOfPool', message: `${text} is not in pool ${poolName}; ${cure}` };
  }
  if (!book.isUsable(poolName, address)) {
    const message = `${text} is a gateway or a node's own address, which no pod gets; correct the annotation ${addressAnnotation}`;
    return { reason: 'AddressOutOfPool', message };
  }
  const holder = holderOf(address, pool, book);
  const rivals = book.wanted.byOthers(address, ownerUid);
  if (rivals.length > 0) {
    const message = `${text} is wanted by this pod and by ${rivals.slice(0, 3).join(', ')}, and ${holder}; only one pod can have it`;
    return { reason: 'AddressWantedTwice', message };
  }
  return { reason: 'AddressTaken', message: `${text} is taken: ${holder}; the pod gets it when it is free` };
}

function holderOf(address: Address, { coolDownMs }: Pool, book: AddressBook): string {
  const record = book.record(formatAddress(address));
  const promised = book.promised.at(address);
  if (record === undefined) {
    if (promised === undefined) return 'a pod without a record uses it';
    return `${podKey(promised.owner)} is just getting it`;
  }
  const { owner, state, stateSince, nodeName } = record.spec;
  const who = `${owner.kind.toLowerCase()} ${owner.kind === 'Pod' ? podKey(owner) : owner.name}`;
  switch (state) {
    case 'Bound':
      return `${who} on node ${nodeName} has it`;
    case 'Releasing':
      return `node ${nodeName} has not let go of it for ${who}`;
    case 'Reserved':
      return `it is kept for ${who}`;
    case 'Cooling':
      return `it rests after ${who}, at least until ${timestamp(Date.parse(stateSince) + coolDownMs)}`;
  }
}
