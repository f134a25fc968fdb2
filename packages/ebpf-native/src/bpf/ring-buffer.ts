// SPDX-License-Identifier: Apache-2.0
// The reader's side of BPF_MAP_TYPE_RINGBUF (kernel commit 457f44363a88, Documentation/bpf/ringbuf.rst): records that a
// program has submitted, in order, without a call into the kernel for each.
import koffi from 'koffi';
import { SysError } from '../errors.ts';
import { checked, libc } from '../libc.ts';
import { type BpfMap, mapTypes } from './map.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const SC_PAGESIZE = 30;
/** struct bpf_ringbuf_hdr: length with two flags, offset of the page; 8 bytes. */
const headSize = 8;
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;
const lengthMask = 0x3fff_ffff;

/**
 * One reader per map: two would steal each other's records. Records that nobody reads stay; when the ring is full, the
 * program's reservation fails, so programs count what they could not tell.
 */
export class RingBuffer {
  readonly #map: BpfMap;
  readonly #pageSize: number;
  readonly #pages: Array<{ readonly address: unknown; readonly length: number }> = [];
  /** Bytes read so far, written by us alone. */
  readonly #consumer: BigUint64Array;
  /** Bytes written so far, by the kernel. */
  readonly #producer: BigUint64Array;
  /** The data twice in a row, so that no record is ever cut at the end. */
  readonly #data: DataView;
  #poll: { close(): void } | undefined;

  private constructor(map: BpfMap) {
    this.#map = map;
    this.#pageSize = Number(libc.sysconf(SC_PAGESIZE));
    this.#consumer = new BigUint64Array(this.#mapPages(this.#pageSize, PROT_READ | PROT_WRITE, 0), 0, 1);
    const rest = this.#mapPages(this.#pageSize + 2 * map.maxEntries, PROT_READ, this.#pageSize);
    this.#producer = new BigUint64Array(rest, 0, 1);
    this.#data = new DataView(rest, this.#pageSize);
  }

  /** The map stays the caller's, and has to stay open as long as this does. @throws SysError EINVAL for another type */
  static open(map: BpfMap): RingBuffer {
    if (map.type !== mapTypes.ringbuf) {
      throw new SysError(`open ring buffer ${map.name}`, 22, `the map's type is ${map.type}, not ringbuf (27)`);
    }
    return new RingBuffer(map);
  }

  /**
   * Hands on what is there, each a copy, looking at `most` records at most. Answers how many it handed on. A record that
   * its program has reserved and not submitted yet holds up those behind it.
   */
  read(visit: (record: Buffer) => void, most = 4096): number {
    const size = BigInt(this.#map.maxEntries);
    let read = 0;
    let at = Atomics.load(this.#consumer, 0);
    for (let looked = 0; looked < most && at < Atomics.load(this.#producer, 0); looked += 1) {
      const from = Number(at % size);
      const head = this.#data.getUint32(from, true);
      if ((head & BUSY) !== 0) break;
      const length = head & lengthMask;
      const isWhole = (head & DISCARDED) === 0;
      const record = isWhole ? Buffer.from(this.#copy(from + headSize, length)) : undefined;
      at += BigInt((headSize + length + 7) & ~7);
      // The place is given back before the visitor runs: should it throw, the record has been read all the same.
      Atomics.store(this.#consumer, 0, at);
      if (record === undefined) continue;
      read += 1;
      visit(record);
    }
    return read;
  }

  /** Calls back when there is something to read; the process stays alive for it until `close`. */
  onReadable(callback: () => void): void {
    this.#poll?.close();
    this.#poll = koffi.node.poll(this.#map.fd, { readable: true, disconnect: false, writable: false }, callback);
  }

  /** Nothing is read any more. */
  close(): void {
    this.#poll?.close();
    this.#poll = undefined;
    for (const { address, length } of this.#pages.splice(0)) checked('munmap', libc.munmap(address, length));
  }

  #copy(from: number, length: number): ArrayBuffer {
    const start = this.#data.byteOffset + from;
    return this.#data.buffer.slice(start, start + length) as ArrayBuffer;
  }

  #mapPages(length: number, protection: number, offset: number): ArrayBuffer {
    const address: unknown = libc.mmap(null, length, protection, MAP_SHARED, this.#map.fd, offset);
    // MAP_FAILED is the highest address.
    if (koffi.address(address) === 0xffff_ffff_ffff_ffffn) {
      const errno = koffi.errno();
      this.close();
      throw new SysError(`mmap ring buffer ${this.#map.name}`, errno);
    }
    this.#pages.push({ address, length });
    return koffi.view(address, length);
  }
}
