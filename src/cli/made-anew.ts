// SPDX-License-Identifier: Apache-2.0
// Whether somebody installs Fast while an uninstall waits for what it deleted: then it would wait for what nobody deletes.
import { installNamespace } from '../api/names.ts';
import type { Cluster } from './surroundings.ts';
import type { Installed } from './installed.ts';

const nameOf = ({ resource: { plural }, name }: Installed): string => `${plural} ${name}`;

/** What was found of an install right before its deletion. */
export class FoundObjects {
  readonly #uids = new Map<string, string | undefined>();

  async note(cluster: Pick<Cluster, 'find'>, one: Installed): Promise<void> {
    const found = await cluster.find(one.resource, one.name, one.namespace);
    if (found === undefined) this.#uids.delete(nameOf(one));
    else this.#uids.set(nameOf(one), found.metadata.uid);
  }

  /** Whether this one has come since. */
  isAnew(one: Installed, uid: string | undefined): boolean {
    return !this.#uids.has(nameOf(one)) || this.#uids.get(nameOf(one)) !== uid;
  }
}

/** @param left names of what was deleted and is still going */
export function madeAnew(anew: readonly string[], left: readonly string[]): Error {
  const isGoing = left.includes(`namespaces ${installNamespace}`);
  const wait = isGoing ? `kubectl wait --for=delete namespace/${installNamespace} --timeout=5m && ` : '';
  return new Error(
    `made anew since: ${anew.join(', ')}: somebody installs Fast; what was made anew stays.\n` +
      `To keep it: ${wait}kubectl apply -k config/default. To take it off again: fast-ctl uninstall --yes`,
  );
}
