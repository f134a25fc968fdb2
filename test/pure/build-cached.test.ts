// SPDX-License-Identifier: Apache-2.0
// What is built once is built again whenever it could differ, whatever befell the build before.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packagesOf } from '../../scripts/build-programs.ts';
import { cached, type Made } from '../../scripts/cached.ts';
import { hashOf } from '../../scripts/steps.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fast-cached-'));
  write('source', 'one');
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
const read = (name: string): string => readFileSync(at(name), 'utf8');
const write = (name: string, text: string): void => writeFileSync(at(name), text);

/** The result is what the source says. `meanwhile` happens right before the source is read. */
function build(meanwhile: () => void = () => undefined, found: readonly string[] = []): Promise<Made> {
  return cached(at('result'), {
    inputs: () => hashOf([at('source')]),
    make: async (path) => {
      meanwhile();
      writeFileSync(path, `made of ${read('source')}`);
      return found;
    },
  });
}

describe('a result', () => {
  it('is made once, and again when an input is another', async () => {
    expect([await build(), await build()]).toEqual(['made', 'current']);
    write('source', 'two');
    expect([await build(), await build(), read('result')]).toEqual(['made', 'current', 'made of two']);
  });

  it('is made again when what its maker found itself to read is another', async () => {
    mkdirSync(at('package'));
    write('package/index.js', '1');
    const found = [at('package')];
    expect([await build(undefined, found), await build(undefined, found)]).toEqual(['made', 'current']);
    write('package/package.json', '{"main":"other.js"}');
    expect([await build(undefined, found), await build(undefined, found)]).toEqual(['made', 'current']);
    rmSync(at('package'), { recursive: true });
    expect(await build(undefined, found)).toBe('made');
  });

  it('of a source that changed under the build is not taken for one of the former source when that comes back', async () => {
    await build(() => write('source', 'two'));
    expect(read('result')).toBe('made of two');
    write('source', 'one');
    expect([await build(), read('result')]).toEqual(['made', 'made of one']);
  });

  it('of a build that was interrupted is not taken for the former one when the change is taken back', async () => {
    await build();
    write('source', 'two');
    const stop = (): never => {
      throw new Error('interrupted');
    };
    await expect(build(stop)).rejects.toThrow('interrupted');
    expect(read('result')).toBe('made of one');
    write('source', 'one');
    expect([await build(), read('result')]).toEqual(['current', 'made of one']);
  });

  it('that another build put in its place, or a hand, is made again', async () => {
    await build();
    write('result', 'made of two');
    expect([await build(), read('result')]).toEqual(['made', 'made of one']);
    rmSync(at('result'));
    expect([await build(), read('result')]).toEqual(['made', 'made of one']);
  });

  it('that is a folder is compared with all of its files', async () => {
    const make = async (path: string): Promise<void> => {
      mkdirSync(path);
      writeFileSync(join(path, 'a'), 'a');
    };
    const again = (): Promise<Made> => cached(at('result'), { inputs: () => '', make });
    expect([await again(), await again()]).toEqual(['made', 'current']);
    write('result/b', 'left over');
    expect([await again(), existsSync(at('result/b'))]).toEqual(['made', false]);
  });

  it('leaves nothing of a build that was killed', async () => {
    write('result.unfinished.4194305', 'half');
    await build();
    expect(readdirSync(folder).toSorted()).toEqual(['result', 'result.hash', 'source']);
  });
});

it('a bundle follows the packages that it is made of as wholes', () => {
  const files = [
    '/fast/src/node/main.ts',
    '/fast/node_modules/pino/lib/tools.js',
    '/fast/node_modules/pino/pino.js',
    '/fast/node_modules/@kubernetes/client-node/dist/index.js',
    '/fast/node_modules/socks/node_modules/agent-base/dist/index.js',
    '/other/packages/ebpf-native/src/index.ts',
  ];
  expect(packagesOf(files)).toEqual([
    '/fast/node_modules/@kubernetes/client-node',
    '/fast/node_modules/pino',
    '/fast/node_modules/socks/node_modules/agent-base',
    '/other/packages/ebpf-native',
  ]);
});
