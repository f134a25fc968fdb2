// SPDX-License-Identifier: Apache-2.0
// A command of ours that may be stopped in the middle: it says what was stopped, and that the next run goes on from there.
import { endPrograms, say, stepUnderWay } from './steps.ts';
import { onStop } from './stop-signals.ts';

/**
 * Runs the work of a script to its end, which is its exit code too. Its signal is aborted by Ctrl-C and its kin, which also
 * end the programs that its steps run: a terminal tells these by itself, a supervisor does not.
 */
export async function interruptible(command: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  let exitCode: number | undefined;
  onStop((signal, code) => {
    if (exitCode !== undefined) return;
    exitCode = code;
    const what = stepUnderWay();
    say(`\n${signal}: stopping${what === undefined ? '' : ` in the step "${what}"`}`);
    stop.abort(new Error(`stopped by ${signal}`));
    endPrograms();
  });
  try {
    await work(stop.signal);
  } catch (error) {
    process.exitCode = 1;
    if (exitCode === undefined) say(`fast: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (exitCode === undefined) return;
  say(`${command} was stopped. Steps that had ended are kept: run again, it goes on with the one that was stopped.`);
  process.exitCode = exitCode;
}
