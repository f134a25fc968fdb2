// SPDX-License-Identifier: Apache-2.0
// The kernel's table of flows (ctnetlink, include/uapi/linux/netfilter/nfnetlink_conntrack.h): those of an address are
// found by a filter that the kernel applies, or among all, and deleted one by one, as it has no deletion by filter.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { NetlinkError } from '../errors.ts';
import { addressBytes, AF_INET, Attributes, findAttribute, headerSize, Message, messageFlags } from './message.ts';
import type { RouteSocket } from './socket.ts';

const NFNL_SUBSYS_CTNETLINK = 1;
const [GET, DELETE, GET_STATS] = [1, 2, 5].map((command) => (NFNL_SUBSYS_CTNETLINK << 8) | command) as [
  number,
  number,
  number,
];
const NESTED = 0x8000;
/** struct nfgenmsg. */
const fixedSize = 4;
const CTA = { tupleOriginal: 1, tupleReply: 2, id: 12, zone: 18, filter: 25 } as const;
const CTA_STATS_GLOBAL_ENTRIES = 1;
const TUPLE_IP = 1;
const IP_V4_SRC = 1;
/** CTA_FILTER_F_CTA_IP_SRC of net/netfilter/nf_conntrack_netlink.c. */
const MATCH_SOURCE = 1;
/** Whatever else waits has its turn after so long. */
const turnMs = 2;

/**
 * What a walk through the whole table costs, every bucket locked in turn: some 5 ms for its 262,144 buckets, and for each flow
 * as much as it takes to look at its tuple, or to hand it out and look at it here. Measured with 0 to 200,000 flows: by the
 * kernel's filter 5 to 55 ms, all of it behind the calling thread, for a list 10 to 550.
 */
const cost = { walkUs: 5_000, filteredFlowUs: 0.25, listedFlowUs: 2.5 } as const;

/** A flow's two tuples: how its first packet came, and how the answer to it does. */
const sides = [
  { name: 'original', tuple: CTA.tupleOriginal, filterFlags: 1 },
  { name: 'reply', tuple: CTA.tupleReply, filterFlags: 2 },
] as const;

function start(purpose: string, type: number, flags: number): Message {
  // The family, NFNETLINK_V0, and a resource id that ctnetlink does not use.
  return new Message(purpose, type, flags).u8(AF_INET, 0).u16(0);
}

function everyFlow(): Message {
  return start('list flows', GET, messageFlags.dump);
}

function flowsFrom(side: (typeof sides)[number], source: Buffer): Message {
  const message = start(`list flows with the ${side.name} source ${[...source].join('.')}`, GET, messageFlags.dump);
  message.attribute(side.tuple | NESTED, () => {
    message.attribute(TUPLE_IP | NESTED, () => message.attribute(IP_V4_SRC, source));
  });
  return message.attribute(CTA.filter | NESTED, () => message.attribute(side.filterFlags, MATCH_SOURCE));
}

/** Whatever is cheaper: one list of all flows, or one of each address and side by the kernel's filter. */
function questions(socket: RouteSocket, wanted: readonly Buffer[]): Message[] {
  const flows = countFlows(socket);
  const filteredUs = wanted.length * sides.length * (cost.walkUs + flows * cost.filteredFlowUs);
  if (cost.walkUs + flows * cost.listedFlowUs <= filteredUs) return [everyFlow()];
  return wanted.flatMap((source) => sides.map((side) => flowsFrom(side, source)));
}

function flowOf(answer: Buffer): Attributes {
  return new Attributes(answer, headerSize + fixedSize);
}

/** The source of one of a flow's tuples, as a number: a list may be long. */
function sourceOf(answer: Buffer, tuple: number): number {
  let [at, end] = [headerSize + fixedSize, answer.length];
  for (const type of [tuple, TUPLE_IP, IP_V4_SRC]) {
    at = findAttribute(answer, at, end, type);
    if (at < 0) return 0;
    end = at - 4 + answer.readUInt16LE(at - 4);
  }
  return answer.readUInt32BE(at);
}

/** Answers false for a flow that has ended by itself. */
function deleteFlow(socket: RouteSocket, flow: Attributes): boolean {
  const message = start('delete a flow', DELETE, messageFlags.ack);
  message.attribute(CTA.tupleOriginal | NESTED, flow.bytes(CTA.tupleOriginal));
  for (const type of [CTA.id, CTA.zone]) message.attribute(type, flow.bytes(type));
  try {
    socket.change(message);
    return true;
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENOENT') return false;
    throw error;
  }
}

/**
 * How many flows there are. Where connection tracking is a module, the question has the kernel load it. `socket` is of the
 * family `netfilter`. Throws NetlinkError where there is none to load.
 */
export function countFlows(socket: RouteSocket): number {
  const found = socket.get(start('count flows', GET_STATS, messageFlags.ack), []);
  const bytes = found && new Attributes(found, headerSize + fixedSize).bytes(CTA_STATS_GLOBAL_ENTRIES);
  return bytes?.readUInt32BE(0) ?? 0;
}

/**
 * Deletes the flows of which one of these addresses is a source: of the first packet, or of the answer, which finds those
 * that were translated. Answers how many. `socket` is one of the family `netfilter` that nobody else uses meanwhile.
 * Kernels before 5.8 do not know the filter and give all flows, so it is applied here as well. The search takes its time:
 * `isIdle` is asked right before each deletion, and an address that it denies keeps its flows.
 * @throws NetlinkError for the first flow that the kernel does not give up, when all others are deleted
 */
export async function deleteFlows(
  socket: RouteSocket,
  addresses: readonly string[],
  isIdle: (address: string) => boolean = () => true,
): Promise<number> {
  const bytes = addresses.map(addressBytes);
  const wanted = new Map(bytes.map((each, at) => [each.readUInt32BE(0), addresses[at] ?? '']));
  const sourcesIn = (answer: Buffer): string[] =>
    sides.flatMap(({ tuple }) => wanted.get(sourceOf(answer, tuple)) ?? []);
  const isAsked = (answer: Buffer): boolean => sides.some(({ tuple }) => wanted.has(sourceOf(answer, tuple)));
  let deleted = 0;
  const failures: unknown[] = [];
  for (const question of bytes.length === 0 ? [] : questions(socket, bytes)) {
    const answers = await socket.dumpAside(question, isAsked);
    let turnBeganMs = performance.now();
    for (const answer of answers) {
      if (performance.now() - turnBeganMs >= turnMs) {
        await nextTurn();
        turnBeganMs = performance.now();
      }
      try {
        if (sourcesIn(answer).every(isIdle) && deleteFlow(socket, flowOf(answer))) deleted += 1;
      } catch (error) {
        failures.push(error);
      }
    }
  }
  if (failures.length > 0) throw failures[0];
  return deleted;
}
