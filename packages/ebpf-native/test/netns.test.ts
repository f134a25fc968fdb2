// SPDX-License-Identifier: Apache-2.0
// Work inside a namespace must leave every thread of the process at home.
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Netns, startThreadPool } from '../src/index.ts';
import { makeNetns, run } from './workbench.ts';

const other = makeNetns('inside');
afterAll(() => other.remove());

function namespacesOfThreads(): bigint[] {
  const inodes = readdirSync('/proc/self/task').map((task) =>
    statSync(`/proc/self/task/${task}/ns/net`, { bigint: true }),
  );
  return [...new Set(inodes.map((one) => one.ino))];
}

describe('a namespace', () => {
  it('is entered for the work and left after it', () => {
    const home = Netns.current();
    const inside = other.netns.run(() => Netns.current());
    expect(inside.inode).toBe(other.netns.inode);
    expect(inside.inode).not.toBe(home.inode);
    const back = Netns.current();
    expect(back.inode).toBe(home.inode);
    for (const one of [home, inside, back]) one.close();
  });

  it('is left when the work fails', () => {
    const home = Netns.current();
    const fail = () =>
      other.netns.run(() => {
        throw new Error('broken inside');
      });
    expect(fail).toThrow('broken inside');
    expect(namespacesOfThreads()).toEqual([home.inode]);
    home.close();
  });

  it('keeps no thread of the pool, though the first to use the pool is inside', () => {
    // A process of its own, since this one has used its pool long ago.
    const script = `
      import { readdirSync, readlinkSync, stat } from 'node:fs';
      import { Netns } from '${join(import.meta.dirname, '../src/index.ts')}';
      Netns.open('/run/netns/${other.name}').run(() => stat('/', () => {}));
      const tasks = readdirSync('/proc/self/task').map((task) => readlinkSync('/proc/self/task/' + task + '/ns/net'));
      console.log(new Set(tasks).size, tasks[0] === readlinkSync('/proc/self/ns/net'));`;
    expect(run(process.execPath, '--input-type=module', '-e', script)).toBe('1 true\n');
  });

  it('has a pool that answers', async () => {
    await startThreadPool();
    const home = Netns.current();
    expect(namespacesOfThreads()).toEqual([home.inode]);
    home.close();
  });

  it('refuses work that would go on outside', () => {
    expect(() => other.netns.run(() => Promise.resolve(1))).toThrow(/gave a promise/);
  });

  it('works in work', () => {
    const inner = other.netns.run(() => other.netns.run(() => readFileSync('/proc/thread-self/net/dev', 'utf8')));
    expect(inner.split('\n').filter((line) => line.includes(':')).length).toBe(1);
  });

  it('that is not there is named', () => {
    expect(() => Netns.open('/run/netns/no-such')).toThrow(/open namespace \/run\/netns\/no-such: ENOENT/);
  });
});
