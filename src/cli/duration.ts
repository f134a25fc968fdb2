// SPDX-License-Identifier: Apache-2.0
// Lengths of time, as people write them to kubectl and as fast-ctl says them.
import { InvalidArgumentError } from 'commander';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export interface Bounds {
  readonly leastMs: number;
  readonly mostMs: number;
}

/** `12 s`, `3 min`, `2 h`. */
export function sayDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** Milliseconds of `30s`, `2m`, `1h30m`, which is Go's form and kubectl's; undefined for others. */
function durationMs(text: string): number | undefined {
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+$/.test(text)) return undefined;
  let sumMs = 0;
  for (const [, count, unit = ''] of text.matchAll(/([0-9.]+)(ms|s|m|h)/g))
    sumMs += Number(count) * (unitMs[unit] ?? 0);
  return sumMs;
}

/**
 * For an option's argParser. `form` ends a sentence that begins with "Write". A bare number is refused, as kubectl's `--timeout` does: who
 * means milliseconds or minutes by it would not learn that seconds were taken.
 */
export function durationOf({ leastMs, mostMs }: Bounds, form: string): (text: string) => number {
  const readMs = (text: string): number | undefined => {
    const ms = durationMs(text);
    return ms !== undefined && ms >= leastMs && ms <= mostMs ? ms : undefined;
  };
  return (text) => {
    const word = text.trim();
    const ms = readMs(word);
    if (ms !== undefined) return ms;
    const isBare = readMs(`${word}s`) !== undefined && /[0-9]$/.test(word);
    throw new InvalidArgumentError(isBare ? `It has no unit; ${word} seconds are ${word}s.` : `Write ${form}.`);
  };
}
