// SPDX-License-Identifier: Apache-2.0
// Says which step of an ADD or a DEL the kernel was slow at: the routing lock is one for the whole machine, and whoever
// else holds it makes pods start late.
import { type Clock, realClock } from '../kube/clock.ts';
import type { Log } from '../kube/log.ts';
import type { StepObserver } from './steps.ts';

/** The slowest step, the deletion of a veth, waits some 20 ms for the kernel. */
const slowMs = 200;
const mostSteps = 10_000;

export function slowSteps(log: Log, clock: Clock = realClock): StepObserver {
  const begunMs = new Map<string, number>();
  return {
    begins: (step) => {
      // A step that failed never ends.
      if (begunMs.size >= mostSteps) begunMs.clear();
      begunMs.set(step, clock.monotonicMs());
    },
    ended: (step) => {
      const fromMs = begunMs.get(step);
      begunMs.delete(step);
      const ms = fromMs === undefined ? 0 : Math.round(clock.monotonicMs() - fromMs);
      if (ms >= slowMs) log.warn({ step, ms }, 'the kernel was slow');
    },
  };
}
