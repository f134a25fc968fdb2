// SPDX-License-Identifier: Apache-2.0
// What a benchmark is here: ratios of interleaved runs on one machine, against a named peer and against the limit. The
// figures of one machine mean little on the next, the ratios hold.

/** A ratio that a reader may hold against its aim. */
export interface Ratio {
  readonly value: number;
  /** `>= 0.85`: what it should be. Absent: shown for information. */
  readonly aim?: { readonly atLeast: number } | { readonly atMost: number };
  /** What is divided by what, in one line. */
  readonly of: string;
}

/** A plain figure with its unit in its name (`steady_p99_ms`). */
export interface Figure {
  readonly value: number;
  readonly aim?: Ratio['aim'];
  readonly of: string;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: ReadonlyArray<readonly (string | number)[]>;
}

export interface BenchResult {
  readonly tables: readonly Table[];
  readonly ratios: Readonly<Record<string, Ratio>>;
  readonly figures?: Readonly<Record<string, Figure>>;
  /** What a reader must know to read the figures rightly; arithmetic of extrapolations. */
  readonly notes?: readonly string[];
}

export interface BenchRun {
  /** How many interleaved rounds the caller asked for. */
  readonly rounds: number;
  /** The one part of the benchmark that was asked for. */
  readonly only?: string;
  /** Progress, for people. */
  readonly say: (line: string) => void;
  /** Aborted by Ctrl-C: stop what was started and return or throw soon. */
  readonly signal: AbortSignal;
}

export interface Bench {
  readonly name: string;
  /** One line for `--help`. */
  readonly about: string;
  readonly defaultRounds: number;
  /** What can be measured by itself. */
  readonly parts?: readonly string[];
  run(run: BenchRun): Promise<BenchResult>;
}

/** The middle value; of an even count the mean of the two middle ones. @throws Error for none */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half];
  if (upper === undefined) throw new Error('the median of nothing was asked for');
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2;
}

/** The value that `share` (0 to 1) of all do not exceed: nearest rank. @throws Error for none */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error('a percentile of nothing was asked for');
  return value;
}

/**
 * Runs every contestant once per round, in an order that turns with each round, so that a machine that grows slower
 * does so for all of them. Answers each one's measurements in the order of the rounds.
 */
export async function interleaved<N extends string, T>(
  contestants: Readonly<Record<N, (round: number) => Promise<T>>>,
  { rounds, say, signal }: BenchRun,
): Promise<Record<N, T[]>> {
  const names = Object.keys(contestants) as N[];
  const measured = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<N, T[]>;
  for (let round = 0; round < rounds; round += 1) {
    say(`round ${round + 1} of ${rounds}`);
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(round + turn) % names.length] as N;
      signal.throwIfAborted();
      measured[name].push(await contestants[name](round));
    }
  }
  return measured;
}

/** The median of the ratios pair by pair: a drift of the machine between rounds cancels out. */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, round) => value / (theirs[round] ?? Number.NaN)));
}
