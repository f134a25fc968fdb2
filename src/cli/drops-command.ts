// SPDX-License-Identifier: Apache-2.0
// `fast-ctl drops`: what the programs ended, by reason, and whose packets the last ones were.
import { Command, Option } from 'commander';
import { bpfPinFolder } from '../api/names.ts';
import { decodeCounters, decodeDrops } from '../datapath/codecs.ts';
import type { DropRecord } from '../datapath/entries.ts';
import { counters, maps } from '../datapath/generated/layout.ts';
import { sayDuration } from './duration.ts';
import { formatData, formatRows, type OutputFormat, outputOption } from './output.ts';
import type { ReadMap } from './pinned-maps.ts';
import { Ended, stoppedExitCode, type Surroundings } from './surroundings.ts';
import type { Column, Row } from './table.ts';
import { colours, plain } from './tones.ts';
import { wholeNumberOf } from './words.ts';

interface Options {
  readonly output: OutputFormat;
  readonly pinFolder: string;
  readonly follow?: true;
  readonly last?: number;
  readonly reason?: string;
}

const pollMs = 500;
const protocols: Partial<Record<number, string>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP' };
const etherTypes: Partial<Record<number, string>> = { 0x0800: 'IPv4', 0x0806: 'ARP', 0x86dd: 'IPv6' };

const summaryColumns: Column[] = [
  { title: 'PROGRAM', field: 'program' },
  { title: 'REASON', field: 'reason' },
  { title: 'PACKETS', field: 'packets', isRightAligned: true },
  { title: 'LAST', field: 'last' },
  { title: 'PACKET', field: 'packet' },
  { title: 'MEANING', field: 'meaning' },
];
const recordColumns: Column[] = [
  { title: 'AT', field: 'at' },
  { title: 'PROGRAM', field: 'program' },
  { title: 'REASON', field: 'reason' },
  { title: 'DEVICE', field: 'device' },
  { title: 'PACKET', field: 'packet' },
  { title: 'BYTES', field: 'bytes', isRightAligned: true },
  { title: 'MEANING', field: 'meaning', isWide: true },
];

/** `10.244.10.0:40000 → 10.96.0.1:80 TCP`, as far as the program had read the packet. */
function packetOf(record: DropRecord): string {
  const { source, destination, protocol, sourcePort, destinationPort, tunnelSource, etherType } = record;
  const by = tunnelSource === '0.0.0.0' ? '' : ` from node ${tunnelSource}`;
  if (source === '0.0.0.0') return `${etherTypes[etherType] ?? `ethertype 0x${etherType.toString(16)}`}${by}`;
  const port = (number: number): string => (number === 0 ? '' : `:${number}`);
  const ends = `${source}${port(sourcePort)} → ${destination}${port(destinationPort)}`;
  return `${ends} ${protocols[protocol] ?? `protocol ${protocol}`}${by}`;
}

/** What the program had read of a packet, for programs; what it had not is left out. */
function fieldsOf(record: DropRecord): Row {
  const { source, destination, protocol, sourcePort, destinationPort, tunnelSource, etherType } = record;
  const types = { etherType, etherTypeName: etherTypes[etherType] };
  const node = tunnelSource === '0.0.0.0' ? {} : { tunnelSource };
  if (source === '0.0.0.0') return { ...types, ...node };
  const ports = sourcePort === 0 && destinationPort === 0 ? {} : { sourcePort, destinationPort };
  return { ...types, source, destination, protocol, protocolName: protocols[protocol], ...ports, ...node };
}

export class Drops {
  readonly #s: Surroundings;
  readonly #read: ReadMap;
  readonly #reason: string | undefined;

  constructor(s: Surroundings, read: ReadMap, reason: string | undefined) {
    this.#s = s;
    this.#read = read;
    this.#reason = reason;
  }

