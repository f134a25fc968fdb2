// SPDX-License-Identifier: Apache-2.0
// The kernel's table of flows (ctnetlink, include/uapi/linux/netfilter/nfnetlink_conntrack.h): those of one address are
// found by a filter that the kernel applies, and deleted one by one, as it has no deletion by filter.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { NetlinkError } from '../errors.ts';
import { addressBytes, AF_INET, Attributes, headerSize, Message, messageFlags } from './message.ts';
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
/** So many are deleted before whatever else waits has its turn: some 5 ms. */
const flowsPerTurn = 256;

/** Which of a flow's two tuples: how its first packet came, or how the answer to it does. */
export type FlowSide = 'original' | 'reply';

const sides = {
  original: { tuple: CTA.tupleOriginal, filterFlags: 1 },
  reply: { tuple: CTA.tupleReply, filterFlags: 2 },
} as const;

function start(purpose: string, type: number, flags: number): Message {
  // The family, NFNETLINK_V0, and a resource id that ctnetlink does not use.
  return new Message(purpose, type, flags).u8(AF_INET, 0).u16(0);
}

function question(side: FlowSide, source: Buffer): Message {
  const { tuple, filterFlags } = sides[side];
  const message = start(`list flows with the ${side} source ${[...source].join('.')}`, GET, messageFlags.dump);
  message.attribute(tuple | NESTED, () => {
    message.attribute(TUPLE_IP | NESTED, () => message.attribute(IP_V4_SRC, source));
  });
  return message.attribute(CTA.filter | NESTED, () => message.attribute(filterFlags, MATCH_SOURCE));
}

function sourceOf(flow: Attributes, side: FlowSide): Buffer | undefined {
  return flow.nested(sides[side].tuple).nested(TUPLE_IP).bytes(IP_V4_SRC);
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
 * Deletes the flows with this source address; answers how many. `socket` is one of the family `netfilter` that nobody
 * else uses meanwhile. Kernels before 5.8 do not know the filter and give all flows, so it is applied here as well.
 * @throws NetlinkError
 */
export async function deleteFlows(socket: RouteSocket, side: FlowSide, source: string): Promise<number> {
  const wanted = addressBytes(source);
  const answers = await socket.dumpAside(question(side, wanted));
  let deleted = 0;
  for (let from = 0; from < answers.length; from += flowsPerTurn) {
    if (from > 0) await nextTurn();
    for (const bytes of answers.slice(from, from + flowsPerTurn)) {
      const flow = new Attributes(bytes, headerSize + fixedSize);
      if (sourceOf(flow, side)?.equals(wanted) === true && deleteFlow(socket, flow)) deleted += 1;
    }
  }
  return deleted;
}
