// SPDX-License-Identifier: Apache-2.0
// Runs a plugin as a runtime does, and measures it from the call to the reaped process: posix_spawn(3), which a large
// process pays no copy of its page tables for, and wait4(2), which tells what the plugin and all that it ran have used.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import koffi from 'koffi';

const library = koffi.load('libc.so.6');
const libc = {
  spawn: library.func(
    'int posix_spawn(_Out_ int *pid, const char *path, const uint8_t *actions, void *attributes, const char **argv, const char **env)',
  ),
  initActions: library.func('int posix_spawn_file_actions_init(_Inout_ uint8_t *actions)'),
  openAction: library.func(
    'int posix_spawn_file_actions_addopen(_Inout_ uint8_t *actions, int fd, const char *path, int flags, uint mode)',
  ),
  destroyActions: library.func('int posix_spawn_file_actions_destroy(_Inout_ uint8_t *actions)'),
  wait4: library.func('int wait4(int pid, _Out_ int *status, int options, _Out_ uint8_t *usage)'),
};
/** posix_spawn_file_actions_t and struct rusage of glibc on 64 bits, with room to spare. */
const actionsBytes = 256;
const usageBytes = 512;
const [readOnly, writeNew] = [0, 0o1101];

export interface PluginCall {
  readonly path: string;
  readonly variables: Readonly<Record<string, string>>;
  /** The file with the network configuration. */
  readonly stdin: string;
  /** The file for what it says. */
  readonly stdout: string;
}

export interface PluginRun {
  /** From the call until it was reaped. */
  readonly wallMs: number;
  /** User and system, with the plugins that it ran itself. */
  readonly cpuMs: number;
}

function start({ path, variables, stdin, stdout }: PluginCall): number {
  const actions = Buffer.alloc(actionsBytes);
  libc.initActions(actions);
  libc.openAction(actions, 0, stdin, readOnly, 0);
  libc.openAction(actions, 1, stdout, writeNew, 0o600);
  const pid = [0];
  const env = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const error = Number(libc.spawn(pid, path, actions, null, [path, null], [...env, null]));
  libc.destroyActions(actions);
  if (error !== 0) throw new Error(`${path} cannot be started: error ${error}`);
  return pid[0] ?? 0;
}

/** Two struct timeval stand at the head of struct rusage. */
function read(usage: Buffer, wallMs: number): PluginRun {
  const ms = (at: number): number =>
    Number(usage.readBigInt64LE(at)) * 1000 + Number(usage.readBigInt64LE(at + 8)) / 1000;
  return { wallMs, cpuMs: ms(0) + ms(16) };
}

/** Starts all calls, one right after the other, and waits for all. @throws Error with what a failed one said */
export function runPlugins(calls: readonly PluginCall[]): PluginRun[] {
  const running = new Map<number, { index: number; startMs: number }>();
  for (const [index, call] of calls.entries()) {
    const startMs = performance.now();
    running.set(start(call), { index, startMs });
  }
  const runs: PluginRun[] = [];
  while (running.size > 0) {
    const [status, usage] = [[0], Buffer.alloc(usageBytes)];
    const pid = Number(libc.wait4(-1, status, 0, usage));
    const endMs = performance.now();
    if (pid < 0) throw new Error('wait4 knows of no process although some were started');
    const one = running.get(pid);
    if (one === undefined) continue;
    running.delete(pid);
    const call = calls[one.index];
    if (status[0] !== 0 && call !== undefined) {
      const what = `${call.path} ${call.variables['CNI_COMMAND']}`;
      throw new Error(`${what} ended with status ${status[0]}: ${readFileSync(call.stdout, 'utf8')}`);
    }
    runs[one.index] = read(usage, endMs - one.startMs);
  }
  return runs;
}

export function runPlugin(call: PluginCall): PluginRun {
  const [only] = runPlugins([call]);
  if (only === undefined) throw new Error(`${call.path} was not run`);
  return only;
}

/** busybox's time takes ru_maxrss for pages of 4 kB, and the kernel gives kilobytes. */
const busyboxFactor = 4;

/**
 * The most that a plugin ever has in memory, in kilobytes. A small program starts it: what a process had before its
 * execve(2) counts as its own, and posix_spawn lends it all of ours.
 */
export function residentKb({ path, variables }: PluginCall): number {
  const { stderr } = spawnSync('busybox', ['time', '-v', path], {
    env: { ...process.env, ...variables },
    encoding: 'utf8',
  });
  const found = /Maximum resident set size \(kbytes\): (\d+)/.exec(stderr)?.[1];
  if (found === undefined) throw new Error(`busybox time says nothing of memory: ${stderr}`);
  return Number(found) / busyboxFactor;
}
