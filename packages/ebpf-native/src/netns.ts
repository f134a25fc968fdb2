// SPDX-License-Identifier: Apache-2.0
// Work inside another network namespace. A namespace belongs to a thread, so only synchronous code can be inside.
import { closeSync, fstatSync, openSync, stat } from 'node:fs';
import { SysError } from './errors.ts';
import { checked, libc } from './libc.ts';

const CLONE_NEWNET = 0x40000000;
const ownPath = '/proc/thread-self/ns/net';
let poolStarted = false;

/** libuv makes all threads of its pool inside the first submission, in the namespace of the submitting thread. Were that
 * another namespace, the threads would stay there for good; so the first submission is made at home, before any entry.
 */
function submitFirstWork(done: () => void): void {
  poolStarted = true;
  stat('/', done);
}

/** Starts libuv's thread pool in the present namespace, and resolves when it has answered. `Netns.run` does so too. */
export function startThreadPool(): Promise<void> {
  return new Promise((resolve) => {
    submitFirstWork(resolve);
  });
}

/** An open network namespace. It lives while it is open, also when its name is removed. */
export class Netns {
  readonly path: string;
  readonly fd: number;
  /** The namespace's identity: two paths with one inode are one namespace. */
  readonly inode: bigint;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
    this.inode = fstatSync(fd, { bigint: true }).ino;
  }

  /** Opens `/run/netns/<name>`, `/proc/<pid>/ns/net` or the like. Throws SysError ENOENT when there is no such file. */
  static open(path: string): Netns {
    try {
      return new Netns(path, openSync(path, 'r'));
    } catch (error) {
      const errno = Math.abs((error as NodeJS.ErrnoException).errno ?? 5);
      throw new SysError(
        `open namespace ${path}`,
        errno,
        '',
        'its process or name is gone, or the path is not visible',
      );
    }
  }

  /** The namespace of the calling thread. */
  static current(): Netns {
    return Netns.open(ownPath);
  }

  /** Runs synchronous work with the calling thread inside, and comes back whatever happens. */
  run<T>(work: () => T): T {
    if (!poolStarted) submitFirstWork(() => undefined);
    const home = openSync(ownPath, 'r');
    try {
      checked(`setns ${this.path}`, libc.setns(this.fd, CLONE_NEWNET));
      return this.#inside(work, home);
    } finally {
      closeSync(home);
    }
  }

  #inside<T>(work: () => T, home: number): T {
    let result: T;
    try {
      result = work();
    } finally {
      // A thread that is lost in a foreign namespace would do all later work there: better no process than that.
      if (libc.setns(home, CLONE_NEWNET) < 0) process.abort();
    }
    if (result instanceof Promise) {
      throw new TypeError(`work inside ${this.path} gave a promise: its rest would run outside; make it synchronous`);
    }
    return result;
  }

  close(): void {
    closeSync(this.fd);
  }
}
