// SPDX-License-Identifier: Apache-2.0
// Which way packets take to another node: by the tunnel, or directly where both nodes stand in one network and both
// say so.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Mode } from '../api/names.ts';
import { isAddress, parseAddress } from '../ip/address.ts';
import type { Range } from '../ip/range.ts';

/** The condition of a NodeEndpoint that says: this node takes what others send to its pods without a tunnel. */
export const directCondition = 'DirectPath';

export interface Way {
  /** What goes there takes no tunnel. */
  readonly direct: boolean;
  /** What comes from there may have taken none. */
  readonly adjacent: boolean;
}

export const byTunnel: Way = { direct: false, adjacent: false };

function isIn(networks: readonly Range[], address: string): boolean {
  if (!isAddress(address)) return false;
  const value = parseAddress(address);
  return networks.some(({ first, last }) => first <= value && value <= last);
}

/**
 * The way to another node from one that stands in `networks`. Its neighbours are listened to in either mode, for a node
 * that changes its mode begins to send at once, while others learn of it later; they are sent to without a tunnel only
 * once they say that they listen.
 */
export function wayTo(other: NodeEndpoint, mode: Mode, networks: readonly Range[]): Way {
  const adjacent = isIn(networks, other.spec.tunnelAddress);
  const listens = other.status?.conditions?.some((one) => one.type === directCondition && one.status === 'True');
  return { adjacent, direct: adjacent && mode === 'direct' && listens === true };
}
