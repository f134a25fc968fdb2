// SPDX-License-Identifier: Apache-2.0
// What the account may see of a cluster: less is no error where less is enough.
import { isReason } from '../kube/errors.ts';

/** @returns undefined where the account may not see it, or where there is no such kind */
export async function seen<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look;
  } catch (error) {
    if (isReason(error, 'forbidden', 'notFound')) return undefined;
    throw error;
  }
}
