// SPDX-License-Identifier: Apache-2.0
// What must be remembered of a cluster between two commands: its plan. Which machines are on is not written down: the
// kernel knows.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { stateFile, stateFolder } from './paths.ts';

export interface MachinePlan {
  name: string;
  address: string;
  role: 'control-plane' | 'worker';
}

export interface ClusterState {
  machines: MachinePlan[];
  /** The relay's port on 127.0.0.1. */
  apiPort: number;
  /** `starting` until `up` has come to its end: what is left of a killed `up` can be told from a cluster. */
  phase: 'starting' | 'up';
}

export const controlPlaneName = 'york-master';
export const gatewayAddress = '10.29.15.254';
export const maxWorkers = 20;

/** The control plane and `workers` workers, named after their addresses. @throws RangeError outside 1 to 20. */
export function planMachines(workers: number): MachinePlan[] {
  if (!Number.isInteger(workers) || workers < 1 || workers > maxWorkers) {
    throw new RangeError(`--nodes ${workers}: must be a whole number from 1 to ${maxWorkers}`);
  }
  const machines: MachinePlan[] = [{ name: controlPlaneName, address: '10.29.15.1', role: 'control-plane' }];
  for (let host = 49; host < 49 + workers; host += 1) {
    machines.push({ name: `10-29-15-${host}`, address: `10.29.15.${host}`, role: 'worker' });
  }
  return machines;
}

export function writeState(state: ClusterState): void {
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  writeFileSync(`${stateFile}.new`, `${JSON.stringify(state, undefined, 2)}\n`);
  renameSync(`${stateFile}.new`, stateFile);
}

/** The cluster's state, or undefined where there is none or an unreadable rest of one. */
export function readState(): ClusterState | undefined {
  try {
    return JSON.parse(readFileSync(stateFile, 'utf8')) as ClusterState;
  } catch {
    return undefined;
  }
}
