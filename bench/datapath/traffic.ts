// SPDX-License-Identifier: Apache-2.0
// The traffic of the benchmark, between namespaces: traffic.c compiled, its servers, and one measurement by each client.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cached } from '../../scripts/cached.ts';
import { buildFolder, hashOf, run } from '../../scripts/steps.ts';

const source = join(import.meta.dirname, 'traffic.c');
const port = '5300';

/** Compiles the program, unless it was made from the same source. Throws StepFailed with gcc's words. */
export async function buildTraffic(): Promise<string> {
  const output = join(buildFolder, 'bench/traffic');
  const words = ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread', source];
  const version = await run('gcc', ['--version']);
  await cached(output, {
    inputs: () => hashOf([source], version, ...words),
    make: async (path) => {
      await run('gcc', [...words, '-o', path]);
    },
  });
  return output;
}

/** Where a client sits and whom it asks. */
export interface Pair {
  /** `ip netns exec` takes this name. */
  readonly from: string;
  readonly to: string;
}

export interface Throughput {
  readonly gbps: number;
  readonly retransmits: number;
}

export interface Datagrams {
  /** Arrived, a second. */
  readonly perSecond: number;
  readonly sent: number;
}

export interface Answers {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export class Traffic {
  readonly #program: string;
  readonly #servers: ChildProcess[] = [];

  constructor(program: string) {
    this.#program = program;
  }

  /** Starts the server in a namespace; resolves once it listens. */
  async serve(netns: string): Promise<void> {
    const child = spawn('ip', ['netns', 'exec', netns, this.#program, 'serve', port], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#servers.push(child);
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => Promise.reject(new Error(`the traffic server in ${netns} ended at once`))),
    ]);
  }

  stream(pair: Pair, streams: number, ms: number): Promise<Throughput> {
    return this.#ask(pair, 'stream', String(streams), String(ms));
  }

  udp(pair: Pair, bytes: number, ms: number): Promise<Datagrams> {
    return this.#ask(pair, 'udp', String(bytes), String(ms));
  }

  requests(pair: Pair, ms: number): Promise<Answers> {
    return this.#ask(pair, 'rr', String(ms));
  }

  connections(pair: Pair, ms: number): Promise<Answers> {
    return this.#ask(pair, 'crr', String(ms));
  }

  async stop(): Promise<void> {
    for (const child of this.#servers.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }

  async #ask<T>({ from, to }: Pair, mode: string, ...words: string[]): Promise<T> {
    const command = ['netns', 'exec', from, this.#program, mode, to, port, ...words];
    const { stdout } = await promisify(execFile)('ip', command, { timeout: 20_000, killSignal: 'SIGKILL' });
    return JSON.parse(stdout) as T;
  }
}
