// SPDX-License-Identifier: Apache-2.0
// Which versions of the CNI specification fast-cni serves, and what a runtime may ask for in each.
import { errorCode } from '../protocol/error-codes.ts';
import { CniError } from './cni-error.ts';
import type { CniCommand } from './environment.ts';

/** Oldest first. Kubernetes' runtimes in use speak 0.3.1 and later; containerd 1.6 speaks 1.0.0. */
export const specVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type SpecVersion = (typeof specVersions)[number];

export const newestVersion: SpecVersion = '1.1.0';

/** The version that brought the command in; the others were there before 0.3.1. */
const introducedIn: Partial<Record<CniCommand, SpecVersion>> = { CHECK: '0.4.0', STATUS: '1.1.0', GC: '1.1.0' };

export function isServed(version: unknown): version is SpecVersion {
  return (specVersions as readonly unknown[]).includes(version);
}

export function isAtLeast(version: SpecVersion, wanted: SpecVersion): boolean {
  return specVersions.indexOf(version) >= specVersions.indexOf(wanted);
}

/** Throws code 1 where the configuration's version is not served, or does not know the command. */
export function checkVersion(version: string, command: CniCommand): SpecVersion {
  if (!isServed(version)) {
    const msg = `the configuration's cniVersion is ${JSON.stringify(version)}, fast-cni serves ${specVersions.join(', ')}`;
    throw new CniError(errorCode.incompatibleVersion, msg);
  }
  const since = introducedIn[command];
  if (since !== undefined && !isAtLeast(version, since)) {
    const msg = `${command} needs cniVersion ${since} or newer, the configuration's is ${version}`;
    throw new CniError(errorCode.incompatibleVersion, msg);
  }
  return version;
}
