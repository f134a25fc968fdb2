// SPDX-License-Identifier: Apache-2.0
// Which address is whose, as far as this process knows. The book never calls the API and is never an authority: the
// create of a record named by its address is the lock, and the fenced update of one that rests. The book only keeps us
// from asking for what is surely taken, and from giving one pod two addresses while the watch has not shown the first.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { type Address, formatAddress, parseAddress } from '../ip/address.ts';
import { RangeSet } from '../ip/range-set.ts';
import { Wanted } from './fixed-address.ts';
import { KeptAddresses } from './kept-addresses.ts';
import type { Pool } from './pool.ts';
import { type PoolEntry, poolEntry, type PoolSets, poolSets } from './pool-entry.ts';
import type { PoolCounts } from './pool-tally.ts';
import { type Offer, type Promised, Promises, type Wish } from './promises.ts';
import { Published } from './published.ts';
import { isInHands } from './record-index.ts';
import { RecordLedger } from './record-ledger.ts';
import { Expected } from './scheduling-gate.ts';
import type { ServiceRange } from './services.ts';
import { isSameOrdinal, ordinalKey, type ReservedFor } from './stateful-set.ts';
import { InUse, type Wearer } from './worn-addresses.ts';

export class AddressBook {
  /** What the NodeEndpoints list. The addresses that it answers with go to `recheck`. */
  readonly published = new Published();
  /** Which pods want which address. */
  readonly wanted = new Wanted();
  /** Which pods have been let through to the scheduler. */
  readonly expected = new Expected();
  readonly #pools = new Map<string, PoolEntry>();
  readonly #ledger = new RecordLedger();
  readonly #promises = new Promises();
  /** Addresses of resting records of which a write of ours has shown that they changed; the watch has not yet. */
  readonly #spent = new Set<string>();
  readonly #inUse = new InUse();
  readonly #kept = new KeptAddresses();

  /** A pool that is new or was edited. */
  setPool(pool: Pool): void {
    const changed = this.#kept.keep(`pool ${pool.name}`, [pool.gateway.address]);
    this.#setEntry(pool);
    this.#rebuild(changed, pool.name);
  }

