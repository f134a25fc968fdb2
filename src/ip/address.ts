// SPDX-License-Identifier: Apache-2.0
// An IPv4 address as a value. Strings are parsed once, at the border; inside, an address is a number, so that pools are
// compared and counted by arithmetic.

/** An IPv4 address as an unsigned 32-bit number in host order: 10.0.0.1 is 0x0a000001. */
export type Address = number;

/** The highest IPv4 address, 255.255.255.255. */
export const MAX_ADDRESS: Address = 0xffff_ffff;

/** A text that is no address, range or gateway. The message names the text and the cure. */
export class InvalidAddress extends Error {
  readonly value: string;

  constructor(value: string, problem: string) {
    super(`"${value}" ${problem}`);
    this.name = 'InvalidAddress';
    this.value = value;
  }
}

const [dot, zero] = [0x2e, 0x30];

/**
 * The value of four octets without leading zeros, so that every address has one spelling (the CRDs refuse others too).
 * By hand and not by a pattern: an agent of a big cluster reads 150,000 of them at its start.
 */
function valueOf(text: string): Address | undefined {
  let [value, octet, octets] = [0, -1, 1];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === dot && octet >= 0) {
      value = value * 256 + octet;
      octet = -1;
      octets += 1;
      continue;
    }
    const digit = code - zero;
    if (digit < 0 || digit > 9 || octet === 0) return undefined;
    octet = octet < 0 ? digit : octet * 10 + digit;
    if (octet > 255) return undefined;
  }
  return octets === 4 && octet >= 0 ? value * 256 + octet : undefined;
}

/** Whether the text is an IPv4 address in its one canonical spelling. */
export function isAddress(text: string): boolean {
  return valueOf(text) !== undefined;
}

/** The address that a canonical dotted quad spells. Throws InvalidAddress for anything else, 10.0.0.01 included. */
export function parseAddress(text: string): Address {
  const value = valueOf(text);
  if (value === undefined) {
    throw new InvalidAddress(text, 'is no IPv4 address; write four numbers from 0 to 255, such as 10.244.10.7');
  }
  return value;
}

/** The canonical dotted quad of an address. */
export function formatAddress(address: Address): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}
