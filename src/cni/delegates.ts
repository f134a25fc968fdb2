// SPDX-License-Identifier: Apache-2.0
// The plugins that fast-cni runs itself: CNI 1.1.0, section 4, "Plugin Delegation". In the list of plugins the runtime
// would start each of them for every pod; here one runs only for a pod that asks for what it does.
import { errorCode } from '../protocol/error-codes.ts';
import { explain } from '../protocol/validation.ts';
import { CniError } from './cni-error.ts';
import type { Configuration } from './configuration.ts';
import type { Deadline } from './deadline.ts';
import type { Host, PluginOutcome } from './host.ts';
import type { RawResult } from './result.ts';
import { validatePreviousResult } from './validators.ts';

export interface Delegate {
  /** The name of the executable in one of the folders of CNI_PATH. */
  readonly type: string;
}

type DelegatedCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS';

/** A plugin that waits longer has a fault. */
const maxTimeoutMs = 20_000;

function failure(type: string, because: string, details?: string): CniError {
  return new CniError(errorCode.delegate, `the plugin ${type} failed: ${because}`, details);
}

/** Tries the folders of CNI_PATH in their order. */
function find(host: Host, type: string, command: DelegatedCommand, body: string, timeoutMs: number): PluginOutcome {
  const path = host.env('CNI_PATH') ?? '';
  for (const folder of path.split(':').filter((one) => one.startsWith('/'))) {
    const outcome = host.runPlugin(`${folder}/${type}`, command, body, timeoutMs);
    if (!('problem' in outcome && outcome.problem === 'missing')) return outcome;
  }
  throw failure(type, `it is in no folder of CNI_PATH, ${JSON.stringify(path.slice(0, 200))}`);
}

/** What a plugin says of its failure; not all keep to the specification there. */
function reasonOf(text: string): { msg: string; details?: string } {
  const fallback = { msg: text.trim() === '' ? 'it said nothing' : text.trim().slice(0, 500) };
  try {
    const { msg, details } = JSON.parse(text) as { msg?: unknown; details?: unknown };
    if (typeof msg !== 'string') return fallback;
    return typeof details === 'string' && details !== '' ? { msg, details } : { msg };
  } catch {
    return fallback;
  }
}

export class Delegates {
  readonly #host: Host;
  readonly #configuration: Configuration;
  readonly #deadline: Deadline;
  /** The most that an ADD runs, where the last of them fails and all are undone. */
  readonly stepsOfAdd: number;

  constructor(host: Host, configuration: Configuration, deadline: Deadline) {
    this.#host = host;
    this.#configuration = configuration;
    this.#deadline = deadline;
    this.stepsOfAdd = 2 * configuration.delegates.length;
  }

  /** What the plugin printed; throws code 105 with its words where it failed. */
  #run(
    { type }: Delegate,
    command: DelegatedCommand,
    prevResult: RawResult | undefined,
    stepsBehind: number,
    whole = this.#configuration.whole,
  ): string {
    const timeoutMs = this.#deadline.timeFor(Math.min(this.#configuration.timeoutMs, maxTimeoutMs), stepsBehind);
    // Section 4: the complete configuration, so that its keys are the plugin's options too.
    const body = JSON.stringify({ ...whole, type, prevResult });
    const outcome = find(this.#host, type, command, body, timeoutMs);
    if ('problem' in outcome) throw failure(type, outcome.message);
    if (outcome.exitCode === 0) return outcome.text;
    const { msg, details } = reasonOf(outcome.text);
    throw failure(type, msg, details);
  }

  #extend(delegate: Delegate, before: RawResult, stepsBehind: number): RawResult {
    const text = this.#run(delegate, 'ADD', before, stepsBehind);
    try {
      const result = JSON.parse(text) as unknown;
      const problem = explain(validatePreviousResult, result);
      if (problem === undefined) return result as RawResult;
      throw failure(delegate.type, `it printed no result: ${problem}`);
    } catch (error) {
      if (error instanceof CniError) throw error;
      throw failure(delegate.type, `it printed no result but ${JSON.stringify(text.slice(0, 60))}`);
    }
  }

  /** Answers the result that they made of `result`. Where one fails it undoes what they did, and throws code 105. */
  add(result: RawResult): RawResult {
    const begun: Delegate[] = [];
    let extended = result;
    try {
      for (const [place, delegate] of this.#configuration.delegates.entries()) {
        begun.push(delegate);
        // Behind it are the others, the undoing of all, and the wire's.
        extended = this.#extend(delegate, extended, this.stepsOfAdd - place);
      }
    } catch (error) {
      this.#all('DEL', begun.toReversed(), extended, 1);
      throw error;
    }
    return extended;
  }

  /** Behind what fast-cni does itself; throws code 105 of the first that complains. */
  ask(command: 'CHECK' | 'STATUS'): void {
    const { delegates } = this.#configuration;
    for (const [place, delegate] of delegates.entries()) {
      this.#askOne(delegate, command, delegates.length - place - 1);
    }
  }

  #askOne(delegate: Delegate, command: 'CHECK' | 'STATUS', stepsBehind: number): void {
    const { prevResult, formerWhole } = this.#configuration;
    try {
      this.#run(delegate, command, prevResult, stepsBehind);
    } catch (error) {
      // An older fast-cni may have wired the pod, which is then as it was made: CRI-O ends a pod that fails when it starts.
      if (formerWhole === undefined) throw error;
      try {
        this.#run(delegate, command, prevResult, stepsBehind, formerWhole);
      } catch {
        // What it says of the other burst would lead astray.
        throw error;
      }
    }
  }

  /** Section 2, "GC": all of them collect, whatever one of them says. Throws code 105 of the first that complains. */
  collect(): void {
    const failure = this.#all('GC', this.#configuration.delegates, undefined, 0);
    if (failure !== undefined) throw failure;
  }

  /** Runs all of them, the last first, and answers the first failure. */
  del(): CniError | undefined {
    const { delegates, prevResult } = this.#configuration;
    return this.#all('DEL', delegates.toReversed(), prevResult, 1);
  }

  /** The first failure; it keeps none of the others. `stepsBehind` all of them is the wire's DEL, or nothing. */
  #all(
    command: 'DEL' | 'GC',
    delegates: readonly Delegate[],
    prevResult: RawResult | undefined,
    stepsBehind: number,
  ): CniError | undefined {
    const failures: CniError[] = [];
    for (const [place, delegate] of delegates.entries()) {
      try {
        this.#run(delegate, command, prevResult, delegates.length - place - 1 + stepsBehind);
      } catch (error) {
        if (!(error instanceof CniError)) throw error;
        failures.push(error);
      }
    }
    return failures[0];
  }
}
