// SPDX-License-Identifier: Apache-2.0
// What a person sees while the cluster is worked on: one line per step with how long it took, and a sign of life in
// between, so that nobody sits before a silent terminal.
export type Say = (line: string) => void;

const seconds = (sinceMs: number): string => `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;

/** Runs a step, tells of it every five seconds while it lasts, and of its end. `detail` adds what is known meanwhile. */
export async function step<T>(say: Say, title: string, work: () => Promise<T>, detail?: () => string): Promise<T> {
  const startMs = Date.now();
  const tick = setInterval(() => {
    const known = detail?.() ?? '';
    say(`     ... ${title}: ${seconds(startMs)} so far${known === '' ? '' : `, ${known}`}`);
  }, 5000);
  try {
    const result = await work();
    say(`${seconds(startMs).padStart(9)}  ${title}`);
    return result;
  } finally {
    clearInterval(tick);
  }
}
