// SPDX-License-Identifier: Apache-2.0
// What fast-agent can be told, by flags and environment.
import type { RangeSet } from '../ip/range-set.ts';
import { agentSocketPath, bpfPinFolder, type Mode, vxlanPort } from '../api/names.ts';

export interface AgentOptions {
  /** The Node object's name. */
  readonly node: string;
  /** A file; absent inside a cluster. */
  readonly kubeconfig?: string;
  readonly socket: string;
  readonly bpfObject: string;
  readonly pinFolder: string;
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  /** A folder. */
  readonly cniSource: string;
  readonly healthPort: number;
  /** A link's name, or `auto`. */
  readonly uplink: string;
  readonly mode: Mode;
  /** Destinations outside that see pods by their own addresses. */
  readonly masqueradeExclude: RangeSet;
  /** Of pods, in bytes; 'auto' is the uplink's less the tunnel's. */
  readonly mtu: number | 'auto';
  /** UDP. */
  readonly tunnelPort: number;
  readonly healthHost: string;
  readonly logLevel: string;
  /** The host's /run, where udev, networkd and NetworkManager look for files. */
  readonly hostRun: string;
}

export const defaults = {
  socket: agentSocketPath,
  bpfObject: '/opt/fast/fast.bpf.o',
  pinFolder: bpfPinFolder,
  cniBinDir: '/opt/cni/bin',
  cniConfDir: '/etc/cni/net.d',
  cniSource: '/opt/fast/bin',
  healthPort: '9441',
  uplink: 'auto',
  mode: 'tunnel',
  mtu: 'auto',
  tunnelPort: vxlanPort,
  healthHost: '127.0.0.1',
  logLevel: 'info',
  hostRun: '/run',
} as const;
