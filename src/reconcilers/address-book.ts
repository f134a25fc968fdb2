// SPDX-License-Identifier: Apache-2.0
// Which address is whose, as far as this process knows. The book never calls the API and is never an authority: the
// create of a record named by its address is the lock. The book only keeps us from asking for what is surely taken,
// and from giving one pod two addresses while the watch has not shown the first.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { type Address, formatAddress, parseAddress } from '../ip/address.ts';
import { FreeAddresses } from '../ip/free-addresses.ts';
import { RangeSet } from '../ip/range-set.ts';
import type { Pool } from './pool.ts';
import { Published } from './published.ts';
import { RecordIndex } from './record-index.ts';
import { type Wearer, WornAddresses } from './worn-addresses.ts';

/** How full a pool is, in addresses. `bound` counts Bound and Releasing; `outOfRange` is a part of the others. */
export interface PoolCounts {
  readonly total: number;
  readonly bound: number;
  readonly cooling: number;
  readonly reserved: number;
  readonly free: number;
  readonly outOfRange: number;
}

interface PoolEntry {
  readonly pool: Pool;
  /** What the pool can give out: declared, less every gateway and node address. */
  readonly usable: RangeSet;
  readonly free: FreeAddresses;
}

/** A record that a write or live read of ours has shown before the watch did. */
interface Ahead {
  readonly record: IpAllocation;
  readonly sinceMs: number;
}

export class AddressBook {
  /** What the NodeEndpoints list. The addresses that it answers with go to `recheck`. */
  readonly published = new Published();
  readonly #pools = new Map<string, PoolEntry>();
  /** The newest known record of each address. */
  readonly #records = new RecordIndex();
  /** The record of each address as the watch shows it. */
  readonly #shown = new Map<string, IpAllocation>();
  readonly #ahead = new Map<string, Ahead>();
  /** Owner uid → the address that is being created for it, or whose create ended without a clear answer. */
  readonly #promised = new Map<string, { readonly address: Address; readonly pool: string }>();
  readonly #promisedAddresses = new Set<Address>();
  /** What pods run with, as their kubelets say. */
  readonly #worn = new WornAddresses();
  /** What wires without a record have, as their nodes say. */
  readonly #orphans = new WornAddresses();
  readonly #nodes = new Map<string, readonly Address[]>();
  /** Every gateway and node address, with how many hold it; none of them is given out. */
  readonly #kept = new Map<Address, number>();

  /** A pool that is new or was edited. */
  setPool(pool: Pool): void {
    const before = this.#pools.get(pool.name)?.pool.gateway.address;
    const changed = this.#keep([pool.gateway.address], before === undefined ? [] : [before]);
    this.#pools.set(pool.name, this.#entry(pool));
    this.#rebuild(changed, pool.name);
  }

  removePool(name: string): void {
    const gateway = this.#pools.get(name)?.pool.gateway.address;
    if (gateway === undefined) return;
    this.#pools.delete(name);
    this.#rebuild(this.#keep([], [gateway]));
  }

  /** The addresses that a node has of its own; they are never given out. Answers with the pools that this concerns. */
  setNodeAddresses(node: string, addresses: readonly Address[]): string[] {
    const changed = this.#keep(addresses, this.#nodes.get(node) ?? []);
    if (addresses.length === 0) this.#nodes.delete(node);
    else this.#nodes.set(node, addresses);
    return this.#rebuild(changed);
  }

  pool(name: string): Pool | undefined {
    return this.#pools.get(name)?.pool;
  }

