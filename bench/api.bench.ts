// SPDX-License-Identifier: Apache-2.0
// The client and the informer on one real API server: against the stock client, and against the least that any client has
// to do (bench/api/bare.ts).
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { recordKind } from '../src/operator/kinds.ts';
import { type ApiServer, startApiServer } from '../test/cluster/api-server.ts';
import { createRates, type CreateRates, fill, getRates, type Rates } from './api/calls.ts';
import { connectionsDuring } from './api/connections.ts';
import { Contestants } from './api/contestants.ts';
import { type EventRates, eventRates } from './api/events.ts';
import { Records } from './api/records.ts';
import { recordInformer, synced, type SyncTimes, syncTimes } from './api/sync.ts';
import { type Bench, type BenchResult, type BenchRun, median, pairedRatio, type Table } from './bench.ts';
import { atOnce } from './api/at-once.ts';

const few = 10_000;
const many = 100_000;
const eventCount = 20_000;
const longRunCreates = 6000;
const watchesBeside = 3;

interface Measured {
  readonly gets: Rates;
  readonly creates32: CreateRates;
  readonly creates64: CreateRates;
  readonly longRunConnections: number;
  readonly syncFew: SyncTimes;
  readonly syncMany: SyncTimes;
  readonly events: EventRates;
}

async function applyKinds(server: ApiServer): Promise<void> {
  const crds = join(fileURLToPath(new URL('..', import.meta.url)), 'crds');
  const wait = ['wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all'];
  for (const args of [['apply', '-k', crds], wait]) {
    const { code, stderr } = await server.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  }
}

/** Connections that ours makes in a long run of creates, 64 at once and warm, with informers watching beside. */
async function longRun(contestants: Contestants, records: Records): Promise<number> {
  const { client, ours } = contestants;
  const informers = Array.from({ length: watchesBeside }, () => recordInformer({ client }));
  await Promise.all(informers.map(synced));
  const create = (count: number) => atOnce(records.take(count), 64, (record) => ours.create(record));
  await create(128);
  const connections = await connectionsDuring(() => create(longRunCreates));
  await Promise.all(informers.map((informer) => informer.stop()));
  return connections;
}

async function measure(contestants: Contestants, records: Records, run: BenchRun): Promise<Measured> {
  const { say } = run;
  say(`making ${few} records`);
  await fill(contestants, records, few, run);
  say(`first sync of ${few}`);
  const syncFew = await syncTimes(contestants, few, run);
  say(`${eventCount} events, while they are made and after`);
  const write = () => fill(contestants, records, eventCount, run);
  const events = await eventRates(contestants, eventCount, write, run);
  const [one] = records.take(1);
  if (one === undefined) throw new Error('no record was made');
  await contestants.bare.create(one);
  say('gets, one after the other');
  const gets = await getRates(contestants, one, run);
  say('creates, 32 at once');
  const creates32 = await createRates(contestants, records, 32, run);
  say('creates, 64 at once');
  const creates64 = await createRates(contestants, records, 64, run);
  say(`${longRunCreates} creates, 64 at once, with ${watchesBeside} watches beside`);
  const longRunConnections = await longRun(contestants, records);
  say(`making ${many - records.made} records more`);
  await fill(contestants, records, many - records.made, run);
  say(`first sync of ${many}`);
  const syncMany = await syncTimes(contestants, records.made, run);
  return { gets, creates32, creates64, longRunConnections, syncFew, syncMany, events };
}

async function run(order: BenchRun): Promise<BenchResult> {
  order.say('starting the API server');
  const server = await startApiServer(order.say);
  const contestants = new Contestants(server);
  try {
    await applyKinds(server);
    return resultOf(await measure(contestants, new Records(), order));
  } finally {
    await contestants.close();
    await server.stop();
  }
}

function callsTable({ gets, creates32, creates64 }: Measured): Table {
  const row = (name: string, { stock, ours, bare }: Rates) => [name, median(stock), median(ours), median(bare)];
  return {
    title: `calls a second on one ${recordKind.kind} as the controller writes it`,
    columns: ['', 'stock client-node', 'ours', 'bare undici pool'],
    rows: [
      row('get, one after the other', gets),
      row('create, 32 at once', creates32.rates),
      row('create, 64 at once', creates64.rates),
    ],
  };
}

