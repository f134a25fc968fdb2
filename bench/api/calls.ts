// SPDX-License-Identifier: Apache-2.0
// Calls a second: gets one after the other, creates many at once.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { type BenchRun, interleaved } from '../bench.ts';
import { atOnce } from './at-once.ts';
import { connectionsDuring } from './connections.ts';
import type { Calls, Contestants } from './contestants.ts';
import type { Records } from './records.ts';

export type Name = 'stock' | 'ours' | 'bare';
export type Rates = Record<Name, number[]>;

/** The stock client is so much slower that fewer calls take as long. */
const stockShare = 0.25;
const getsPerTurn = 1000;
const createsPerTurn = 1500;
/** So that many rounds still leave the lists their size. */
const createsAtMost = 60_000;

/** Per second. */
async function rateOf<T>(items: readonly T[], width: number, call: (item: T) => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await atOnce(items, width, call);
  return (items.length * 1000) / (performance.now() - startMs);
}

export async function getRates(contestants: Contestants, record: IpAllocation, run: BenchRun): Promise<Rates> {
  const turn = (calls: Pick<Calls, 'get'>, count: number) => () =>
    rateOf(
      Array.from({ length: count }, () => record.metadata.name),
      1,
      (name) => calls.get(name),
    );
  return await interleaved(
    {
      stock: turn(contestants.stock, getsPerTurn * stockShare),
      ours: turn(contestants.ours, getsPerTurn),
      bare: turn(contestants.bare, getsPerTurn),
    },
    run,
  );
}

export interface CreateRates {
  readonly rates: Rates;
  /** Connections that ours made after its first turn of `width` calls at once. */
  readonly newConnections: number;
}

/** How many records a turn of ours makes in so many rounds. */
export function createsIn(rounds: number): number {
  const turnsPerRound = 2 * (2 + stockShare);
  return Math.min(createsPerTurn, Math.floor(createsAtMost / turnsPerRound / rounds));
}

export async function createRates(
  contestants: Contestants,
  records: Records,
  width: number,
  run: BenchRun,
): Promise<CreateRates> {
  const count = createsIn(run.rounds);
  const turn = async (calls: Pick<Calls, 'create'>, of: number): Promise<number> =>
    await rateOf(records.take(of), width, (record) => calls.create(record));
  for (const calls of [contestants.stock, contestants.ours, contestants.bare]) await turn(calls, width * 2);
  let newConnections = 0;
  const ours = async (): Promise<number> => {
    let rate = 0;
    newConnections += await connectionsDuring(async () => {
      rate = await turn(contestants.ours, count);
    });
    return rate;
  };
  const stock = () => turn(contestants.stock, Math.ceil(count * stockShare));
  const rates = await interleaved({ stock, ours, bare: () => turn(contestants.bare, count) }, run);
  return { rates, newConnections };
}

/** Makes so many records as fast as the server takes them, and says how far it is. */
export async function fill(contestants: Contestants, records: Records, count: number, run: BenchRun): Promise<void> {
  let saidMs = performance.now();
  await atOnce(records.take(Math.max(count, 0)), 64, async (record, at) => {
    run.signal.throwIfAborted();
    await contestants.bare.create(record);
    if (performance.now() - saidMs > 5000) {
      saidMs = performance.now();
      run.say(`  ${at} of ${count} records`);
    }
  });
}
