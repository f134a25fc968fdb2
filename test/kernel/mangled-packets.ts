// SPDX-License-Identifier: Apache-2.0
// Packets that nobody meant: known ones with bytes changed, cut short or drawn out, and pure noise. From a seed, so that
// a failure comes again.
import type { PacketCase } from './packet-cases.ts';

/** BPF_PROG_TEST_RUN refuses to make a frame that is shorter than the header its type promises: 14 and 40 of IPv6. */
const shortest = 54;
const longest = 160;
/** The bytes that programs look at: Ethernet, IPv4, and what it quotes. */
const headerBytes = 90;

/** A generator of numbers from 0 to 1, by Tommy Ettinger (public domain). */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of the known packets made wrong, for the program that it is for; one in sixteen is noise. */
export function mangled(random: () => number, known: readonly PacketCase[]): PacketCase {
  const below = (limit: number): number => Math.floor(random() * limit);
  const given = known[below(known.length)];
  if (given === undefined) throw new Error('there is no packet to start from');
  const length = below(4) === 0 ? shortest + below(longest - shortest) : Math.max(shortest, given.packetIn.length);
  const packetIn = new Uint8Array(length);
  if (below(16) === 0) for (let at = 0; at < length; at += 1) packetIn[at] = below(256);
  else packetIn.set(given.packetIn.subarray(0, length));
  for (let changes = below(5); changes > 0; changes -= 1) packetIn[below(Math.min(length, headerBytes))] = below(256);
  return { ...given, packetIn };
}