function syncTable({ syncFew, syncMany }: Measured): Table {
  const row = (count: number, { ours, pages, whole, bytesPerObject, pauseMs }: SyncTimes) => [
    count,
    ...[ours, pages, whole, bytesPerObject, pauseMs].map(median),
  ];
  return {
    title: 'first sync of an informer',
    columns: [
      'objects',
      'ours ms',
      'bare list in pages ms',
      'bare list in one answer ms',
      'bytes of heap per object',
      'longest pause ms',
    ],
    rows: [row(few, syncFew), row(many, syncMany)],
  };
}

function eventsTable({ events }: Measured): Table {
  return {
    title: `events a second, ${eventCount} that happened before`,
    columns: ['', 'ours, through the informer', 'bare watch'],
    rows: [['events', median(events.ours), median(events.bare)]],
  };
}

/** Against the quicker of the two bare lists. */
function syncRatio({ ours, pages, whole }: SyncTimes): number {
  return pairedRatio(ours, median(pages) < median(whole) ? pages : whole);
}

function resultOf(measured: Measured): BenchResult {
  const { gets, creates32, creates64, syncFew, syncMany, events } = measured;
  const newConnections = creates32.newConnections + creates64.newConnections + measured.longRunConnections;
  const vs = (of: Rates, other: 'bare' | 'stock'): number => pairedRatio(of.ours, of[other]);
  return {
    tables: [callsTable(measured), syncTable(measured), eventsTable(measured)],
    ratios: {
      create64_vs_limit: {
        value: vs(creates64.rates, 'bare'),
        aim: { atLeast: 0.85 },
        of: 'creates a second, 64 at once: ours / bare undici pool',
      },
      create64_vs_stock: {
        value: vs(creates64.rates, 'stock'),
        aim: { atLeast: 2.5 },
        of: 'creates a second, 64 at once: ours / stock client-node',
      },
      create32_vs_limit: { value: vs(creates32.rates, 'bare'), of: 'the same, 32 at once: ours / bare' },
      create32_vs_stock: { value: vs(creates32.rates, 'stock'), of: 'the same, 32 at once: ours / stock' },
      get_vs_limit: { value: vs(gets, 'bare'), of: 'gets a second, one after the other: ours / bare' },
      get_vs_stock: { value: vs(gets, 'stock'), of: 'gets a second, one after the other: ours / stock' },
      sync100k_vs_list: {
        value: syncRatio(syncMany),
        aim: { atMost: 1.3 },
        of: `time of a first sync of ${many} objects / time of the quicker bare list`,
      },
      sync10k_vs_list: {
        value: syncRatio(syncFew),
        of: `time of a first sync of ${few} objects / time of the quicker bare list`,
      },
      events_vs_limit: {
        value: pairedRatio(events.ours, events.bare),
        of: 'events a second through the informer / lines of the bare watch',
      },
    },
    figures: {
      events_per_second: { value: median(events.ours), of: 'through the informer, to one handler' },
      bytes_per_object: { value: median(syncMany.bytesPerObject), of: `heap of an informer of ${many} records` },
      sync100k_pause_ms: {
        value: median(syncMany.pauseMs),
        of: `the longest time for which a first sync of ${many} records lets no timer run`,
      },
      new_tls_connections_after_warmup: {
        value: newConnections,
        aim: { atMost: 0 },
        of: `connections of ours in all rounds of creates and in ${longRunCreates} more beside ${watchesBeside} watches`,
      },
    },
    notes: [
      `The limit is what any client has to do: an undici pool of the same 64 kept connections, the same JSON sent, the whole
answer read and parsed. The stock client is CustomObjectsApi of client-node, which connects anew for each call.
The bare list, in pages of 500 or in one answer, is read and parsed, all objects kept; the informer lists as in production.`,
    ],
  };
}

export const bench: Bench = {
  name: 'api',
  about: 'calls, first syncs and events on one API server: ours, stock client-node and a bare undici pool',
  defaultRounds: 5,
  run,
};
