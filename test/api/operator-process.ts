// SPDX-License-Identifier: Apache-2.0
// One replica of fast-controller-manager as a process of its own, so that it can be killed, paused and heard.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from './hollow-cluster.ts';

const program = fileURLToPath(new URL('../../src/operator/main.ts', import.meta.url));

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export class OperatorProcess {
  /** What it logged, parsed; a line that is no JSON is a failure of its own. */
  readonly lines: LogLine[] = [];
  readonly unreadable: string[] = [];
  readonly #child: ChildProcess;

  constructor(kubeconfig: string, identity: string, logLevel = 'info') {
    const flags = ['--kubeconfig', kubeconfig, '--health-port', '0', '--identity', identity, '--log-level', logLevel];
    const env = {
      ...process.env,
      FAST_AGENT_IMAGE: 'sample.fast.io/fast-agent:test',
      POD_NAMESPACE: 'fast-system',
      KUBECONFIG: kubeconfig,
    };
    this.#child = spawn(process.execPath, [program, ...flags], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('no stdout');
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(line));
  }

  #hear(line: string): void {
    try {
      this.lines.push(JSON.parse(line) as LogLine);
    } catch {
      this.unreadable.push(line);
    }
  }

  /** The first line with this message that has been or will be logged. */
  heard(message: string, timeoutMs = 60_000): Promise<LogLine> {
    return eventually(`"${message}"`, async () => this.lines.find(({ msg }) => msg === message), timeoutMs);
  }

  /** Asks its health server, once it has one. */
  async ask(path: string): Promise<[status: number, text: string]> {
    const { healthPort } = await this.heard('serving health and metrics');
    const answer = await fetch(`http://127.0.0.1:${Number(healthPort)}${path}`);
    return [answer.status, await answer.text()];
  }

  kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** Its exit code, once it has ended; null after a signal. */
  async ended(): Promise<number | null> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    return await new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  }
}
