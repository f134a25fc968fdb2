// SPDX-License-Identifier: Apache-2.0
// How our scripts run other programs and tell a person about it: a line when a step starts, one at least every 8 s
// while it lasts, its time at the end, and the program's last words when it fails.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
export const buildFolder = join(root, 'build');

/** Where everything that outlives a checkout is kept. */
export function cacheFolder(): string {
  return process.env['FAST_CACHE'] ?? join(homedir(), '.cache', 'fast');
}

export class StepFailed extends Error {}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

const beatMs = 8000;

/** Steps that have begun and not ended, the innermost last. */
const underWay: string[] = [];
const programs = new Set<ChildProcess>();

/** The step that an interruption comes into. */
export const stepUnderWay = (): string | undefined => underWay.at(-1);

/** Ends the programs that steps run; each step fails by it. */
export function endPrograms(): void {
  for (const child of programs) child.kill('SIGTERM');
}

/** Runs `work` under a headline, with a sign of life every 8 s. `detail` gives the words for it. */
export async function step<T>(what: string, work: () => Promise<T>, detail: () => string = () => ''): Promise<T> {
  const startedMs = Date.now();
  say(`· ${what}`);
  underWay.push(what);
  const seconds = (): string => `${((Date.now() - startedMs) / 1000).toFixed(1)} s`;
  const beat = setInterval(() => say(`  ${seconds()} ${detail()}`), beatMs);
  try {
    const result = await work();
    say(`  done in ${seconds()}`);
    return result;
  } finally {
    clearInterval(beat);
    underWay.splice(underWay.lastIndexOf(what), 1);
  }
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
}

/** Runs a program to its end and returns what it printed to stdout. Throws StepFailed with its last words otherwise. */
export async function run(program: string, args: string[], options: RunOptions = {}): Promise<string> {
  const child = spawn(program, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  programs.add(child);
  const out: Buffer[] = [];
  let tail = '';
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-4000);
  });
  if (options.stdin !== undefined) child.stdin?.end(options.stdin);
  const code = await new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (exit, signal) => resolve(exit ?? signal ?? 1));
  });
  programs.delete(child);
  const text = Buffer.concat(out).toString();
  if (code !== 0) throw new StepFailed(`${program} ${args.join(' ')} failed (${code}):\n${tail || text.slice(-4000)}`);
  return text;
}

/** Takes in a file, or all files of a folder, by what `nameOf` calls them and what is in them. */
function addTo(hash: Hash, path: string, nameOf: (path: string) => string): void {
  if (!existsSync(path)) return;
  if (statSync(path).isDirectory()) {
    for (const name of readdirSync(path).toSorted()) addTo(hash, join(path, name), nameOf);
  } else {
    hash.update(`${nameOf(path)}\0`).update(readFileSync(path));
  }
}

/** A hash over files and folders, by content and relative path, and over whatever else decides about a result. */
export function hashOf(paths: string[], ...more: string[]): string {
  const hash = createHash('sha256');
  for (const path of paths) addTo(hash, path, (file) => file.slice(root.length));
  for (const word of more) hash.update(`\0${word}`);
  return hash.digest('hex').slice(0, 16);
}

/** A hash over a file, or over all that is in a folder, wherever it is. */
export function contentHash(path: string): string {
  const hash = createHash('sha256');
  addTo(hash, path, (file) => file.slice(path.length));
  return hash.digest('hex').slice(0, 16);
}
