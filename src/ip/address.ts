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

/** One octet without leading zeros, so that every address has one spelling (the CRDs refuse others too). */
const octet = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const canonicalAddress = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

/** Whether the text is an IPv4 address in its one canonical spelling. */
export function isAddress(text: string): boolean {
  return canonicalAddress.test(text);
}

/** The address that a canonical dotted quad spells. Throws InvalidAddress for anything else, 10.0.0.01 included. */
export function parseAddress(text: string): Address {
  if (!isAddress(text)) {
    throw new InvalidAddress(text, 'is no IPv4 address; write four numbers from 0 to 255, such as 10.244.10.7');
  }
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

/** The canonical dotted quad of an address. */
export function formatAddress(address: Address): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}
