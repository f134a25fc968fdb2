// SPDX-License-Identifier: Apache-2.0
// One command changes the cluster at a time. The lock names its holder by number and start time, so that a lock whose
// holder was killed is simply taken over.
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning, startTicksOf } from './marked-processes.ts';
import { cacheFolder, lockFile } from './paths.ts';

export interface LockHolder {
  pid: number;
  startTicks: string;
  command: string;
}

export function lockHolder(): LockHolder | undefined {
  try {
    const holder = JSON.parse(readFileSync(lockFile, 'utf8')) as LockHolder;
    return isRunning(holder) ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** Removes files that a killed process was about to finish: their names end in its number. */
export function removeUnfinished(folder: string, pattern: RegExp): void {
  for (const name of readdirSync(folder)) {
    const pid = Number(pattern.exec(name)?.[1] ?? process.pid);
    if (startTicksOf(pid) === undefined) rmSync(join(folder, name), { force: true });
  }
}

/** Takes the lock or says who holds it. A link is atomic and never shows a half-written file. */
function tryLock(command: string): LockHolder | undefined {
  mkdirSync(cacheFolder, { recursive: true });
  removeUnfinished(cacheFolder, /^cluster\.lock\.(\d+)$/);
  const mine = `${lockFile}.${process.pid}`;
  const me: LockHolder = { pid: process.pid, startTicks: startTicksOf(process.pid) ?? '', command };
  writeFileSync(mine, JSON.stringify(me));
  try {
    linkSync(mine, lockFile);
    return undefined;
  } catch {
    const holder = lockHolder();
    if (holder !== undefined) return holder;
    rmSync(lockFile, { force: true });
    linkSync(mine, lockFile);
    return undefined;
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Runs `work` while holding the lock. @throws Error naming the command that holds it. */
export async function locked<T>(command: string, work: () => Promise<T>): Promise<T> {
  const holder = tryLock(command);
  if (holder !== undefined) {
    throw new Error(`cluster ${holder.command} is at work (process ${holder.pid}); wait for its end, then try again`);
  }
  try {
    return await work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

/** Ends a running `up` the polite way (it cleans up after itself), then by force. */
export async function endHolder(limitMs = 30_000): Promise<void> {
  const holder = lockHolder();
  if (holder === undefined || holder.pid === process.pid) return;
  const deadline = Date.now() + limitMs;
  process.kill(holder.pid, 'SIGTERM');
  while (isRunning(holder)) {
    if (Date.now() > deadline) process.kill(holder.pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
