// SPDX-License-Identifier: Apache-2.0
// The loop that makes the node equal to what it should be. Events ask for it and make it prompt; the clock asks for it
// too and makes it true, whatever was missed or changed by others.
import { type Clock, realClock } from '../kube/clock.ts';
import type { Log } from '../kube/log.ts';

export interface Part {
  /** What is compared, as it stands in logs, conditions and readiness. */
  readonly name: string;
  /** Compares and writes the difference; answers how many things it changed. `full`: also look for what others did. */
  readonly run: (full: boolean) => Promise<number> | number;
}

export interface ComparisonOptions {
  /** In the order of their dependence. */
  readonly parts: readonly Part[];
  readonly log: Log;
  readonly everyMs: number;
  /** Told after each run. */
  readonly onRun: () => void;
  readonly clock?: Clock | undefined;
}

/** Events that come together are one run. */
const debounceMs = 20;
/** Runs for events may take a share of one in this many of the time: a big cluster's must not occupy the agent. */
const restShare = 10;
/** And yet an event is heard within this: other nodes' new pods are out of reach until then. */
const longestRestMs = 500;
const retryMs = 2000;

interface Problem {
  readonly why: string;
  /** A full run met it, and what only that looks at is not known to be right before the next one. */
  readonly isOfFull: boolean;
}

export class Comparison {
  readonly #o: ComparisonOptions;
  readonly #clock: Clock;
  readonly #problems = new Map<string, Problem>();
  #cancel: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #restUntilMs = 0;
  #fullAtMs = 0;
  #isStopped = false;
  #isRequested = false;

  constructor(options: ComparisonOptions) {
    this.#o = options;
    this.#clock = options.clock ?? realClock;
  }

  /** What could not be made right in the last run: "part: why", empty when all is as it should be. */
  problems(): string[] {
    return [...this.#problems].map(([name, { why }]) => `${name}: ${why}`);
  }

  /** What could not be made right of one part. */
  problemOf(part: string): string | undefined {
    return this.#problems.get(part)?.why;
  }

  /** Something changed: compare soon. */
  request(): void {
    if (this.#isStopped || this.#isRequested) return;
    this.#isRequested = true;
    this.#schedule(Math.max(debounceMs, this.#restUntilMs - this.#clock.monotonicMs()));
  }

  /** Compares now, after a run that is under way. */
  runNow(full: boolean): Promise<void> {
    this.#running = this.#running.then(() => this.#run(full));
    return this.#running;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#running;
  }

  #schedule(delayMs: number): void {
    this.#cancel();
    if (this.#isStopped) return;
    this.#cancel = this.#clock.after(delayMs, () => {
      void this.runNow(this.#clock.monotonicMs() >= this.#fullAtMs);
    });
  }

  async #run(full: boolean): Promise<void> {
    if (this.#isStopped) return;
    this.#isRequested = false;
    const startMs = this.#clock.monotonicMs();
    for (const part of this.#o.parts) await this.#runPart(part, full);
    const endMs = this.#clock.monotonicMs();
    if (full) this.#fullAtMs = endMs + this.#o.everyMs;
    else this.#restUntilMs = endMs + Math.min((endMs - startMs) * restShare, longestRestMs);
    this.#tell();
    if (this.#isRequested) return;
    this.#schedule(this.#problems.size > 0 ? retryMs : Math.max(0, this.#fullAtMs - endMs));
  }

  /** Nothing that is told may end the loop. */
  #tell(): void {
    try {
      this.#o.onRun();
    } catch (error) {
      this.#o.log.error({ err: error }, 'the outcome of a comparison could not be told');
    }
  }

  async #runPart(part: Part, isFullRun: boolean): Promise<void> {
    const known = this.#problems.get(part.name);
    const full = isFullRun || known?.isOfFull === true;
    try {
      const changes = await part.run(full);
      if (this.#problems.delete(part.name)) this.#o.log.info({ part: part.name }, 'right again');
      if (changes > 0) this.#o.log.info({ part: part.name, changes, full }, 'compared and mended');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (known?.why !== why) this.#o.log.error({ err: error, part: part.name }, 'not as it should be');
      this.#problems.set(part.name, { why, isOfFull: full });
    }
  }
}
