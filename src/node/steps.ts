// SPDX-License-Identifier: Apache-2.0
// Steps with their undo: what a failed sequence did is taken back in reverse, so that nobody finds half a wire.

export interface Step {
  /** What it does, as a person reads it in an error: "create the veth pair". */
  readonly name: string;
  /** Does all of it or, where it throws, nothing. */
  readonly apply: () => void;
  readonly undo?: () => void;
}

/** Sees each step of ADD and DEL begin and end: how long the kernel takes for each is what makes a pod's start slow. */
export interface StepObserver {
  readonly begins: (step: string) => void;
  readonly ended: (step: string) => void;
}

/** A step that failed, after everything before it was undone. */
export class StepError extends Error {
  readonly step: string;
  /** What could not be undone; the comparison finds it again. */
  readonly undoProblems: readonly string[];

  constructor(step: string, cause: unknown, undoProblems: readonly string[]) {
    super(`${step}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'StepError';
    this.step = step;
    this.undoProblems = undoProblems;
  }
}

/** Applies all steps in order or none. A failed step undoes itself: its own undo does not run. @throws StepError */
export function applySteps(steps: readonly Step[], observer?: StepObserver): void {
  const done: Step[] = [];
  for (const step of steps) {
    try {
      observer?.begins(step.name);
      step.apply();
      observer?.ended(step.name);
      done.push(step);
    } catch (error) {
      throw new StepError(step.name, error, undo(done));
    }
  }
}

function undo(done: readonly Step[]): string[] {
  const problems: string[] = [];
  for (const step of done.toReversed()) {
    try {
      step.undo?.();
    } catch (error) {
      problems.push(`undo of ${step.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return problems;
}

/** One step that has no undo and whose failure is the caller's to judge. */
export async function observed(
  observer: StepObserver | undefined,
  name: string,
  work: () => Promise<void> | void,
): Promise<void> {
  observer?.begins(name);
  await work();
  observer?.ended(name);
}
