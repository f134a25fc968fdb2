// SPDX-License-Identifier: Apache-2.0
// A TCP connection that a test keeps open between two namespaces and speaks through when it likes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { namespaceOf, peerScript } from './two-nodes.ts';

const patienceMs = 10_000;

export class Conversation {
  readonly #child: ChildProcess;
  readonly #heard: string[] = [];
  #wake: () => void = () => undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error('the talker has no output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#heard.push(line);
      this.#wake();
    });
  }

  /** Connects from a namespace, from a port of its own where one is given; the first line says whom the server sees. */
  static async open(from: string, to: string, localPort = 0): Promise<Conversation> {
    const [host = '', port = ''] = to.split(':');
    const command = [
      'netns',
      'exec',
      namespaceOf(from),
      process.execPath,
      peerScript,
      'talk',
      host,
      port,
      `${localPort}`,
    ];
    const conversation = new Conversation(spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] }));
    await conversation.hear();
    return conversation;
  }

  /** Says a line and hears the echo, or the code of what went wrong. */
  async say(line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`);
    return await this.hear();
  }

  /** The next line that comes; `silence` where none does. */
  async hear(): Promise<string> {
    const endMs = performance.now() + patienceMs;
    while (this.#heard.length === 0 && performance.now() < endMs) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, endMs - performance.now());
      });
    }
    return this.#heard.shift() ?? 'silence';
  }

  async close(): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }
}