  removePool(name: string): void {
    if (!this.#pools.delete(name)) return;
    this.#ledger.tally(name).setUsable(RangeSet.empty, this.byPool(name));
    this.#rebuild(this.#kept.keep(`pool ${name}`, []));
  }

  /** The addresses that a node has of its own; they are never given out. Answers with the pools that this concerns. */
  setNodeAddresses(node: string, addresses: readonly Address[]): string[] {
    return this.#rebuild(this.#kept.keep(`node ${node}`, addresses));
  }

  /** The addresses of Services; they are never given out either. Answers as `setNodeAddresses` does. */
  setServices(services: ServiceRange): string[] {
    return this.#rebuild(this.#kept.keepServices(services));
  }

  /** What it keeps so. */
  get kept(): Pick<KeptAddresses, 'services' | 'ofNodes'> {
    return this.#kept;
  }

  pool(name: string): Pool | undefined {
    return this.#pools.get(name)?.pool;
  }

  pools(): Pool[] {
    return [...this.#pools.values()].map((entry) => entry.pool);
  }

  record(address: string): IpAllocation | undefined {
    return this.#ledger.newest.get(address);
  }

  records(): IpAllocation[] {
    return [...this.#ledger.newest.addresses()].flatMap((address) => this.#ledger.newest.get(address) ?? []);
  }

  /** The records that the owner has in its hands, Bound or Releasing. */
  byOwner(uid: string): IpAllocation[] {
    return this.#ledger.newest.by('owner', uid);
  }

  /** The records in the hands of the node's pods and of the node itself. */
  byNode(nodeName: string): IpAllocation[] {
    return this.#ledger.newest.by('node', nodeName);
  }

  byPool(pool: string): IpAllocation[] {
    return this.#ledger.newest.by('pool', pool);
  }

  /** The records of the pool that rest or are kept, in whosever hands none is. */
  resting(pool: string): IpAllocation[] {
    const { cooling, reserved } = this.#ledger.tally(pool).counts;
    return cooling + reserved === 0 ? [] : this.byPool(pool).filter((record) => !isInHands(record));
  }

  /** The records, in whatever state, that were made for this ordinal of a StatefulSet. */
  byOrdinal(reservedFor: ReservedFor): IpAllocation[] {
    return this.#ledger.newest.by('ordinal', ordinalKey(reservedFor));
  }

  /** Whether a record is the owner's now though the watch has not shown it. */
  changesHandsFor(ownerUid: string): boolean {
    return this.#promises.isWritten(ownerUid);
  }

  /** Whether the owner has a record, or one whose change of hands the watch has not shown yet. */
  isServed(ownerUid: string): boolean {
    return this.changesHandsFor(ownerUid) || this.#ledger.newest.has('owner', ownerUid);
  }

  /** The watch shows this record, new or changed. */
  observe(record: IpAllocation): void {
    this.#endTakeover(record, record.metadata.resourceVersion);
    if (this.#ledger.observe(record) === 'newest') this.#refresh(parseAddress(record.metadata.name));
  }

  /** The watch shows that this record is gone. Answers with the pools that have a free address more. */
  forget(record: IpAllocation): string[] {
    this.#endTakeover(record, undefined);
    return this.#ledger.forget(record) === 'gone' ? this.#refresh(parseAddress(record.metadata.name)) : [];
  }

  /** A create or live read of ours shows this record; the watch will follow, or has overtaken us. */
  observeAhead(record: IpAllocation, nowMs: number): void {
    if (this.#ledger.observeAhead(record, nowMs) === 'newest') this.#refresh(parseAddress(record.metadata.name));
  }

  /** Records that the watch should have shown by now and has not. Ask the API server, then call `recant`. */
  overdue(nowMs: number, patienceMs: number): IpAllocation[] {
    return this.#ledger.overdue(nowMs, patienceMs);
  }

  /** A live read shows that a record seen ahead of the watch is gone. Answers as `forget` does. */
  recant(record: IpAllocation): string[] {
    return this.#ledger.recant(record) === 'gone' ? this.#refresh(parseAddress(record.metadata.name)) : [];
  }

  /**
   * The address that a pod runs with, which no other pod gets; undefined when it runs no more. Without it a pod that
   * outlived its record (an uninstall, a backup brought back) would see its address given away. Answers with the pools
   * that gained a free address.
   */
  wear(ownerUid: string, address: Address | undefined): string[] {
    if (this.#inUse.pods.of(ownerUid)[0] === address) return [];
    return this.#refreshAll(this.#inUse.pods.say(ownerUid, address === undefined ? [] : [{ ownerUid, address }]));
  }

  /** The wires of a node that no record explains: their addresses go to nobody else. Answers as `wear` does. */
  setOrphans(node: string, orphans: readonly Wearer[]): string[] {
    return this.#refreshAll(this.#inUse.wires.say(node, orphans));
  }

  /** The address that the owner runs with, where the pool can still give it and nobody else has it. */
  ownAddress(poolName: string, ownerUid: string): Address | undefined {
    const usable = this.#pools.get(poolName)?.usable;
    return this.#inUse
      .of(ownerUid)
      .find((address) => usable?.contains(address) === true && !this.#isOthers(address, ownerUid));
  }

  /** The best address that the pool has for the owner now: its own, the one kept for it, the lowest free, the longest rested. */
  offer(poolName: string, wish: Wish): Offer | undefined {
    const entry = this.#pools.get(poolName);
    if (entry === undefined) return undefined;
    if (wish.fixed !== undefined) return this.#offerFixed(entry, wish.fixed, wish);
    const own = this.ownAddress(poolName, wish.owner.uid);
    if (own !== undefined) return { address: own, manner: 'own', base: undefined };
    const kept = this.#reservedFor(wish).find((record) =>
      this.#takeable(entry, parseAddress(record.metadata.name), wish),
    );
    if (kept !== undefined) return { address: parseAddress(kept.metadata.name), manner: 'kept', base: kept };
    const lowest = entry.free.lowest();
    if (lowest !== undefined) return { address: lowest, manner: 'free', base: undefined };
    const [base] = this.rested(poolName, wish);
    return base && { address: parseAddress(base.metadata.name), manner: 'resting', base };
  }

  /** What rests in the pool and can be the owner's now, the longest-rested first. */
  *rested(poolName: string, wish: Wish): Generator<IpAllocation> {
    const entry = this.#pools.get(poolName);
    for (const address of this.#ledger.tally(poolName).resting()) {
      const base = entry && this.#takeable(entry, address, wish);
      if (base !== undefined) yield base;
    }
  }

  /** What `offer` says, kept for the owner until `withdraw`; for the same owner the same again. */
  promise(poolName: string, wish: Wish): Promised | undefined {
    const { owner } = wish;
    const before = this.#promises.of(owner.uid);
    if (before?.pool === poolName) return before;
    this.withdraw(owner.uid);
    const offer = this.offer(poolName, wish);
    if (offer === undefined) return undefined;
    const promised = { owner, address: offer.address, pool: poolName, base: offer.base };
    this.#promises.make(promised);
    this.#refresh(offer.address);
    return promised;
  }

  /** The record has changed hands, and the watch will show it, or has. */
  changedHands(ownerUid: string): void {
    this.#promises.written(ownerUid);
  }

  /** The record that was to change hands is another by now, as the watch will show; until then it is offered to nobody. */
  spend({ metadata }: IpAllocation): void {
    const shown = this.#ledger.shown(metadata.name);
    if (shown?.metadata.resourceVersion !== metadata.resourceVersion) return;
    this.#spent.add(metadata.name);
  }

  /** Ends a promise: the record exists, or it surely does not. Answers with the pools that gained a free address. */
  withdraw(ownerUid: string): string[] {
    const promised = this.#promises.end(ownerUid);
    return promised === undefined ? [] : this.#refresh(promised.address);
  }

  /** What is on its way to whom. */
  get promised(): Pick<Promises, 'at' | 'of' | 'ofNamesakes'> {
    return this.#promises;
  }

  /** Whether the resting record is to be left alone for a moment: it changes hands, or a node's endpoint lists it still. */
  isChanging({ metadata: { name } }: IpAllocation): boolean {
    const address = parseAddress(name);
    return this.#spent.has(name) || this.#promises.has(address) || this.published.isListed(address);
  }

  /** Whether the pool could ever give the address: it is declared, and nobody's gateway or own address. */
  isUsable(poolName: string, address: Address): boolean {
    return this.#pools.get(poolName)?.usable.contains(address) ?? false;
  }

  /** Whether anybody has an address of the pool, or is just getting one. */
  isInUse(poolName: string): boolean {
    return this.#ledger.newest.has('pool', poolName) || this.#promises.isAnyIn(poolName);
  }

  /** What the pool could ever give, and what of that nobody has. */
  sets(poolName: string): PoolSets {
    return poolSets(this.#pools.get(poolName));
  }

  counts(poolName: string): PoolCounts {
    const entry = this.#pools.get(poolName);
    return { total: entry?.free.total ?? 0, free: entry?.free.count ?? 0, ...this.#ledger.tally(poolName).counts };
  }

  /** Who lists the addresses has changed. Answers with the pools that gained a free address. */
  recheck(addresses: readonly Address[]): string[] {
    return this.#refreshAll(addresses);
  }

  /**
   * A version of the record that is not the one which was to change hands: that write took effect, or never can, since
   * of two writes on one version the API server takes one.
   */
  #endTakeover({ metadata: { name } }: IpAllocation, version: string | undefined): void {
    this.#spent.delete(name);
    const promised = this.#promises.at(parseAddress(name));
    if (promised?.base === undefined || promised.base.metadata.resourceVersion === version) return;
    this.#promises.end(promised.owner.uid);
  }

  #reservedFor({ reservedFor }: Wish): IpAllocation[] {
    const records = reservedFor === undefined ? [] : this.byOrdinal(reservedFor);
    return records.filter(({ spec }) => spec.state === 'Reserved');
  }

  #offerFixed(entry: PoolEntry, address: Address, wish: Wish): Offer | undefined {
    if (!entry.usable.contains(address)) return undefined;
    if (entry.free.has(address)) return { address, manner: 'free', base: undefined };
    if (this.#inUse.of(wish.owner.uid).includes(address) && !this.#isOthers(address, wish.owner.uid)) {
      return { address, manner: 'own', base: undefined };
    }
    const base = this.#takeable(entry, address, wish);
    if (base === undefined) return undefined;
    if (base.spec.state === 'Reserved' || isSameOrdinal(base.spec.reservedFor, wish.reservedFor)) {
      return { address, manner: 'kept', base };
    }
    // It rests for this pod as for any: what is late must not reach it.
    return entry.free.count > 0 ? undefined : { address, manner: 'resting', base };
  }

  /** The record of the address, where it can be given to the owner as it is. */
  #takeable({ pool, usable }: PoolEntry, address: Address, { owner, reservedFor }: Wish): IpAllocation | undefined {
    const name = formatAddress(address);
    // What was seen ahead of the watch may be followed by older versions, which would end the promise too early.
    const record = this.#ledger.shown(name);
    if (record === undefined || this.#spent.has(name)) return undefined;
    const { spec } = record;
    if (spec.ips !== pool.name || !usable.contains(address)) return undefined;
    // Its status says for good that this very owner let go of it, and an agent would believe that.
    if (spec.owner.uid === owner.uid) return undefined;
    if (this.#promises.has(address) || this.#inUse.isOthers(address, owner.uid)) return undefined;
    if (this.published.isListed(address)) return undefined;
    if (spec.state === 'Cooling') return record;
    return spec.state === 'Reserved' && isSameOrdinal(spec.reservedFor, reservedFor) ? record : undefined;
  }

  #isTaken(address: Address): boolean {
    if (this.#promises.has(address) || this.#inUse.has(address)) return true;
    if (this.published.isListed(address)) return true;
    return this.#ledger.newest.get(formatAddress(address)) !== undefined;
  }

  #isOthers(address: Address, ownerUid: string): boolean {
    if (this.#inUse.isOthers(address, ownerUid)) return true;
    return this.#promises.has(address) || this.#ledger.newest.get(formatAddress(address)) !== undefined;
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

  #setEntry(pool: Pool): void {
    const recorded = [...this.#ledger.newest.addresses()].map(parseAddress);
    const inUse = this.#inUse.addresses();
    const taken = [...recorded, ...this.#promises.addresses(), ...inUse, ...this.published.addresses()];
    const entry = poolEntry(pool, this.#kept, taken);
    this.#pools.set(pool.name, entry);
    this.#ledger.tally(pool.name).setUsable(entry.usable, this.byPool(pool.name));
  }

  /** Builds anew the pools that hold one of the addresses: with many nodes and records nothing else is affordable. */
  #rebuild(changed: RangeSet, except = ''): string[] {
    const concerned = [...this.#pools.values()]
      .map(({ pool }) => pool)
      .filter((pool) => pool.name !== except && pool.declared.intersect(changed).size > 0);
    for (const pool of concerned) this.#setEntry(pool);
    return concerned.map((pool) => pool.name);
  }
}
