// SPDX-License-Identifier: Apache-2.0
// Entries to the maps' bytes and back. Offsets come from the programs' own headers; byte orders too: addresses are in
// network order, numbers in the machine's, which is little-endian on every machine that the agent is built for.
import { formatAddress, parseAddress } from '../ip/address.ts';
import type { ClusterPodEntry, CounterReading, DropRecord, LocalDev, LocalPodEntry } from './entries.ts';
import {
  clusterPodAdjacent,
  clusterPodDirect,
  counters,
  localDevFastPathOff,
  localPodStackOnly,
  maps,
  structs,
} from './generated/layout.ts';

/** Key and value as the kernel has them; the shape of ebpf-native's `entries()` and `updateBatch()`. */
export type RawEntry = [key: Uint8Array, value: Uint8Array];

interface Field {
  readonly offset: number;
  readonly size: number;
}

const littleEndian = true;
const counterBytes = maps.counters.valueSize;
const macPattern = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;

/** One key or value, read and written by field. */
class Struct {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  number(field: Field): number {
    return this.#view.getUint32(field.offset, littleEndian);
  }

  /** In network order. */
  number16(field: Field): number {
    return this.#view.getUint16(field.offset);
  }

  number8(field: Field): number {
    return this.#view.getUint8(field.offset);
  }

  number64(field: Field): bigint {
    return this.#view.getBigUint64(field.offset, littleEndian);
  }

  setNumber(field: Field, name: string, value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
      throw new RangeError(`${name} is ${value}; it must be a whole number from 0 to 4294967295`);
    }
    this.#view.setUint32(field.offset, value, littleEndian);
  }

  address(field: Field): string {
    return formatAddress(this.#view.getUint32(field.offset));
  }

  setAddress(field: Field, address: string): void {
    this.#view.setUint32(field.offset, parseAddress(address));
  }

  mac(field: Field): string {
    const octets = this.bytes.subarray(field.offset, field.offset + field.size);
    return Array.from(octets, (octet) => octet.toString(16).padStart(2, '0')).join(':');
  }

  setMac(field: Field, name: string, mac: string): void {
    if (!macPattern.test(mac)) throw new TypeError(`${name} is "${mac}"; it must read like 02:fa:57:00:00:01`);
    this.bytes.set(
      mac.split(':').map((octet) => Number.parseInt(octet, 16)),
      field.offset,
    );
  }
}

function sized(what: string, bytes: Uint8Array, size: number): Struct {
  if (bytes.length !== size) {
    throw new RangeError(
      `${what} has ${bytes.length} bytes, this build's layout has ${size}: the map is another build's`,
    );
  }
  return new Struct(bytes);
}

const keyField: Field = { offset: 0, size: 4 };

/** The key of local_pod_ips and cluster_pod_ips, in network order. Throws InvalidAddress. */
export function encodeAddressKey(address: string): Uint8Array {
  const key = new Struct(new Uint8Array(keyField.size));
  key.setAddress(keyField, address);
  return key.bytes;
}

export function decodeAddressKey(key: Uint8Array): string {
  return sized('an address key', key, keyField.size).address(keyField);
}

/** Throws InvalidAddress, RangeError or TypeError with the field and its value. */
export function encodeLocalPod(entry: LocalPodEntry): RawEntry {
  const value = new Struct(new Uint8Array(maps.localPodIps.valueSize));
  value.setNumber(structs.localPod.ifindex, 'ifindex', entry.ifindex);
  value.setMac(structs.localPod.podMac, 'podMac', entry.podMac);
  value.setMac(structs.localPod.hostMac, 'hostMac', entry.hostMac);
  value.setNumber(structs.localPod.flags, 'flags', entry.stackOnly ? localPodStackOnly : 0);
  return [encodeAddressKey(entry.address), value.bytes];
}

export function decodeLocalPod([key, bytes]: RawEntry): LocalPodEntry {
  const value = sized('a value of local_pod_ips', bytes, maps.localPodIps.valueSize);
  return {
    address: decodeAddressKey(key),
    ifindex: value.number(structs.localPod.ifindex),
    podMac: value.mac(structs.localPod.podMac),
    hostMac: value.mac(structs.localPod.hostMac),
    stackOnly: (value.number(structs.localPod.flags) & localPodStackOnly) !== 0,
  };
}

function clusterPodFlags({ direct, adjacent }: ClusterPodEntry): number {
  return (direct ? clusterPodDirect : 0) | (adjacent ? clusterPodAdjacent : 0);
}

/** Throws InvalidAddress. */
export function encodeClusterPod(entry: ClusterPodEntry): RawEntry {
  const value = new Struct(new Uint8Array(maps.clusterPodIps.valueSize));
  value.setAddress(structs.clusterPod.nodeAddress, entry.nodeAddress);
  value.setNumber(structs.clusterPod.flags, 'flags', clusterPodFlags(entry));
  return [encodeAddressKey(entry.address), value.bytes];
}

