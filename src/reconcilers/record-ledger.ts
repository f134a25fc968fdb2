// SPDX-License-Identifier: Apache-2.0
// The newest known record of each address, out of two sources: what the watch shows, and what a create or live read of
// ours has shown before it.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { PoolTally } from './pool-tally.ts';
import { RecordIndex } from './record-index.ts';

/** A record that a write or live read of ours has shown before the watch did. */
interface Ahead {
  readonly record: IpAllocation;
  readonly sinceMs: number;
}

export class RecordLedger {
  readonly #newest = new RecordIndex();
  /** The record of each address as the watch shows it. */
  readonly #shown = new Map<string, IpAllocation>();
  readonly #ahead = new Map<string, Ahead>();
  readonly #tallies = new Map<string, PoolTally>();

  get newest(): Pick<RecordIndex, 'get' | 'addresses' | 'by' | 'has'> {
    return this.#newest;
  }

  /** The record, if nothing newer is known than what the watch shows: the next version that it shows is a later one. */
  shown(name: string): IpAllocation | undefined {
    const record = this.#shown.get(name);
    return record === this.#newest.get(name) ? record : undefined;
  }

  tally(pool: string): PoolTally {
    const tally = this.#tallies.get(pool) ?? new PoolTally();
    this.#tallies.set(pool, tally);
    return tally;
  }

  /** The watch shows this record, new or changed. */
  observe(record: IpAllocation): 'newest' | 'overtaken' {
    const { name, uid } = record.metadata;
    this.#shown.set(name, record);
    const ahead = this.#ahead.get(name);
    if (ahead !== undefined && ahead.record.metadata.uid !== uid) return 'overtaken';
    this.#ahead.delete(name);
    this.#set(record);
    return 'newest';
  }

  /** The watch shows that this record is gone. */
  forget({ metadata: { name, uid } }: IpAllocation): 'gone' | 'overtaken' {
    if (this.#shown.get(name)?.metadata.uid !== uid) return 'overtaken';
    this.#shown.delete(name);
    const ahead = this.#ahead.get(name);
    if (ahead !== undefined && ahead.record.metadata.uid !== uid) return 'overtaken';
    this.#delete(name);
    return 'gone';
  }

  /** A create or live read of ours shows this record; the watch will follow, or has overtaken us. */
  observeAhead(record: IpAllocation, nowMs: number): 'newest' | 'overtaken' {
    const { name, uid } = record.metadata;
    // What the watch shows is of the same age or newer, and it would not show it again.
    if (this.#shown.get(name)?.metadata.uid === uid) return 'overtaken';
    this.#ahead.set(name, { record, sinceMs: nowMs });
    this.#set(record);
    return 'newest';
  }

  /** Records that the watch should have shown by now and has not. Ask the API server, then call `recant`. */
  overdue(nowMs: number, patienceMs: number): IpAllocation[] {
    return [...this.#ahead.values()].filter((each) => nowMs - each.sinceMs >= patienceMs).map((each) => each.record);
  }

  /** A live read shows that a record seen ahead of the watch is gone. */
  recant({ metadata: { name, uid } }: IpAllocation): 'gone' | 'overtaken' {
    if (this.#ahead.get(name)?.record.metadata.uid !== uid) return 'overtaken';
    this.#ahead.delete(name);
    const shown = this.#shown.get(name);
    if (shown === undefined) this.#delete(name);
    else this.#set(shown);
    return shown === undefined ? 'gone' : 'overtaken';
  }

  #set(record: IpAllocation): void {
    this.#untally(record.metadata.name);
    this.#newest.set(record);
    this.tally(record.spec.ips).add(record);
  }

  #delete(name: string): void {
    this.#untally(name);
    this.#newest.delete(name);
    this.#ahead.delete(name);
  }

  #untally(name: string): void {
    const before = this.#newest.get(name);
    if (before !== undefined) this.tally(before.spec.ips).remove(before);
  }
}
