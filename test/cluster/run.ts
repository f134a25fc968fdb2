// SPDX-License-Identifier: Apache-2.0
// Running other programs: to the end with their output, or detached as a part of the cluster.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { markerName, markerValue, machineVariable } from './marked-processes.ts';

export interface RunOptions {
  stdin?: string;
  env?: Record<string, string>;
  cwd?: string;
  signal?: AbortSignal;
  /** Default 120,000. */
  timeoutMs?: number;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  /** The exit code, or 128 + the signal's number as shells count (137 for a time-out). */
  code: number;
}

/** Runs a program to its end. Rejects only if it cannot be started; a failing exit code is in the result. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...rest] = argv;
  if (program === undefined) throw new Error('run: the argument list is empty');
  options.signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 120_000,
      killSignal: 'SIGKILL',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => undefined); // A program that does not read its input is not an error.
    child.stdin.end(options.stdin ?? '');
    child.on('error', (cause) => reject(new Error(`cannot run ${argv.join(' ')}: ${cause.message}`, { cause })));
    child.on('close', (code) => {
      resolve({ stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString(), code: code ?? 137 });
    });
  });
}

/** Runs a program that must succeed, and gives its output. @throws Error with the command and what it said. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(argv, options);
  if (result.code !== 0) {
    const said = `${result.stderr}${result.stdout}`.trim();
    throw new Error(`${argv.join(' ')}: exit code ${result.code}${said === '' ? '' : `: ${said}`}`);
  }
  return result.stdout;
}

export const markedEnvironment = (machine: string): Record<string, string> => ({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  [markerName]: markerValue,
  [machineVariable]: machine,
});

/** Starts a program that outlives this one, marked as a part of the cluster, with its output going to `log`. */
export function startDetached(machine: string, argv: readonly string[], log: string, cwd = '/'): Promise<void> {
  const [program, ...rest] = argv;
  if (program === undefined) throw new Error('startDetached: the argument list is empty');
  const output = openSync(log, 'a', 0o600);
  return new Promise<void>((resolve, reject) => {
    const child = spawn(program, rest, {
      cwd,
      env: markedEnvironment(machine),
      detached: true,
      stdio: ['ignore', output, output],
    });
    child.on('error', (cause) => reject(new Error(`cannot start ${argv.join(' ')}: ${cause.message}`, { cause })));
    child.on('spawn', () => {
      child.unref();
      resolve();
    });
  }).finally(() => closeSync(output));
}

/** Asks `ask` until it answers something, at most for `limitMs`. @throws Error naming what did not come. */
export async function waitFor<T>(
  what: string,
  limitMs: number,
  ask: () => T | undefined | Promise<T | undefined>,
  signal?: AbortSignal,
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${limitMs / 1000} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
