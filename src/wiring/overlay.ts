// SPDX-License-Identifier: Apache-2.0
// Which addresses the stack sends into the tunnel, and which sources it masquerades: both follow from the pools.
import type { Ips } from '../api/generated/ips.ts';
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { isAddress, parseAddress } from '../ip/address.ts';
import { toCidrs } from '../ip/cidr.ts';
import { type Cidr, formatRange, parseRange, type Range } from '../ip/range.ts';
import { RangeSet } from '../ip/range-set.ts';

export interface Overlay {
  /** Every address that a pod or an overlay end has or may get, less the machines' own. */
  readonly addresses: RangeSet;
  /** The same as the fewest blocks, each a route. */
  readonly routes: readonly Cidr[];
  /** Entries of pools that do not parse, each with its pool, its value and the cure. */
  readonly problems: readonly string[];
}

function ranges(entries: readonly string[], pool: string, problems: string[]): Range[] {
  return entries.flatMap((entry) => {
    try {
      return [parseRange(entry)];
    } catch (error) {
      problems.push(`Ips ${pool}: ${error instanceof Error ? error.message : String(error)}`);
      return [];
    }
  });
}

function single(address: string): Range[] {
  if (!isAddress(address)) return [];
  const value = parseAddress(address);
  return [{ first: value, last: value }];
}

/**
 * The pools and, beside them, addresses still in use that an edit took out of a pool. The machines' own addresses and
 * the network that this node stands in (`ownNetworks`) are never in it, whatever a pool says: a route into the tunnel
 * for the tunnel's own end, or for the way to it, cuts the node off.
 */
export function overlayOf(
  pools: readonly Ips[],
  endpoints: readonly NodeEndpoint[],
  ownNetworks: readonly Range[] = [],
): Overlay {
  const problems: string[] = [];
  const near = RangeSet.of(ownNetworks);
  const pooled = pools.flatMap((pool) => {
    const found = ranges(pool.spec.ips, pool.metadata.name, problems);
    for (const part of RangeSet.of(found).intersect(near).ranges) {
      const where = `lies in this node's own network ${ownNetworks.map(formatRange).join(', ')} and is not routed`;
      problems.push(
        `Ips ${pool.metadata.name}: ${formatRange(part)} ${where}; choose addresses that no machine's network has`,
      );
    }
    return found;
  });
  const used = endpoints.flatMap(({ spec }) =>
    [...(spec.podAddresses ?? []), spec.overlayAddress ?? ''].flatMap(single),
  );
  const machines = endpoints.flatMap(({ spec }) => single(spec.tunnelAddress));
  const addresses = RangeSet.of([...pooled, ...used])
    .subtract(RangeSet.of(machines))
    .subtract(near);
  return { addresses, routes: toCidrs(addresses.ranges), problems };
}

function namedSet(name: string, members: RangeSet): string {
  const elements = members.ranges.map(formatRange);
  const list = elements.length === 0 ? '' : ` elements = { ${elements.join(', ')} };`;
  return `  set ${name} { type ipv4_addr; flags interval;${list} }`;
}

/** What the rules of a node follow. */
export interface NodeRules {
  /** Of pods and overlay ends, everywhere. */
  readonly addresses: RangeSet;
  /** Destinations outside that see pods by their own addresses. */
  readonly excluded: RangeSet;
  /** The tunnel's. */
  readonly device: string;
  /** UDP. */
  readonly tunnelPort: number;
}

/**
 * The table `fast` as a script for `nft -f`, which the kernel takes as one transaction. Pods that leave the overlay get
 * the node's address, since nobody outside knows the way back; so does what enters the tunnel from outside, since the
 * other node drops sources that it cannot ask back by the tunnel. Whoever runs the network knows of ranges outside from
 * which there is a way back to pods: those are `excluded`, and see pods by their own addresses.
 */
export function masqueradeScript({ addresses, excluded, device, tunnelPort }: NodeRules): string {
  return [
    'table ip fast',
    'delete table ip fast',
    'table ip fast {',
    namedSet('overlay', addresses),
    namedSet('excluded', excluded),
    '  chain postrouting {',
    '    type nat hook postrouting priority srcnat + 1; policy accept;',
    '    ip saddr @overlay ip daddr @excluded return',
    '    ip saddr @overlay ip daddr != @overlay fib daddr type != local counter masquerade',
    `    oifname "${device}" ip saddr != @overlay counter masquerade`,
    '  }',
    // Outer packets have a source port for each inner flow: tracked, every flow of a pod would fill conntrack on both
    // nodes a second time. What a pod itself sends to that port comes by a wire, and stays tracked.
    '  chain tunnel-out {',
    '    type filter hook output priority raw; policy accept;',
    `    udp dport ${tunnelPort} notrack`,
    '  }',
    '  chain tunnel-in {',
    '    type filter hook prerouting priority raw; policy accept;',
    `    iifname != "fast*" udp dport ${tunnelPort} notrack`,
    '  }',
    // A pod that spoke to another node's end of the tunnel would be masqueraded and pass for its own node there, and what
    // it wraps for any pod of it; by a node port it would pass for a third node. Here no Service hides the destination
    // any more.
    '  chain forward {',
    '    type filter hook forward priority filter; policy accept;',
    `    iifname "fast*" udp dport ${tunnelPort} counter drop`,
    `    ct status dnat udp dport ${tunnelPort} counter drop`,
    '  }',
    '}',
    '',
  ].join('\n');
}
