// SPDX-License-Identifier: Apache-2.0
// Ctrl-C, and its kin: what a command that works on the cluster says of it, and how it comes to an end that leaves nothing
// half done.
import { constants } from 'node:os';
import { cacheFolder } from './paths.ts';
import type { Say } from './progress.ts';

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** One press comes from the terminal, again from npm and again from npm's script. */
const samePressMs = 500;

interface Interruptible {
  /** What is under way, and how it ends. */
  readonly stopping: string;
  /** For who does not want to wait. */
  readonly patience: string;
}

/** By how far the cluster is: `starting` while machines start, nothing where none was touched. */
type Phase = 'starting' | 'up' | undefined;

function interruptible(phase: Phase): Interruptible {
  switch (phase) {
    case undefined:
      return {
        stopping: 'stopping with the step that is under way; no cluster has been touched.',
        patience: 'the step comes to its end.',
      };
    case 'starting':
      return {
        stopping: 'stopping; the machines that have been started are ended, and all that was made for them is removed.',
        patience: 'the clean-up ends by itself within seconds, and one that is cut off leaves remains.',
      };
    case 'up':
      return { stopping: 'stopping; the cluster stays up.', patience: 'it takes a moment.' };
  }
}

export class Interruption {
  readonly #abort = new AbortController();
  readonly #say: Say;
  readonly #phase: () => Phase;
  #atMs = 0;
  /** As shells count: 130 after Ctrl-C. */
  exitCode: number | undefined;

  /** `phase` is asked at the moment of an interruption. */
  constructor(say: Say, phase: () => Phase) {
    this.#say = say;
    this.#phase = phase;
  }

  /** Aborts at the first signal. Later ones are answered, and end nothing: a clean-up that is cut off leaves remains. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** From now on signals come here. */
  listen(): void {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => this.meet(name));
    // Whoever reads our words, a terminal or `tee`, may be ended by the same signal, and that must not end the clean-up.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  }

  meet(name: StopSignal, nowMs = Date.now()): void {
    const sinceMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    const { stopping, patience } = interruptible(this.#phase());
    if (this.exitCode === undefined) {
      this.exitCode = 128 + constants.signals[name];
      this.#say(`\n${name}: ${stopping}`);
      this.#abort.abort(new Error(`stopped by ${name}`));
    } else if (sinceMs > samePressMs) {
      this.#say(`${name}: stopping already; ${patience}`);
    }
  }
}

/** What is there afterwards, and how to be rid of it. */
export function leftBehind(state: 'up' | 'down' | 'incomplete'): string {
  const kept = `What was built and fetched is kept for the next time, in build/ and ${cacheFolder}; whoever wants it gone deletes these folders.`;
  switch (state) {
    case 'down':
      return `Of the cluster nothing is left: no process, mount, network or control group. ${kept}`;
    case 'up':
      return `The cluster is up and stays so; \`npm run cluster -- down\` ends it and leaves nothing of it. ${kept}`;
    case 'incomplete':
      return `Remains of the cluster are left; \`npm run cluster -- down\` removes them. ${kept}`;
  }
}