  pools(): Pool[] {
    return [...this.#pools.values()].map((entry) => entry.pool);
  }

  record(address: string): IpAllocation | undefined {
    return this.#records.get(address);
  }

  records(): IpAllocation[] {
    return [...this.#records.addresses()].flatMap((address) => this.#records.get(address) ?? []);
  }

  byOwner(uid: string): IpAllocation[] {
    return this.#records.by('owner', uid);
  }

  byNode(nodeName: string): IpAllocation[] {
    return this.#records.by('node', nodeName);
  }

  byPool(pool: string): IpAllocation[] {
    return this.#records.by('pool', pool);
  }

  /** The watch shows this record, new or changed. */
  observe(record: IpAllocation): void {
    const { name, uid } = record.metadata;
    this.#shown.set(name, record);
    const ahead = this.#ahead.get(name);
    if (ahead !== undefined && ahead.record.metadata.uid !== uid) return;
    this.#ahead.delete(name);
    this.#records.set(record);
    this.#refresh(parseAddress(name));
  }

  /** The watch shows that this record is gone. Answers with the pools that have a free address more. */
  forget(record: IpAllocation): string[] {
    const { name, uid } = record.metadata;
    if (this.#shown.get(name)?.metadata.uid !== uid) return [];
    this.#shown.delete(name);
    const ahead = this.#ahead.get(name);
    if (ahead !== undefined && ahead.record.metadata.uid !== uid) return [];
    return this.#drop(name);
  }

  /** A create or live read of ours shows this record; the watch will follow, or has overtaken us. */
  observeAhead(record: IpAllocation, nowMs: number): void {
    const { name, uid } = record.metadata;
    // What the watch shows is of the same age or newer, and it would not show it again.
    if (this.#shown.get(name)?.metadata.uid === uid) return;
    this.#ahead.set(name, { record, sinceMs: nowMs });
    this.#records.set(record);
    this.#refresh(parseAddress(name));
  }

  /** Records that the watch should have shown by now and has not. Ask the API server, then call `recant`. */
  overdue(nowMs: number, patienceMs: number): IpAllocation[] {
    return [...this.#ahead.values()].filter((each) => nowMs - each.sinceMs >= patienceMs).map((each) => each.record);
  }

  /** A live read shows that a record seen ahead of the watch is gone. Answers as `forget` does. */
  recant(record: IpAllocation): string[] {
    const { name, uid } = record.metadata;
    if (this.#ahead.get(name)?.record.metadata.uid !== uid) return [];
    this.#ahead.delete(name);
    const shown = this.#shown.get(name);
    if (shown === undefined) return this.#drop(name);
    this.#records.set(shown);
    return [];
  }

  /**
   * The address that a pod runs with, which no other pod gets; undefined when it runs no more. Without it a pod that
   * outlived its record (an uninstall, a backup brought back) would see its address given away. Answers with the pools
   * that gained a free address.
   */
  wear(ownerUid: string, address: Address | undefined): string[] {
    if (this.#worn.of(ownerUid)[0] === address) return [];
    return this.#refreshAll(this.#worn.say(ownerUid, address === undefined ? [] : [{ ownerUid, address }]));
  }

  /** The wires of a node that no record explains: their addresses go to nobody else. Answers as `wear` does. */
  setOrphans(node: string, orphans: readonly Wearer[]): string[] {
    return this.#refreshAll(this.#orphans.say(node, orphans));
  }

  /** The address that the owner runs with, where the pool can still give it and nobody else has it. */
  ownAddress(poolName: string, ownerUid: string): Address | undefined {
    const usable = this.#pools.get(poolName)?.usable;
    // A wire says more than a kubelet, which writes down what it was told once.
    return [...this.#orphans.of(ownerUid), ...this.#worn.of(ownerUid)].find(
      (address) => usable?.contains(address) === true && !this.#isOthers(address, ownerUid),
    );
  }

  /**
   * The address that the owner runs with already, or the lowest free one of the pool, kept for it until `withdraw`; for
   * the same owner the same again.
   */
  promise(poolName: string, ownerUid: string): Address | undefined {
    const before = this.#promised.get(ownerUid);
    if (before?.pool === poolName) return before.address;
    this.withdraw(ownerUid);
    const address = this.ownAddress(poolName, ownerUid) ?? this.#pools.get(poolName)?.free.lowest();
    if (address === undefined) return undefined;
    this.#promised.set(ownerUid, { address, pool: poolName });
    this.#promisedAddresses.add(address);
    this.#refresh(address);
    return address;
  }

  /** Ends a promise: the record exists, or it surely does not. Answers with the pools that gained a free address. */
  withdraw(ownerUid: string): string[] {
    const promise = this.#promised.get(ownerUid);
    if (promise === undefined) return [];
    this.#promised.delete(ownerUid);
    this.#promisedAddresses.delete(promise.address);
    return this.#refresh(promise.address);
  }

  /** The pool that an address is promised to the owner in. */
  promisedIn(ownerUid: string): string | undefined {
    return this.#promised.get(ownerUid)?.pool;
  }

  /** Whether anybody has an address of the pool, or is just getting one. */
  isInUse(poolName: string): boolean {
    if (this.#records.has('pool', poolName)) return true;
    return [...this.#promised.values()].some((promise) => promise.pool === poolName);
  }

  /** Free and usable addresses; undefined for an unknown pool. */
  room(poolName: string): { free: number; total: number } | undefined {
    const entry = this.#pools.get(poolName);
    return entry === undefined ? undefined : { free: entry.free.count, total: entry.free.total };
  }

  counts(poolName: string): PoolCounts {
    const entry = this.#pools.get(poolName);
    const counts = { bound: 0, cooling: 0, reserved: 0, outOfRange: 0 };
    for (const record of this.byPool(poolName)) {
      if (record.spec.state === 'Cooling') counts.cooling += 1;
      else if (record.spec.state === 'Reserved') counts.reserved += 1;
      else counts.bound += 1;
      if (entry?.usable.contains(parseAddress(record.metadata.name)) !== true) counts.outOfRange += 1;
    }
    return { total: entry?.free.total ?? 0, free: entry?.free.count ?? 0, ...counts };
  }

  /** Who lists the addresses has changed. Answers with the pools that gained a free address. */
  recheck(addresses: readonly Address[]): string[] {
    return this.#refreshAll(addresses);
  }

  #drop(name: string): string[] {
    this.#records.delete(name);
    return this.#refresh(parseAddress(name));
  }

  #isTaken(address: Address): boolean {
    if (this.#promisedAddresses.has(address) || this.#worn.has(address) || this.#orphans.has(address)) return true;
    if (this.published.isListed(address)) return true;
    return this.#records.get(formatAddress(address)) !== undefined;
  }

  #isOthers(address: Address, ownerUid: string): boolean {
    if (this.#worn.isOthers(address, ownerUid) || this.#orphans.isOthers(address, ownerUid)) return true;
    return this.#promisedAddresses.has(address) || this.#records.get(formatAddress(address)) !== undefined;
  }

  #refreshAll(addresses: readonly Address[]): string[] {
    return [...new Set(addresses.flatMap((address) => this.#refresh(address)))];
  }

  /** Brings every pool in line with whether the address is taken. Pools may overlap, so all are asked. */
  #refresh(address: Address): string[] {
    const taken = this.#isTaken(address);
    const gained: string[] = [];
    for (const { pool, free } of this.#pools.values()) {
      if (taken) free.take(address);
      else if (free.giveBack(address) === 'free') gained.push(pool.name);
    }
    return gained;
  }

  #entry(pool: Pool): PoolEntry {
    const kept = [...this.#kept.keys()].filter((address) => pool.declared.contains(address));
    const usable = pool.declared.subtract(RangeSet.of(kept.map((address) => ({ first: address, last: address }))));
    const free = new FreeAddresses(usable);
    for (const address of this.#records.addresses()) free.take(parseAddress(address));
    const worn = [...this.#worn.addresses(), ...this.#orphans.addresses()];
    for (const address of [...this.#promisedAddresses, ...worn, ...this.published.addresses()]) free.take(address);
    return { pool, usable, free };
  }

  /** Notes who keeps which address and who no more. Answers with the addresses that this made kept, or free of it. */
  #keep(added: readonly Address[], removed: readonly Address[]): Address[] {
    const touched = new Set([...added, ...removed]);
    const before = new Set([...touched].filter((address) => this.#kept.has(address)));
    for (const address of added) this.#kept.set(address, (this.#kept.get(address) ?? 0) + 1);
    for (const address of removed) {
      const holders = (this.#kept.get(address) ?? 0) - 1;
      if (holders > 0) this.#kept.set(address, holders);
      else this.#kept.delete(address);
    }
    return [...touched].filter((address) => before.has(address) !== this.#kept.has(address));
  }

  /** Builds anew the pools that hold one of the addresses: with many nodes and records nothing else is affordable. */
  #rebuild(changed: readonly Address[], except = ''): string[] {
    const concerned = [...this.#pools.values()]
      .map(({ pool }) => pool)
      .filter((pool) => pool.name !== except && changed.some((address) => pool.declared.contains(address)));
    for (const pool of concerned) this.#pools.set(pool.name, this.#entry(pool));
    return concerned.map((pool) => pool.name);
  }
}
