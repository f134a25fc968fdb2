// SPDX-License-Identifier: Apache-2.0
// The knob that names destinations outside which see pods by their own addresses.
import { formatRange, parseRange } from '../ip/range.ts';

/** The key in the ConfigMap of knobs. */
export const masqueradeKnob = 'masquerade-exclude';

export interface ReadRanges {
  /** In one spelling, so that a space more in the ConfigMap rolls no agent. */
  readonly ranges: readonly string[];
  /** Each with its value and the cure. */
  readonly problems: readonly string[];
}

/** Ranges between commas or blanks. */
export function readRanges(text = ''): ReadRanges {
  const [ranges, problems]: [string[], string[]] = [[], []];
  for (const word of text.split(/[\s,]+/).filter((one) => one !== '')) {
    try {
      ranges.push(formatRange(parseRange(word)));
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { ranges, problems };
}
