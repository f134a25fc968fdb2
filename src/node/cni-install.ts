// SPDX-License-Identifier: Apache-2.0
// Puts fast-cni and its configuration on the node. Each file appears whole, by rename, and the configuration last: the
// moment it is there the node counts as ready for pods.
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface CniPaths {
  /** The fast-cni to install. */
  readonly source: string;
  /** The runtime's plugin folder. */
  readonly binFolder: string;
  /** The runtime's folder of network configurations. */
  readonly confFolder: string;
  /** The agent's socket. */
  readonly socket: string;
}

const executable = 'fast-cni';
/** Sorts before most others: a runtime takes the first file. */
const configuration = '10-fast.conflist';

function configurationText(socket: string): string {
  // containerd 1.6 knows no version above 1.0.0, and newer runtimes take it as well.
  const list = { cniVersion: '1.0.0', name: 'fast', plugins: [{ type: executable, socket }] };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}

function isSameFile(source: string, target: string): boolean {
  const [from, to] = [statSync(source), statSync(target, { throwIfNoEntry: false })];
  if (to === undefined || from.size !== to.size) return false;
  return Buffer.compare(readFileSync(source), readFileSync(target)) === 0;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Installs what is missing or different; answers how many files it wrote. */
export function installCni(paths: CniPaths): number {
  let changes = 0;
  const binary = join(paths.binFolder, executable);
  mkdirSync(paths.binFolder, { recursive: true });
  if (!isSameFile(paths.source, binary)) {
    const early = join(paths.binFolder, `.${executable}.new`);
    copyFileSync(paths.source, early);
    chmodSync(early, 0o755);
    renameSync(early, binary);
    changes += 1;
  }
  const file = join(paths.confFolder, configuration);
  const text = configurationText(paths.socket);
  mkdirSync(paths.confFolder, { recursive: true });
  if (read(file) !== text) {
    // Runtimes watch for .conf, .conflist and .json; the early name ends otherwise.
    const early = `${file}.new`;
    writeFileSync(early, text, { mode: 0o644 });
    renameSync(early, file);
    changes += 1;
  }
  return changes;
}

/** Takes both away again, the configuration first. Files that others put there stay. */
export function removeCni(paths: Pick<CniPaths, 'binFolder' | 'confFolder'>): void {
  for (const file of [join(paths.confFolder, configuration), join(paths.binFolder, executable)]) {
    rmSync(file, { force: true });
    rmSync(`${file}.new`, { force: true });
  }
}
