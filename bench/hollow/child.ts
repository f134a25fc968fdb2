// SPDX-License-Identifier: Apache-2.0
// Processes beside the one that measures, asked by messages: what burns CPU for the measurement must not do it in the
// process whose clock is read, and hollow agents must not share one event loop with the load.
import { type ChildProcess, fork } from 'node:child_process';

/** What a child can be asked, by name; arguments and answers are JSON. */
export type Methods = Record<string, (argument: never) => Promise<unknown>>;

type Argument<M extends Methods, N extends keyof M> = Parameters<M[N]>[0];
type Answer<M extends Methods, N extends keyof M> = Awaited<ReturnType<M[N]>>;

interface Question {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

type Reply = { readonly id: number } & ({ readonly answer: unknown } | { readonly error: string });

export class Child<M extends Methods> {
  readonly #process: ChildProcess;
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;

  /** Starts `file`, which calls `serve`. `through` is a program that becomes Node in the end, such as unshare. */
  constructor(file: string, nodeFlags: readonly string[] = [], through: readonly string[] = []) {
    const [execPath = process.execPath, ...execArgv] = [...through, process.execPath, ...nodeFlags];
    this.#process = fork(file, { execPath, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#process.on('message', (reply: Reply) => {
      const waiting = this.#open.get(reply.id);
      this.#open.delete(reply.id);
      if ('error' in reply) waiting?.reject(new Error(reply.error));
      else waiting?.resolve(reply.answer);
    });
    this.#process.on('exit', (code, signal) => {
      for (const waiting of this.#open.values()) waiting.reject(new Error(`${file} ended with ${signal ?? code}`));
      this.#open.clear();
    });
  }

  ask<N extends keyof M & string>(method: N, argument: Argument<M, N>): Promise<Answer<M, N>> {
    this.#lastId += 1;
    const waiting = Promise.withResolvers<unknown>();
    this.#open.set(this.#lastId, waiting);
    const question: Question = { id: this.#lastId, method, argument };
    this.#process.send(question);
    return waiting.promise as Promise<Answer<M, N>>;
  }

  end(): void {
    this.#process.kill('SIGKILL');
  }
}

/** In the child: answers questions until the parent is gone. */
export function serve(methods: Methods): void {
  process.on('message', ({ id, method, argument }: Question) => {
    const run = methods[method] as ((argument: unknown) => Promise<unknown>) | undefined;
    const answer = run === undefined ? Promise.reject(new Error(`no method ${method}`)) : run(argument);
    answer.then(
      (value) => process.send?.({ id, answer: value ?? null }),
      (error: unknown) =>
        process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  // No child outlives its parent.
  process.on('disconnect', () => process.exit(0));
}
