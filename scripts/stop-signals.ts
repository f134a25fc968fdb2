// SPDX-License-Identifier: Apache-2.0
// What asks a command of ours to end: Ctrl-C, and its kin.
import { constants } from 'node:os';

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof stopSignals)[number];

/** One press comes from the terminal, again from npm and again from npm's script. */
const samePressMs = 500;

/** From now on `meet` is told of each press once, with the exit code of a command that ends by it, as shells count. */
export function onStop(meet: (signal: StopSignal, exitCode: number) => void): void {
  let pressedAtMs = -Infinity;
  for (const name of stopSignals) {
    process.on(name, () => {
      const sinceMs = performance.now() - pressedAtMs;
      pressedAtMs = performance.now();
      if (sinceMs > samePressMs) meet(name, 128 + constants.signals[name]);
    });
  }
}
