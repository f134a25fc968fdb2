// SPDX-License-Identifier: Apache-2.0
// Objects and programs: what is loaded, what a run answers, and what a person reads when the kernel refuses.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { libbpf } from '../src/bpf/libbpf.ts';
import { BpfMap, BpfObject, type ObjectOptions, SysError, isBpffs } from '../src/index.ts';
import { compileFixture, makeFolder, mountBpffs, run, u32, u64 } from './workbench.ts';

const folder = makeFolder();
const bpffs = mountBpffs();
let file = '';
const opened: BpfObject[] = [];

function open(options?: ObjectOptions, from: string | Uint8Array = file): BpfObject {
  const object = BpfObject.open(from, options);
  opened.push(object);
  return object;
}

function failureOf(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing failed');
}

beforeAll(() => {
  file = compileFixture(folder.path);
});
afterEach(() => {
  for (const object of opened.splice(0)) object.close();
});
afterAll(() => {
  bpffs.remove();
  folder.remove();
});

describe('an object', () => {
  it('has its maps and programs by name', () => {
    const object = open();
    expect(object.programNames.toSorted()).toEqual(['answers', 'counts', 'drops', 'has_kfuncs', 'tells']);
    expect(object.mapNames).toContain('pods');
    expect(object.map('pods')).toMatchObject({ type: 1, keySize: 4, valueSize: 8, maxEntries: 1024, name: 'pods' });
  });

  it('loads from bytes as from a file', () => {
    expect(open({}, readFileSync(file)).program('drops').tag).toBe(open().program('drops').tag);
  });

  it('names what it has when asked for what it has not', () => {
    expect(() => open().map('nodes')).toThrow(/find map nodes in .*: ENOENT: it has .*pods, counters/);
    expect(() => open({ disable: ['nothing'] })).toThrow(/find program nothing/);
  });

  it('leaves a disabled program out', () => {
    expect(open({ disable: ['answers'] }).programNames).not.toContain('answers');
  });

  it('sets the size of a map before it is made', () => {
    expect(open({ maxEntries: { pods: 50_000 } }).map('pods').maxEntries).toBe(50_000);
  });

  it('sets one constant and leaves its neighbour as compiled', () => {
    const object = open({ rodata: { verdict: u32(2) } });
    expect(object.program('answers').testRun({ data: Buffer.alloc(64) }).verdict).toBe(2);
    object.program('counts').testRun({ data: Buffer.alloc(64) });
    const counted = object
      .map('counters')
      .entries()
      .map(([, value]) => value.readUInt32LE(0) + value.readUInt32LE(8));
    expect(counted).toEqual([0, 1, 0, 0]);
  });

  it('refuses a constant that is not there, or of another size', () => {
    expect(() => open({ rodata: { nothing: u32(2) } })).toThrow(/set variable nothing: ENOENT/);
    expect(() => open({ rodata: { verdict: u64(2n) } })).toThrow('variable verdict has 4 bytes, not 8');
  });

  it('loads where a weak kernel function is missing, and finds the one that is there', () => {
    expect(
      open()
        .program('has_kfuncs')
        .testRun({ data: Buffer.alloc(64) }).verdict,
    ).toBe(1);
  });

  it('shows the end of the verifier log when a program is refused', () => {
    const error = failureOf(() => open({}, compileFixture(folder.path, 'BROKEN')));
    expect(error).toBeInstanceOf(SysError);
    expect(error).toMatchObject({ code: 'EACCES' });
    expect(error.message).toContain("R1 invalid mem access 'scalar'");
    expect(error.message).toContain('the verifier refused the program');
  });

  it.each([
    ['STRONG', 'strong_function_that_no_kernel_has', /declare it __weak/],
    ['NO_HELPER', 'func', /the helper is newer than the kernel/],
    ['LICENSE="Proprietary"', 'GPL', /the license section must name a GPL-compatible license/],
  ])("that is built with %s fails by libbpf's own words, with the cure", (definition, words, cure) => {
    const error = failureOf(() => open({}, compileFixture(folder.path, definition)));
    expect(error.message).toContain('libbpf says:');
    expect(error.message).toContain(words);
    expect(error.message).toMatch(cure);
  });

  describe('whose verifier a signal interrupts', () => {
    const eagain = -11;
    afterEach(() => {
      vi.restoreAllMocks();
    });

    it('is loaded all the same', () => {
      vi.spyOn(libbpf(), 'loadObject').mockReturnValueOnce(eagain).mockReturnValueOnce(eagain);
      expect(
        open()
          .program('drops')
          .testRun({ data: Buffer.alloc(64) }).verdict,
      ).toBe(2);
    });

    it('again and again fails in the end, and the program is not blamed', () => {
      const load = vi.spyOn(libbpf(), 'loadObject').mockReturnValue(eagain);
      const error = failureOf(() => open());
      expect(error).toMatchObject({ code: 'EAGAIN' });
      expect(error.message).toContain('signals interrupted the verifier in each of 10 tries');
      expect(error.message).toContain('try again without the profiler');
      expect(load).toHaveBeenCalledTimes(10);
    });
  });

  it('tells a missing file from one that is no object', () => {
    expect(failureOf(() => open({}, '/nowhere.o'))).toMatchObject({ code: 'ENOENT' });
    expect(failureOf(() => open({}, Buffer.from('no object')))).toMatchObject({ code: 'LIBBPF_FORMAT' });
  });

  it('loads in a worker, whose end does not end the process', () => {
    const native = join(import.meta.dirname, '../src/index.ts');
    const worker = `
      import { BpfObject } from 'file://${native}';
      console.log(BpfObject.open('${file}').programNames.length);`;
    const script = `
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(worker)})));
      worker.on('exit', () => console.log('alive'));`;
    expect(run(process.execPath, '--input-type=module', '-e', script)).toBe('5\nalive\n');
  });

  it('says that it is closed instead of using a descriptor that may be another one by now', () => {
    const object = open();
    object.close();
    expect(() => object.map('pods')).toThrow(/is closed/);
  });
});

