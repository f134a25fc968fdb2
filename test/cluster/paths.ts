// SPDX-License-Identifier: Apache-2.0
// Where the cluster keeps what it needs. One folder holds the whole state of a running cluster, so that `down` has one
// thing to remove; programs and images, which cost minutes to make, live beside it and survive.
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export const kubernetesVersion = '1.35.4';

export const cacheFolder = resolve(process.env['FAST_CACHE'] ?? join(homedir(), '.cache', 'fast'));
export const kubernetesFolder = join(cacheFolder, `kubernetes-${kubernetesVersion}`);
export const binFolder = join(kubernetesFolder, 'bin');
export const imagesFolder = join(cacheFolder, 'images');

export const stateFolder = join(cacheFolder, 'cluster');
export const stateFile = join(stateFolder, 'cluster.json');
export const lockFile = join(cacheFolder, 'cluster.lock');
/** Logs of an `up` that failed: kept until the next `up` or `down`, because the state folder is removed at once. */
export const failureFolder = join(cacheFolder, 'cluster-failure');
export const pkiFolder = join(stateFolder, 'pki');
/** For people and tests: administrator's rights, through the relay on 127.0.0.1. */
export const kubeconfigPath = join(stateFolder, 'kubeconfig');

/** The folder in every control group hierarchy under which this cluster's machines live. */
export const cgroupName = `fast-${createHash('sha256').update(stateFolder).digest('hex').slice(0, 8)}`;

export const machineFolder = (name: string): string => join(stateFolder, 'machines', name);
export const logFile = (machine: string, daemon: string): string =>
  join(machineFolder(machine), 'logs', `${daemon}.log`);
export const programPath = (name: string): string => join(binFolder, name);
