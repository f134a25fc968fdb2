// SPDX-License-Identifier: Apache-2.0
// Removes everything that a cluster is or was, also after a command that was killed at any point: it asks the kernel
// and the disk what there is, and needs no record to be complete.
import { rmSync } from 'node:fs';
import { removeControlGroups, restoreHost } from './host-traces.ts';
import { endProcesses, markedProcesses } from './marked-processes.ts';
import { stateFolder } from './paths.ts';

/** Ends the machines first: the kernel then ends all that runs in them, containers included. */
async function endAllProcesses(): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    const all = markedProcesses();
    if (all.length === 0) return;
    await endProcesses(all.filter((one) => one.isFirst));
    await endProcesses(all);
  }
  throw new Error('processes of the cluster keep coming back; is another "up" at work with the same FAST_CACHE?');
}

export async function sweep(): Promise<void> {
  await endAllProcesses();
  await removeControlGroups();
  restoreHost();
  // Mounts went with the machines' mount namespaces, links with their network namespaces.
  rmSync(stateFolder, { recursive: true, force: true });
}
