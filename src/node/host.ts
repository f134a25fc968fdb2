// SPDX-License-Identifier: Apache-2.0
// The node's network namespace as the agent works on it. The programs and files that follow the caller's namespace are
// reached through here alone, so the same agent runs in a namespace that a test made.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { Netns, RouteSocket, SysError } from 'ebpf-native';

export interface Host {
  readonly netns: Netns;
  readonly socket: RouteSocket;
}

export function openHost(netns: Netns = Netns.current()): Host {
  return { netns, socket: RouteSocket.open(netns) };
}

/** Whether the kernel refused because the device went, by whoever's hand. */
export function isGone(error: unknown): boolean {
  return error instanceof SysError && error.code === 'ENODEV';
}

/** The kernel's answer to a sysctl below /proc/sys, such as `net/ipv4/ip_forward`; undefined where it has none. */
export function readSysctl(host: Host, path: string): string | undefined {
  try {
    return host.netns.run(() => readFileSync(`/proc/sys/${path}`, 'utf8').trim());
  } catch {
    return undefined;
  }
}

/**
 * Sets a sysctl where it differs, so that a /proc/sys that cannot be written does no harm while all is right.
 * @throws Error with the file and the value
 */
export function ensureSysctl(host: Host, path: string, value: string): void {
  if (readSysctl(host, path) === value) {
    return;
  }
  try {
    host.netns.run(() => {
      writeFileSync(`/proc/sys/${path}`, value);
    });
  } catch (error) {
    throw new Error(`/proc/sys/${path} cannot be set to ${value}; is the agent privileged?`, { cause: error });
  }
}

export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const maxOutputBytes = 1024 * 1024;

/** Runs a program in the node's namespace. @throws Error when it cannot be started or takes longer than `limitMs` */
export function runProgram(host: Host, argv: readonly string[], input = '', limitMs = 10_000): Promise<ProgramResult> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    // The child is forked inside run(), by the calling thread, and keeps its namespace.
    const child = host.netns.run(() =>
      spawn(program, args, { stdio: 'pipe', timeout: limitMs, killSignal: 'SIGKILL' }),
    );
    const out = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8');
      child[name].on('data', (text: string) => {
        if (out[name].length < maxOutputBytes) out[name] += text;
      });
    }
    child.on('error', (error) => {
      reject(new Error(`${program} cannot be run (${error.message}); is its package in the agent's image?`));
    });
    child.on('close', (code, signal) => {
      if (code === null) reject(new Error(`${argv.join(' ')} was ended by ${signal} after at most ${limitMs} ms`));
      else resolve({ code, ...out });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