describe('a pin', () => {
  it('gives a map with its entries to the next object', () => {
    const pinPaths = { pods: join(bpffs.path, 'v1/pods') };
    const first = open({ pinPaths });
    first.map('pods').update(u32(7), u64(70n));
    first.close();
    const second = open({ pinPaths });
    expect(second.map('pods').lookup(u32(7))).toEqual(u64(70n));
    const seen = BpfMap.openPinned(pinPaths.pods);
    expect(seen.id).toBe(second.map('pods').id);
    seen.close();
  });

  it('of another shape is refused with what differs and what to do', () => {
    const pinPaths = { pods: join(bpffs.path, 'v2/pods') };
    open({ pinPaths });
    const other = compileFixture(folder.path, 'VALUE_TYPE=__u32');
    const error = failureOf(() => open({ pinPaths, maxEntries: { pods: 2048 } }, other));
    expect(error).toMatchObject({ code: 'EINVAL' });
    expect(error.message).toContain('incompatible pin: valueSize is 8 in the pin and 4 in the object');
    expect(error.message).toContain('maxEntries is 1024 in the pin and 2048 in the object');
    expect(error.message).toContain('pin the new layout under another path');
  });

  it('outside a bpf file system is refused by name', () => {
    expect(isBpffs(bpffs.path)).toBe(true);
    expect(isBpffs(folder.path)).toBe(false);
    expect(() => open({ pinPaths: { pods: join(folder.path, 'pods') } })).toThrow(/is no bpf file system/);
  });

  it('is refused in sysfs, where making its folders would never end', () => {
    const error = failureOf(() => open({ pinPaths: { pods: '/sys/fs/no-such/folder/pods' } }));
    expect(error.message).toContain('/sys/fs is no bpf file system (mount -t bpf bpf /sys/fs/bpf)');
  });
});

describe('a run', () => {
  it('answers a signed verdict, the packet and the time', () => {
    const data = Buffer.alloc(100, 0xab).subarray(20);
    const output = open().program('counts').testRun({ data, repeat: 100 });
    expect(output.verdict).toBe(-1);
    expect(output.data).toEqual(data);
    expect(output.durationNs).toBeGreaterThan(0);
  });

  it('takes a context and gives it back as the program left it', () => {
    const context = Buffer.alloc(192);
    context.writeUInt32LE(41, 8);
    const output = open()
      .program('answers')
      .testRun({ data: Buffer.alloc(64), context });
    expect(output.verdict).toBe(7);
    expect(output.context?.readUInt32LE(48)).toBe(42);
  });

  it('refuses a packet that is shorter than an Ethernet header', () => {
    const error = failureOf(() =>
      open()
        .program('drops')
        .testRun({ data: Buffer.alloc(5) }),
    );
    expect(error).toMatchObject({ code: 'EINVAL' });
  });
});
