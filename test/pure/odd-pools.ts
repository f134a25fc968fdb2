// SPDX-License-Identifier: Apache-2.0
// Pools as people and programs get them wrong: one field of each is written at random near what is right. The parser is
// held against a reference of its own here, and against the API server's rules in test/api.
import { isIPv4 } from 'node:net';
import fc from 'fast-check';

export interface OddPool {
  readonly subnet: string;
  readonly ips: string[];
  readonly excludeIPs: string[];
  /** The field that was written at random, which may be right all the same. */
  readonly odd: 'subnet' | 'ips' | 'excludeIPs';
}

const octet = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 255 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('0', '10', '126', '127', '128', '223', '224', '255') },
);
const address = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
const near = fc.tuple(octet, octet).map(([c, d]) => `10.20.${c}.${d}`);
const entry = fc.oneof(
  address,
  near,
  fc.tuple(near, near).map(([a, b]) => `${a}-${b}`),
  fc.tuple(address, address).map(([a, b]) => `${a}-${b}`),
  fc.tuple(address, fc.integer({ min: 0, max: 33 })).map(([a, length]) => `${a}/${length}`),
  fc.integer({ min: 20, max: 32 }).map((length) => `10.20.0.0/${length}`),
);
const noise = fc.constantFrom(
  ...'0123456789./-- ,:+xXaF%\n\t\u00e9\u0663\u0000'.split(''),
  '00',
  '..',
  '--',
  '::',
  '256',
  '/32',
  '10.0.0.1-',
);
const broken = fc.tuple(entry, noise, fc.nat(), fc.nat(3)).map(([text, piece, at, cut]) => {
  const place = at % (text.length + 1);
  return `${text.slice(0, place)}${piece}${text.slice(place + cut)}`;
});
const strange = fc.constantFrom(
  '',
  ' ',
  '0',
  '10.20.0',
  '::1',
  '::ffff:10.20.0.1',
  '010.20.0.1',
  '10.20.0.01',
  '1e1.0.0.1',
  '0x0a.0.0.1',
  '10.20.0.1/',
  '/24',
  '-',
  '10.20.0.1-',
  '10.20.0.0/024',
  '10.20.0.0/+8',
  '10.20.0.1–10.20.0.9',
  'localhost',
  '4294967295',
  '10.20.0.1/24/24',
  '10.20.0.1-10.20.0.2-10.20.0.3',
  '10.20.0.0/24-10.20.1.0/24',
);
const anything = fc.oneof(
  { weight: 4, arbitrary: broken },
  { weight: 2, arbitrary: entry },
  { weight: 1, arbitrary: strange },
  { weight: 1, arbitrary: fc.string({ maxLength: 60 }) },
);
const gateway = fc.oneof(
  fc
    .tuple(fc.constantFrom('10.20.255.255', '10.20.0.255', '10.20.0.7'), fc.integer({ min: 8, max: 32 }))
    .map((parts) => parts.join('/')),
  fc.tuple(fc.oneof(address, near), fc.integer({ min: 0, max: 34 })).map(([a, length]) => `${a}/${length}`),
  anything,
);
const sound: fc.Arbitrary<string> = fc.constantFrom('10.20.0.5', '10.20.1.0-10.20.1.9', '10.20.2.0/24', '10.20.0.0/16');

export const oddPools: fc.Arbitrary<OddPool> = fc.oneof(
  fc.record({
    subnet: fc.constantFrom<string[]>('10.244.0.1/32', '10.20.0.1/16', '10.20.0.1/24'),
    ips: fc
      .tuple(fc.array(sound, { maxLength: 3 }), anything)
      .map(([all, odd]) => [...all.filter((each) => each === '10.20.0.5'), odd]),
    excludeIPs: fc.constant<string[]>([]),
    odd: fc.constant('ips' as const),
  }),
  fc.record({
    subnet: fc.constant<string>('10.244.0.1/32'),
    ips: fc.array(sound, { minLength: 1, maxLength: 3 }),
    excludeIPs: fc.tuple(fc.array(sound, { maxLength: 2 }), anything).map(([all, odd]) => [...all, odd]),
    odd: fc.constant('excludeIPs' as const),
  }),
  fc.record({
    subnet: gateway,
    ips: fc.constant<string[]>(['10.20.0.5']),
    excludeIPs: fc.constant<string[]>([]),
    odd: fc.constant('subnet' as const),
  }),
);

interface Block {
  readonly first: bigint;
  readonly last: bigint;
}

/** In the plainest way there is, with Node's own eyes for an address and integers without an end. */
function numberOf(text: string): bigint | undefined {
  if (!isIPv4(text) || text.split('.').some((part) => String(Number(part)) !== part)) return undefined;
  return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function blockOf(text: string): (Block & { readonly length: number }) | undefined {
  const [base = '', length = '', ...more] = text.split('/');
  const address = numberOf(base);
  if (address === undefined || more.length > 0 || String(Number(length)) !== length) return undefined;
  const bits = Number(length);
  if (!Number.isInteger(bits) || bits < 0 || bits > 32) return undefined;
  const size = 2n ** BigInt(32 - bits);
  const first = (address / size) * size;
  return { first, last: first + size - 1n, length: bits };
}

function rangeOf(text: string): Block | undefined {
  if (text.includes('/')) {
    const block = blockOf(text);
    return block !== undefined && numberOf(text.split('/')[0] ?? '') === block.first ? block : undefined;
  }
  const [low = '', high = low, ...more] = text.split('-');
  const [first, last] = [numberOf(low), numberOf(high)];
  if (first === undefined || last === undefined || more.length > 0 || first > last) return undefined;
  return { first, last };
}

const unusable = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3'].map((text) => blockOf(text));

function isUsable(range: Block | undefined): range is Block {
  if (range === undefined) return false;
  return unusable.every((block) => block === undefined || range.last < block.first || block.last < range.first);
}

/** Whether the pool is right, by the reference. */
export function isSound({ subnet, ips, excludeIPs }: OddPool): boolean {
  const [address = ''] = subnet.split('/');
  const block = blockOf(subnet);
  if (block === undefined || block.length === 0) return false;
  const gateway = numberOf(address);
  if (gateway === undefined || !isUsable({ first: gateway, last: gateway })) return false;
  if (block.length < 31 && (gateway === block.first || gateway === block.last)) return false;
  const ranges = ips.map(rangeOf);
  if (ranges.length === 0 || !ranges.every(isUsable) || !excludeIPs.map(rangeOf).every(isUsable)) return false;
  return block.length === 32 || ranges.every((range) => block.first <= range.first && range.last <= block.last);
}
