// SPDX-License-Identifier: Apache-2.0
// Whether a packet that leaves by the stack is masqueraded, by the node's table `ip fast` as nft lists it.
import { vxlanDevice } from '../api/names.ts';
import { parseAddress } from '../ip/address.ts';
import { parseRange } from '../ip/range.ts';
import { RangeSet } from '../ip/range-set.ts';

export interface Leaving {
  readonly source: string;
  readonly destination: string;
  /** The device by which it leaves. */
  readonly device: string;
}

export type Masquerading =
  | { readonly verdict: 'masqueraded' | 'kept'; readonly because: string }
  /** The table is not as Fast writes it. */
  | { readonly verdict: 'unknown'; readonly because: string };

interface Listing {
  readonly sets: ReadonlyMap<string, RangeSet>;
  readonly rules: readonly string[];
}

/** Blocks are closed by a brace on a line of its own; that of a set's elements stands behind the last one. */
function parseListing(text: string): Listing {
  const sets = new Map<string, RangeSet>();
  const rules: string[] = [];
  for (const [, kind, name = '', body = ''] of text.matchAll(/^\t(set|chain) ([\w-]+) \{\n([\s\S]*?)^\t\}$/gm)) {
    if (kind === 'set') {
      const elements = /elements = \{([^}]*)\}/.exec(body)?.[1]?.split(',') ?? [];
      sets.set(name, RangeSet.of(elements.map((element) => parseRange(element.trim()))));
    } else if (name === 'postrouting') {
      rules.push(...body.split('\n').map((line) => line.trim()));
    }
  }
  return { sets, rules: rules.filter((line) => line !== '' && !line.startsWith('type ')) };
}

/** Goes through the rules as the kernel does. A rule that Fast does not write is not guessed at. */
export function masqueradingOf(text: string, { source, destination, device }: Leaving): Masquerading {
  if (text === '') return { verdict: 'kept', because: 'this node has no table ip fast' };
  const { sets, rules } = parseListing(text);
  const has = (name: string, address: string): boolean => sets.get(name)?.contains(parseAddress(address)) ?? false;
  const isOurs = has('overlay', source);
  for (const rule of rules) {
    switch (rule.replace(/counter packets \d+ bytes \d+/, 'counter')) {
      case 'ip saddr @overlay ip daddr @excluded return':
        if (isOurs && has('excluded', destination)) {
          return { verdict: 'kept', because: `the knob masquerade-exclude has ${destination}` };
        }
        break;
      // Whoever asks knows by the route that the destination is not this node's own.
      case 'ip saddr @overlay ip daddr != @overlay fib daddr type != local counter masquerade':
        if (isOurs && !has('overlay', destination)) {
          return { verdict: 'masqueraded', because: `no pool has ${destination}` };
        }
        break;
      case `oifname "${vxlanDevice}" ip saddr != @overlay counter masquerade`:
        if (!isOurs && device === vxlanDevice) return { verdict: 'masqueraded', because: `no pool has ${source}` };
        break;
      default:
        return { verdict: 'unknown', because: `the table ip fast has a rule that Fast does not write: ${rule}` };
    }
  }
  return { verdict: 'kept', because: 'no rule of the table ip fast says otherwise' };
}
