// SPDX-License-Identifier: Apache-2.0
// A pod that runs, with the address that it runs with.
import type { Pod } from '../../src/api/workloads.ts';
import type { Machine, Sandbox } from './machine.ts';

export interface LivePod {
  readonly pod: Pod;
  readonly identity: string;
  readonly address: string;
  readonly machine: Machine;
  readonly sandbox: Sandbox;
}

export function nameOf({ pod }: LivePod): string {
  return `pod ${pod.metadata.namespace}/${pod.metadata.name}`;
}
