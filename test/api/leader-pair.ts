// SPDX-License-Identifier: Apache-2.0
// Two processes that stand for election on the same Leases, each stage over lines of its own, and the history of all that
// was written, in the order in which the API server took it.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { configMaps, leases } from '../../src/kube/resources.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import type { ApiLines, Line } from './api-lines.ts';
import { eventually } from './hollow-cluster.ts';
import type { WorkerConfig } from './leader-worker.ts';

const workerProgram = fileURLToPath(new URL('./leader-worker.ts', import.meta.url));

export type Side = 'left' | 'right';
export const sides: readonly Side[] = ['left', 'right'];

export interface Stage {
  readonly name: string;
  readonly lines: Readonly<Record<Side, Line>>;
  /** The term of each write that landed, oldest first, one entry for any number of writes in a row. */
  readonly terms: string[];
  /** How many writes landed. */
  writes: number;
}

export class LeaderPair {
  readonly stages: readonly Stage[];
  readonly #config: Pick<WorkerConfig, 'times' | 'writeEveryMs'>;
  readonly #client: KubeClient;
  readonly #workers = new Map<Side, ChildProcess>();
  readonly #life = new AbortController();
  #watching: Promise<void> = Promise.resolve();
  #brokenWatch: Error | undefined;
  #starts = 0;

  constructor(api: ApiServer, lines: ApiLines, names: string[], config: Pick<WorkerConfig, 'times' | 'writeEveryMs'>) {
    this.#client = connect({ kubeconfig: api.kubeconfig, fieldManager: 'audit' });
    this.#config = config;
    this.stages = names.map((name) => ({
      name,
      lines: { left: lines.add(`${name}-left`), right: lines.add(`${name}-right`) },
      terms: [],
      writes: 0,
    }));
  }

  /** Begins to watch, then starts both processes. */
  async start(): Promise<void> {
    const { resourceVersion } = await this.#client.list(configMaps, { namespace: 'default' });
    this.#watching = this.#watch(resourceVersion).catch((error: unknown) => {
      if (!this.#life.signal.aborted) this.#brokenWatch = error as Error;
    });
    for (const side of sides) this.startWorker(side);
  }

  startWorker(side: Side): void {
    this.#starts += 1;
    const config: WorkerConfig = {
      ...this.#config,
      identity: `${side}-${this.#starts}`,
      namespace: 'default',
      stages: this.stages.map(({ name, lines }) => ({ name, kubeconfig: lines[side].kubeconfig })),
    };
    // The kernel ends it with us, however we end.
    const argv = ['--pdeathsig=KILL', '--', process.execPath, workerProgram, JSON.stringify(config)];
    const child = spawn('setpriv', argv, { stdio: 'inherit' });
    this.#workers.set(side, child);
  }

  signal(side: Side, signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#workers.get(side)?.kill(signal);
  }

  /** Resolves when the process has ended. */
  async ended(side: Side): Promise<void> {
    const child = this.#workers.get(side);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => child.once('exit', resolve));
  }

  async holderOf(stage: Stage): Promise<Side | undefined> {
    const holder = (await this.#client.find(leases, stage.name, 'default'))?.spec?.holderIdentity ?? '';
    return sides.find((side) => holder.startsWith(side));
  }

  /** Resolves when each stage has been written to once more, and soon: whatever befell it, somebody leads again. */
  async allWrite(what: string): Promise<void> {
    const before = this.stages.map(({ writes }) => writes);
    const idle = (): Stage[] => this.stages.filter(({ writes }, index) => writes === before[index]);
    await eventually(`a write to each after ${what}`, async () => idle().length === 0 || this.#brokenWatch).catch(
      (error: unknown) => {
        throw new Error(`${String(error)}; idle: ${idle().map(({ name }) => name)}`);
      },
    );
    if (this.#brokenWatch !== undefined) throw this.#brokenWatch;
  }

  async stop(): Promise<void> {
    for (const { lines } of this.stages) {
      for (const side of sides) lines[side].mode = 'open';
    }
    for (const side of sides) {
      this.signal(side, 'SIGCONT');
      this.signal(side, 'SIGTERM');
    }
    await Promise.all(sides.map((side) => this.ended(side)));
    this.#life.abort();
    await this.#watching;
    await this.#client.close();
  }

  /** A watch tells every version of every object, one after another; of one that breaks the history has holes. */
  async #watch(resourceVersion: string): Promise<void> {
    const options = { namespace: 'default', resourceVersion, timeoutSeconds: 3600, silenceMs: 600_000 };
    for await (const event of this.#client.watch(configMaps, { ...options, signal: this.#life.signal })) {
      if (event.type !== 'ADDED' && event.type !== 'MODIFIED') continue;
      const stage = this.stages.find(({ name }) => name === event.object.metadata.name);
      const term = event.object.data?.['term'];
      if (stage === undefined || term === undefined) continue;
      stage.writes += 1;
      if (stage.terms.at(-1) !== term) stage.terms.push(term);
    }
  }
}
