// SPDX-License-Identifier: Apache-2.0
// Entries of maps as a person writes them: a key, and fields as name=value.
import {
  decodeClusterPod,
  decodeLocalDev,
  decodeLocalPod,
  encodeAddressKey,
  encodeClusterPod,
  encodeLocalDev,
  encodeLocalPod,
  type RawEntry,
} from '../datapath/codecs.ts';
import { maps } from '../datapath/generated/layout.ts';
import { isAddress } from '../ip/address.ts';

type Kind = 'address' | 'mac' | 'number' | 'boolean';
type Fields = Record<string, string | number | boolean>;

/** A map whose entries people may write. */
export interface Editable {
  readonly name: string;
  /** By name, in the order of the help. */
  readonly fields: Readonly<Record<string, Kind>>;
  /** The key's field; absent where the map has one entry and no key. */
  readonly key?: 'address';
  /** Fields that are a person's to set: the agent leaves them as they are. */
  readonly kept?: readonly string[];
  readonly decode: (entry: RawEntry) => object;
  readonly encode: (fields: never) => RawEntry;
}

export const editables: readonly Editable[] = [
  {
    name: maps.localPodIps.name,
    key: 'address',
    fields: { ifindex: 'number', podMac: 'mac', hostMac: 'mac', stackOnly: 'boolean' },
    decode: decodeLocalPod,
    encode: encodeLocalPod,
  },
  {
    name: maps.clusterPodIps.name,
    key: 'address',
    fields: { nodeAddress: 'address', direct: 'boolean', adjacent: 'boolean' },
    decode: decodeClusterPod,
    encode: encodeClusterPod,
  },
  {
    name: maps.localDev.name,
    fields: {
      vxlanIfindex: 'number',
      uplinkIfindex: 'number',
      overlayAddress: 'address',
      overlayMtu: 'number',
      uplinkMtu: 'number',
      fastPath: 'boolean',
    },
    kept: ['fastPath'],
    decode: decodeLocalDev,
    encode: encodeLocalDev,
  },
];

const wrong = (field: string, text: string, cure: string): Error => new Error(`${field} is "${text}"; ${cure}`);

const parsers: Record<Kind, (field: string, text: string) => string | number | boolean> = {
  address: (field, text) => {
    if (isAddress(text)) return text;
    throw wrong(field, text, 'write an IPv4 address such as 10.244.10.0');
  },
  mac: (_field, text) => text,
  number: (field, text) => {
    if (/^\d{1,10}$/.test(text)) return Number(text);
    throw wrong(field, text, 'write a whole number');
  },
  boolean: (field, text) => {
    if (text === 'true' || text === 'false') return text === 'true';
    throw wrong(field, text, 'write true or false');
  },
};

/** The key of a map by what a person wrote. @throws Error naming the value and the cure */
export function keyOf(map: Editable, text: string | undefined): Uint8Array {
  if (map.key === undefined) {
    if (text === undefined) return new Uint8Array(4);
    throw wrong('the key', text, `${map.name} has one entry and no key: leave it out`);
  }
  if (text === undefined) throw new Error(`${map.name} has an entry for each address; name one`);
  return encodeAddressKey(parsers.address('the key', text) as string);
}

/** Reads `name=value` words. @throws Error naming the word and the cure */
export function parseFields(map: Editable, words: readonly string[]): Fields {
  const entries = words.map((word): [string, string | number | boolean] => {
    const at = word.indexOf('=');
    const [field, text] = [word.slice(0, at), word.slice(at + 1)];
    const kind = Object.hasOwn(map.fields, field) ? map.fields[field] : undefined;
    const known = `the fields of ${map.name} are ${Object.keys(map.fields).join(', ')}`;
    if (at < 0) throw new Error(`"${word}" is not FIELD=VALUE; ${known}`);
    if (kind === undefined) throw new Error(`${map.name} has no field "${field}"; ${known}`);
    return [field, parsers[kind](field, text)];
  });
  return Object.fromEntries(entries);
}

/** The entry with these fields changed; without a former one all fields must be given, but booleans are false. */
export function changed(map: Editable, key: string | undefined, old: RawEntry | undefined, fields: Fields): RawEntry {
  const off = Object.entries(map.fields).filter(([, kind]) => kind === 'boolean');
  const before = old === undefined ? Object.fromEntries(off.map(([name]) => [name, false])) : map.decode(old);
  const whole: Record<string, unknown> = { ...before, ...fields, ...(map.key === undefined ? {} : { address: key }) };
  const lacking = Object.keys(map.fields).filter((name) => whole[name] === undefined);
  if (lacking.length > 0) throw new Error(`a new entry of ${map.name} needs ${lacking.join(', ')} too, as FIELD=VALUE`);
  return map.encode(whole as never);
}
