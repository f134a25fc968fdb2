// SPDX-License-Identifier: Apache-2.0
// What the parts of the agent must know of their node. The comparison fills it in and keeps it true.
import type { Range } from '../ip/range.ts';

export interface NodeFacts {
  /** The node's end of the tunnel, also the source of what the host sends to its own pods. */
  readonly nodeAddress: string;
  readonly overlayAddress: string;
  /** The MTU of pods and of the tunnel's device, in bytes. */
  readonly mtu: number;
  readonly deviceIndex: number;
  readonly uplinkIndex: number;
  /** The networks that the uplink stands in; what is in them is never routed into the tunnel. */
  readonly uplinkNetworks: readonly Range[];
  /** Those of them whose machines are reached by Ethernet, so that a frame can be addressed to each. */
  readonly neighbourNetworks: readonly Range[];
}
