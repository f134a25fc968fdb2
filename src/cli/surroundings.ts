// SPDX-License-Identifier: Apache-2.0
// What the commands of fast-ctl may touch. The program gives the real things, tests give their own.
import type { ExecTarget, ExecStreams } from '../kube/exec.ts';
import type { KubeClient } from '../kube/client.ts';
import type { ClusterPlace } from '../kube/kubeconfig.ts';
import type { NodeKernel } from './node-kernel.ts';
import type { ReadMap } from './pinned-maps.ts';

/** Which cluster, as kubectl would find it. */
export interface ClusterChoice {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** The API server as fast-ctl needs it. */
export type Cluster = Pick<
  KubeClient,
  'get' | 'find' | 'list' | 'create' | 'replace' | 'replaceStatus' | 'patch' | 'delete' | 'raw'
> & {
  /** Runs a program in a container and answers its exit code. */
  exec: (target: ExecTarget, command: readonly string[], streams: ExecStreams) => Promise<number>;
};

export interface Surroundings {
  /** Access to the maps pinned under a folder of this machine. */
  readonly openMaps: (folder: string) => ReadMap;
  /** This machine's kernel, with the maps pinned under a folder. The caller closes it. */
  readonly openKernel: (folder: string) => Promise<NodeKernel>;
  /** The name of a device of this machine. */
  readonly deviceName: (ifindex: number) => string | undefined;
  /** @throws Error when no kubeconfig names a cluster; whether it answers is seen at the first call */
  readonly cluster: (choice: ClusterChoice) => Promise<Cluster>;
  /** The same cluster in words, for who is told that it does not answer. */
  readonly clusterPlace: (choice: ClusterChoice) => Promise<ClusterPlace>;
  /** The contexts of the kubeconfig. */
  readonly contexts: (choice: ClusterChoice) => Promise<string[]>;
  /** Whether the account that asks is that of the pod in which this program runs. */
  readonly usesPodAccount: (choice: ClusterChoice) => boolean;
  /** To stdout. */
  readonly print: (text: string) => void;
  /** To stderr. */
  readonly printError: (text: string) => void;
  /** Whether colours reach a person's eyes: stdout is a terminal, and NO_COLOR (no-color.org) is not set. */
  readonly isColourful: boolean;
  /** Characters in a line of the terminal; undefined where stdout is none. */
  readonly terminalWidth: number | undefined;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Nanoseconds of CLOCK_MONOTONIC, by which the kernel dates what it writes down. */
  readonly monotonicNs: () => bigint;
  /** Waits; ends early, without an error, when a person has had enough. */
  readonly sleep: (delayMs: number) => Promise<void>;
  /** Aborted by Ctrl-C and by SIGTERM; its reason is the signal's name. */
  readonly stopped: AbortSignal;
}

/** What asks a command to end: a person's Ctrl-C, and what supervisors and `timeout` send. */
export const stopSignals = ['SIGINT', 'SIGTERM'] as const;
export type StopSignal = (typeof stopSignals)[number];

/** What a shell says of a program that was ended by this signal. */
export function stoppedExitCode({ reason }: AbortSignal): number {
  return reason === ('SIGTERM' satisfies StopSignal) ? 143 : 130;
}

/** The command has said all that there is to say; the shell gets this code. */
export class Ended extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`ended with ${exitCode}`);
    this.exitCode = exitCode;
  }
}
