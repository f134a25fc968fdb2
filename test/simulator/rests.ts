// SPDX-License-Identifier: Apache-2.0
// How long addresses have rested, kept apart from what the controllers keep: an address that its node let go of a moment
// ago is for nobody else while the pool has another.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import { type Address, formatAddress, parseAddress } from '../../src/ip/address.ts';
import { RangeSet } from '../../src/ip/range-set.ts';
import { parsePool } from '../../src/reconcilers/pool.ts';
import { isSameOrdinal } from '../../src/reconcilers/stateful-set.ts';

/** Times in a record are whole seconds. */
const grainMs = 1_000;

/** As long as a try may be put off by those before it, or a watch lag. */
const memoryMs = 60_000;

interface Version {
  readonly fromMs: number;
  readonly declared: RangeSet;
  /** 0 for a pool that is not there, or about to go. */
  readonly coolDownMs: number;
}

interface Release {
  readonly atMs: number;
  readonly ownerUid: string;
  readonly pool: string;
}

export class Rests {
  readonly #now: () => number;
  readonly #versions = new Map<string, Version[]>();
  readonly #pools = new Map<string, Ips>();
  /** By address. */
  readonly #released = new Map<string, Release>();

  readonly #isServices: (address: Address) => boolean;

  constructor(now: () => number, isServices: (address: Address) => boolean) {
    this.#now = now;
    this.#isServices = isServices;
  }

  onPool(pool: Ips | undefined, name: string): void {
    const isThere = pool !== undefined && pool.metadata.deletionTimestamp === undefined;
    const parsed = pool === undefined ? undefined : parsePool(pool);
    const declared = parsed?.kind === 'pool' ? parsed.pool.declared : RangeSet.empty;
    const coolDownMs = isThere ? (pool.spec.coolDownSeconds ?? 0) * 1_000 : 0;
    this.#versions.set(name, [...(this.#versions.get(name) ?? []), { fromMs: this.#now(), declared, coolDownMs }]);
    if (pool !== undefined) this.#pools.set(name, pool);
  }

  /** Whether the pool held the address a short while ago: a create that got no clear answer is sent again as it was decided. */
  heldLately(pool: string, address: string): boolean {
    const versions = this.#versions.get(pool) ?? [];
    const first = versions.findLastIndex(({ fromMs }) => fromMs <= this.#now() - memoryMs);
    return versions.slice(Math.max(first, 0)).some(({ declared }) => declared.contains(parseAddress(address)));
  }

  onRecord({ spec, status }: IpAllocation): void {
    const ownerUid = status?.released?.owner.uid;
    if (ownerUid !== spec.owner.uid || this.#released.get(spec.address)?.ownerUid === ownerUid) return;
    this.#released.set(spec.address, { atMs: this.#now(), ownerUid, pool: spec.ips });
  }

  /** Why the address should have rested longer; undefined where it has, or where the pool had no other. */
  whyNotRested(
    { spec: { address, owner, ips, reservedFor } }: IpAllocation,
    before: IpAllocation | undefined,
    records: readonly IpAllocation[],
  ): string | undefined {
    const release = this.#released.get(address);
    // An ordinal's own address comes back to it.
    if (release === undefined || release.ownerUid === owner.uid || before?.spec.state === 'Reserved') return undefined;
    if (isSameOrdinal(before?.spec.reservedFor, reservedFor)) return undefined;
    const restedMs = this.#now() - release.atMs;
    const wantedMs = this.#leastRest(release.pool, release.atMs) - grainMs;
    if (restedMs >= wantedMs) return undefined;
    const other = this.#other(ips, address, records);
    if (other === undefined) return undefined;
    return `it has rested ${restedMs} ms of ${wantedMs + grainMs}, and ${formatAddress(other)} was free`;
  }

  /** The shortest rest that the pool has asked for since then. */
  #leastRest(pool: string, sinceMs: number): number {
    const versions = this.#versions.get(pool) ?? [];
    // A controller whose watch lags sees a pool as it was some time ago, several edits back.
    const first = versions.findLastIndex(({ fromMs }) => fromMs <= sinceMs - memoryMs);
    return Math.min(...versions.slice(Math.max(first, 0)).map(({ coolDownMs }) => coolDownMs));
  }

  /** An address of the pool that has been nobody's for long. */
  #other(name: string, address: string, records: readonly IpAllocation[]): Address | undefined {
    const pool = this.#pools.get(name);
    const parsed = pool === undefined ? undefined : parsePool(pool);
    if (parsed?.kind !== 'pool') return undefined;
    const taken = new Set(records.map(({ metadata }) => metadata.name));
    for (const { first, last } of parsed.pool.declared.ranges) {
      for (let each = first; each <= last; each += 1) {
        const text = formatAddress(each);
        const isOurs = text !== address && !this.#isServices(each);
        if (isOurs && !taken.has(text) && !this.#released.has(text)) return each;
      }
    }
    return undefined;
  }
}