  /** The records that the ring still has, the oldest first. */
  async records(): Promise<DropRecord[]> {
    const records = decodeDrops(await this.#read(maps.drops.name));
    return records.filter(({ reason }) => this.#reason === undefined || reason === this.#reason);
  }

  #agoMs({ atNs }: DropRecord): number {
    return Number(this.#s.monotonicNs() - atNs) / 1e6;
  }

  row(record: DropRecord): Row {
    const { program, reason, meaning, bytes, sequence, ifindex } = record;
    const at = new Date(this.#s.nowMs() - this.#agoMs(record)).toISOString();
    const device = this.#s.deviceName(ifindex) ?? `device ${ifindex}`;
    const fields = fieldsOf(record);
    return { at, program, reason, device, packet: packetOf(record), bytes, meaning, sequence, ifindex, ...fields };
  }

  /** Every reason that has dropped something. */
  async summary(): Promise<Row[]> {
    const records = await this.records();
    const readings = decodeCounters(await this.#read(maps.counters.name));
    return readings
      .filter(({ drop, packets, reason }) => drop && packets > 0n && (this.#reason ?? reason) === reason)
      .map(({ program, reason, packets, meaning }) => {
        const last = records.findLast((one) => one.program === program && one.reason === reason);
        const common = { program, reason, packets: Number(packets), meaning };
        if (last === undefined) return common;
        const agoMs = Math.max(0, this.#agoMs(last));
        const lastAgeSeconds = Math.round(agoMs / 1000);
        return {
          ...common,
          last: sayDuration(agoMs),
          packet: packetOf(last),
          lastAgeSeconds,
          lastPacket: this.row(last),
        };
      });
  }
}

async function follow(drops: Drops, { output, last = 0 }: Options, s: Surroundings): Promise<void> {
  // Of those from before only as many as were asked for.
  let seen = (await drops.records()).at(-1 - last)?.sequence ?? 0;
  let isFirst = true;
  while (!s.stopped.aborted) {
    const fresh = (await drops.records()).filter(({ sequence }) => sequence > seen).map((record) => drops.row(record));
    seen = Number(fresh.at(-1)?.['sequence'] ?? seen);
    if (fresh.length > 0) {
      // A list of YAML goes on with the next one; of JSON each line is a whole.
      const lines = (): string => fresh.map((row) => `${JSON.stringify(row)}\n`).join('');
      const data = output === 'json' ? lines() : formatData(fresh, output);
      const paint = s.isColourful ? colours : plain;
      const text = data ?? formatRows(recordColumns, fresh, output, { nothing: '', paint });
      s.print(isFirst || data !== undefined ? text : text.slice(text.indexOf('\n') + 1));
      isFirst = false;
    }
    await s.sleep(pollMs);
  }
  throw new Ended(stoppedExitCode(s.stopped));
}

const reasons = [...new Set(counters.filter(({ drop }) => drop).map(({ reason }) => reason))].sort();

const mostKept = maps.drops.maxEntries;
const countOf = wholeNumberOf(1, mostKept, `give a whole number from 1 to ${mostKept}, which is all that is kept.`);

export function dropsCommand(s: Surroundings): Command {
  return new Command('drops')
    .description('what the programs dropped: a summary by reason, the last packets, or live')
    .option('--last <n>', 'the last packets that were written down, of each reason at most ten a second', countOf)
    .option('-f, --follow', 'each drop as it is written down, after the last ones if --last is given, until Ctrl-C')
    .addOption(new Option('--reason <reason>', 'this one alone').choices(reasons))
    .addOption(outputOption())
    .option('--pin-folder <path>', 'where the agent pins its maps', bpfPinFolder)
    .action(async (options: Options) => {
      const drops = new Drops(s, s.openMaps(options.pinFolder), options.reason);
      if (options.follow) return follow(drops, options, s);
      const paint = s.isColourful ? colours : plain;
      if (options.last !== undefined) {
        const rows = (await drops.records()).slice(-options.last).map((record) => drops.row(record));
        s.print(formatRows(recordColumns, rows, options.output, { nothing: 'nothing was written down', paint }));
        return;
      }
      const rows = await drops.summary();
      const data = formatData(rows, options.output);
      s.print(data ?? formatRows(summaryColumns, rows, options.output, { nothing: 'nothing was dropped', paint }));
    });
}
