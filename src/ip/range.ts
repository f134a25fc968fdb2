// SPDX-License-Identifier: Apache-2.0
// Ranges, CIDRs and gateways as an Ips spells them. The grammar is the CRD's: what one accepts the other accepts.
import { parseCidr } from 'cidr-tools';
import { type Address, formatAddress, InvalidAddress, isAddress, parseAddress } from './address.ts';

/** Addresses from `first` to `last`, both included; `first` is never above `last`. */
export interface Range {
  readonly first: Address;
  readonly last: Address;
}

/** A block of 2^(32 - prefixLength) addresses; `address` is its lowest. */
export interface Cidr {
  readonly address: Address;
  readonly prefixLength: number;
}

/** The gateway that a pool's pods get, and the subnet that it stands in. `prefixLength` is in bits, 1 to 32. */
export interface Gateway {
  readonly address: Address;
  readonly prefixLength: number;
  readonly subnet: Range;
}

/** An address with a prefix length, whose octets are checked apart. */
const addressAndPrefix = /^([0-9.]+)\/(3[0-2]|[12]?[0-9])$/;

/** The range that an entry of `ips` or `excludeIPs` spells: an address, a-b, or a CIDR. Throws InvalidAddress. */
export function parseRange(text: string): Range {
  if (text.includes('/')) {
    return parseBlock(text);
  }
  const [low = '', high = low, ...more] = text.split('-');
  if (more.length > 0 || !isAddress(low) || !isAddress(high)) {
    throw new InvalidAddress(
      text,
      'is no IPv4 address, range or CIDR; write 10.244.10.7, 10.244.10.0-10.244.90.0 or 10.244.10.0/24',
    );
  }
  const range = { first: parseAddress(low), last: parseAddress(high) };
  if (range.first > range.last) {
    throw new InvalidAddress(text, 'is reversed; write the lower address first');
  }
  return range;
}

function parseBlock(text: string): Range {
  const [, address = ''] = addressAndPrefix.exec(text) ?? [];
  if (!isAddress(address)) {
    throw new InvalidAddress(text, 'is no IPv4 CIDR; write it like 10.244.10.0/24');
  }
  const { start, end } = parseCidr(text);
  const range = { first: Number(start), last: Number(end) };
  if (range.first !== parseAddress(address)) {
    const block = `${formatAddress(range.first)}/${text.split('/')[1]}`;
    throw new InvalidAddress(text, `has bits set behind its prefix; write ${block}, or ${address} for the one address`);
  }
  return range;
}

const nobodys = "nobody's; write the gateway's address before the prefix, such as 10.244.0.1/24";

/** The gateway and subnet that an Ips' `subnet` spells, such as 10.244.0.1/32. Throws InvalidAddress. */
export function parseGateway(text: string): Gateway {
  const [, address = '', prefix = ''] = addressAndPrefix.exec(text) ?? [];
  if (!isAddress(address)) {
    throw new InvalidAddress(text, 'is no IPv4 gateway with prefix length; write it like 10.244.0.1/32');
  }
  if (prefix === '0') {
    throw new InvalidAddress(text, 'has prefix length 0, which no pod can get; write one from 1 to 32');
  }
  const { start, end } = parseCidr(text);
  const gateway = parseAddress(address);
  const subnet = { first: Number(start), last: Number(end) };
  if (Number(prefix) < 31 && gateway === subnet.first) {
    throw new InvalidAddress(text, `is the subnet itself, whose first address is ${nobodys}`);
  }
  if (Number(prefix) < 31 && gateway === subnet.last) {
    throw new InvalidAddress(text, `is the subnet's broadcast, its last address, which is ${nobodys}`);
  }
  return { address: gateway, prefixLength: Number(prefix), subnet };
}

/** The range as a person writes it: one address, or a-b. */
export function formatRange(range: Range): string {
  const first = formatAddress(range.first);
  return range.first === range.last ? first : `${first}-${formatAddress(range.last)}`;
}

/** How many addresses the range holds, up to 2^32. */
export function rangeSize(range: Range): number {
  return range.last - range.first + 1;
}

/** The addresses of a block. */
export function cidrToRange(cidr: Cidr): Range {
  return { first: cidr.address, last: cidr.address + 2 ** (32 - cidr.prefixLength) - 1 };
}

/** The block as `address/prefixLength`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.address)}/${cidr.prefixLength}`;
}
