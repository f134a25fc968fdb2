// SPDX-License-Identifier: Apache-2.0
// `fast-ctl monitor`: which ways packets take right now, by the programs' counters.
import { Command, Option } from 'commander';
import { bpfPinFolder } from '../api/names.ts';
import { decodeCounters } from '../datapath/codecs.ts';
import type { CounterReading } from '../datapath/entries.ts';
import { maps } from '../datapath/generated/layout.ts';
import { durationOf } from './duration.ts';
import { formatData, formatRows, type OutputFormat, outputOption } from './output.ts';
import { Ended, stoppedExitCode, type Surroundings } from './surroundings.ts';
import type { Column, Row } from './table.ts';
import { colours, plain } from './tones.ts';
import { wholeNumberOf } from './words.ts';

interface Options {
  readonly output: OutputFormat;
  readonly pinFolder: string;
  /** Milliseconds. */
  readonly interval: number;
  readonly count?: number;
}

const columns: Column[] = [
  { title: 'PROGRAM', field: 'program' },
  { title: 'VERDICT', field: 'verdict', tone: (text) => (text === 'drop' ? 'bad' : undefined) },
  { title: 'REASON', field: 'reason' },
  { title: 'PACKETS/S', field: 'perSecond', isRightAligned: true },
  { title: 'TOTAL', field: 'packets', isRightAligned: true },
  { title: 'MEANING', field: 'meaning', isWide: true },
];

/** What moved, the busiest first. */
export function ratesOf(before: readonly CounterReading[], after: readonly CounterReading[], seconds: number): Row[] {
  const old = new Map(before.map(({ number, packets }) => [number, packets]));
  return after
    .map((now) => ({ ...now, moved: Number(now.packets - (old.get(now.number) ?? 0n)) }))
    .filter(({ moved }) => moved > 0)
    .toSorted((a, b) => b.moved - a.moved)
    .map(({ program, verdict, reason, packets, meaning, moved }) => ({
      program,
      verdict,
      reason,
      perSecond: Math.round(moved / seconds),
      packets: Number(packets),
      meaning,
    }));
}

const interval = { leastMs: 100, mostMs: 3_600_000 };

const countOf = wholeNumberOf(1, 1e15, 'give a whole number from 1 on.');

async function monitor(options: Options, s: Surroundings): Promise<void> {
  const read = s.openMaps(options.pinFolder);
  const counters = async (): Promise<CounterReading[]> => decodeCounters(await read(maps.counters.name));
  let before = await counters();
  let beforeNs = s.monotonicNs();
  for (let turn = 0; turn < (options.count ?? Infinity) && !s.stopped.aborted; turn += 1) {
    await s.sleep(options.interval);
    const after = await counters();
    const afterNs = s.monotonicNs();
    const seconds = Number(afterNs - beforeNs) / 1e9;
    const rows = ratesOf(before, after, seconds);
    [before, beforeNs] = [after, afterNs];
    const at = new Date(s.nowMs()).toISOString();
    if (options.output === 'json') s.print(`${JSON.stringify({ at, seconds, rates: rows })}\n`);
    // A stream of documents.
    else if (options.output === 'yaml') s.print(`---\n${formatData({ at, seconds, rates: rows }, 'yaml') ?? ''}`);
    else {
      const paint = s.isColourful ? colours : plain;
      s.print(`${at}\n${formatRows(columns, rows, options.output, { nothing: 'no packet came by', paint })}\n`);
    }
  }
  if (s.stopped.aborted) throw new Ended(stoppedExitCode(s.stopped));
}

export function monitorCommand(s: Surroundings): Command {
  return new Command('monitor')
    .description('how many packets take which way, each second, until Ctrl-C')
    .addOption(
      new Option('--interval <duration>', 'how long is counted before it is shown, such as 500ms or 1m')
        .default(1_000, '1s')
        .argParser(durationOf(interval, 'a duration from 100ms to 1h, such as 500ms, 5s or 1m')),
    )
    .option('--count <n>', 'show it so many times and end', countOf)
    .addOption(outputOption())
    .option('--pin-folder <path>', 'where the agent pins its maps', bpfPinFolder)
    .action((options: Options) => monitor(options, s));
}
