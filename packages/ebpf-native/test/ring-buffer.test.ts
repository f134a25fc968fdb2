// SPDX-License-Identifier: Apache-2.0
// A ring buffer between a program run by BPF_PROG_TEST_RUN and this process.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BpfObject, RingBuffer } from '../src/index.ts';
import { compileFixture, makeFolder, u32 } from './workbench.ts';

const folder = makeFolder();
let object: BpfObject;
let ring: RingBuffer;

/** Runs the telling program once; struct __sk_buff has `mark` at offset 8. */
function tell(mark: number, length = 60): number {
  const context = Buffer.alloc(192);
  context.writeUInt32LE(mark, 8);
  return object.program('tells').testRun({ data: Buffer.alloc(length), context }).verdict;
}

function readAll(most?: number): number[][] {
  const records: number[][] = [];
  ring.read(
    (record) => records.push([record.length, record.readUInt32LE(0), record.readUInt32LE(4), record.readUInt32LE(8)]),
    most,
  );
  return records;
}

beforeAll(() => {
  object = BpfObject.open(compileFixture(folder.path));
  ring = RingBuffer.open(object.map('told'));
});

afterAll(() => {
  ring.close();
  object.close();
  folder.remove();
});

describe('a ring buffer', () => {
  it('gives what was submitted, in order, once', () => {
    expect(readAll()).toEqual([]);
    tell(2, 60);
    tell(4, 100);
    expect(readAll()).toEqual([
      [12, 60, 2, 0xfa57],
      [12, 100, 4, 0xfa57],
    ]);
    expect(readAll()).toEqual([]);
  });

  it('passes over what its program thought better of', () => {
    tell(1);
    tell(6);
    tell(3);
    expect(readAll()).toEqual([[12, 60, 6, 0xfa57]]);
  });

  it('reads no more than asked, and the rest later', () => {
    for (const mark of [2, 4, 6]) tell(mark);
    expect(readAll(2).map((record) => record[2])).toEqual([2, 4]);
    expect(readAll().map((record) => record[2])).toEqual([6]);
  });

  it('refuses records when it is full, loses none of the older ones, and has room once they are read', () => {
    let accepted = 0;
    while (tell(2 * accepted) === 0) accepted += 1;
    // 4,096 bytes of records that take 24 each; the kernel keeps one byte free.
    expect(accepted).toBe(170);
    expect(object.map('untold').lookup(u32(0))).toEqual(u32(1));
    expect(readAll().map((record) => record[2])).toEqual(Array.from({ length: 170 }, (_, i) => 2 * i));
    expect(tell(8)).toBe(0);
    expect(readAll()).toHaveLength(1);
  });

  it('stays whole over its end, many times round', () => {
    for (let i = 0; i < 2000; i += 1) {
      tell(2 * i, 60 + (i % 40));
      expect(readAll()).toEqual([[12, 60 + (i % 40), 2 * i, 0xfa57]]);
    }
  });

  it('has read a record also when its reader threw', () => {
    tell(2);
    tell(4);
    const failing = (): void => {
      throw new Error('the reader failed');
    };
    expect(() => ring.read(failing)).toThrow('the reader failed');
    expect(readAll().map((record) => record[2])).toEqual([4]);
  });

  it('calls when there is something to read', async () => {
    const called = new Promise<number>((resolve) => {
      ring.onReadable(() => resolve(readAll().length));
    });
    tell(2);
    expect(await called).toBe(1);
  });

  it('is made of no other map', () => {
    expect(() => RingBuffer.open(object.map('pods'))).toThrow(
      "open ring buffer pods: EINVAL: the map's type is 1, not ringbuf (27)",
    );
  });
});