/** All of them, in one piece of memory: a big cluster's entries are many and small. Throws InvalidAddress. */
export function encodeClusterPods(entries: ReadonlyArray<ClusterPodEntry>): RawEntry[] {
  const [keySize, size] = [maps.clusterPodIps.keySize, maps.clusterPodIps.keySize + maps.clusterPodIps.valueSize];
  const bytes = new Uint8Array(entries.length * size);
  const view = new DataView(bytes.buffer);
  return entries.map((entry, at) => {
    const [key, value, end] = [at * size, at * size + keySize, (at + 1) * size];
    view.setUint32(key, parseAddress(entry.address));
    view.setUint32(value + structs.clusterPod.nodeAddress.offset, parseAddress(entry.nodeAddress));
    view.setUint32(value + structs.clusterPod.flags.offset, clusterPodFlags(entry), littleEndian);
    return [bytes.subarray(key, value), bytes.subarray(value, end)];
  });
}

export function decodeClusterPod([key, bytes]: RawEntry): ClusterPodEntry {
  const value = sized('a value of cluster_pod_ips', bytes, maps.clusterPodIps.valueSize);
  const flags = value.number(structs.clusterPod.flags);
  return {
    address: decodeAddressKey(key),
    nodeAddress: value.address(structs.clusterPod.nodeAddress),
    direct: (flags & clusterPodDirect) !== 0,
    adjacent: (flags & clusterPodAdjacent) !== 0,
  };
}

/** Throws InvalidAddress or RangeError. */
export function encodeLocalDev(dev: LocalDev): RawEntry {
  const value = new Struct(new Uint8Array(maps.localDev.valueSize));
  value.setNumber(structs.localDev.vxlanIfindex, 'vxlanIfindex', dev.vxlanIfindex);
  value.setNumber(structs.localDev.uplinkIfindex, 'uplinkIfindex', dev.uplinkIfindex);
  value.setAddress(structs.localDev.overlayAddress, dev.overlayAddress);
  value.setNumber(structs.localDev.overlayMtu, 'overlayMtu', dev.overlayMtu);
  value.setNumber(structs.localDev.uplinkMtu, 'uplinkMtu', dev.uplinkMtu);
  value.setNumber(structs.localDev.flags, 'flags', dev.fastPath ? 0 : localDevFastPathOff);
  return [new Uint8Array(maps.localDev.keySize), value.bytes];
}

export function decodeLocalDev([, bytes]: RawEntry): LocalDev {
  const value = sized('the value of local_dev', bytes, maps.localDev.valueSize);
  return {
    vxlanIfindex: value.number(structs.localDev.vxlanIfindex),
    uplinkIfindex: value.number(structs.localDev.uplinkIfindex),
    overlayAddress: value.address(structs.localDev.overlayAddress),
    overlayMtu: value.number(structs.localDev.overlayMtu),
    uplinkMtu: value.number(structs.localDev.uplinkMtu),
    fastPath: (value.number(structs.localDev.flags) & localDevFastPathOff) === 0,
  };
}

function sumOfCpus(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sum = 0n;
  for (let offset = 0; offset + counterBytes <= bytes.length; offset += counterBytes) {
    sum += view.getBigUint64(offset, littleEndian);
  }
  return sum;
}

/** Every counter that this build knows, in the order of the numbers. A number that it does not know is a newer build's,
 * and is left out. */
export function decodeCounters(raw: Iterable<RawEntry>): CounterReading[] {
  const packets = new Map<number, bigint>();
  for (const [key, value] of raw) {
    packets.set(sized('a key of counters', key, maps.counters.keySize).number(keyField), sumOfCpus(value));
  }
  return counters.map((spec) => ({ ...spec, packets: packets.get(spec.number) ?? 0n }));
}

function decodeDrop(value: Struct): DropRecord {
  const fields = structs.dropRecord;
  const number = value.number(fields.counter);
  const spec = counters.find((one) => one.number === number);
  return {
    atNs: value.number64(fields.atNs),
    sequence: Number(value.number64(fields.sequence)),
    program: spec?.program ?? 'unknown',
    reason: spec?.reason ?? `counter ${number}`,
    meaning: spec?.meaning ?? 'a reason that only a newer build knows',
    ifindex: value.number(fields.ifindex),
    bytes: value.number(fields.bytes),
    etherType: value.number16(fields.ethertype),
    source: value.address(fields.source),
    destination: value.address(fields.destination),
    tunnelSource: value.address(fields.tunnelSource),
    protocol: value.number8(fields.protocol),
    sourcePort: value.number16(fields.sourcePort),
    destinationPort: value.number16(fields.destinationPort),
  };
}

/** The entries of the map `drops` as records, the oldest first; slots that were never written are left out. */
export function decodeDrops(raw: Iterable<RawEntry>): DropRecord[] {
  return [...raw]
    .map(([, bytes]) => decodeDrop(sized('a value of drops', bytes, maps.drops.valueSize)))
    .filter(({ sequence }) => sequence > 0)
    .toSorted((a, b) => a.sequence - b.sequence);
}
