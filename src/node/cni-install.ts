// SPDX-License-Identifier: Apache-2.0
// Puts fast-cni, the plugins that it runs and their configuration on the node. Each file appears whole, by rename, and
// the configuration last: the moment it is there the node counts as ready for pods.
import {
  type BigIntStats,
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cniNetwork } from '../api/names.ts';

export interface CniPaths {
  /** The folder with fast-cni and the plugins that it runs. */
  readonly source: string;
  /** The runtime's plugin folder. */
  readonly binFolder: string;
  /** The runtime's folder of network configurations. */
  readonly confFolder: string;
  /** The agent's socket. */
  readonly socket: string;
}

const executable = 'fast-cni';
/** Reference plugins that the image brings: a pod's hostPorts, and its bandwidth limits. */
export const companions = ['portmap', 'bandwidth'] as const;
/**
 * Under names of our own: what the distribution or another network installed as `portmap` stays theirs, and ours comes
 * and goes with our release.
 */
const programs = [
  { from: executable, to: executable },
  ...companions.map((name) => ({ from: name, to: `fast-${name}` })),
];
const programMode = 0o755;
/** Sorts before most others: a runtime takes the first file. */
const configuration = '10-fast.conflist';

function configurationText(socket: string): string {
  const capabilities = { portMappings: true, bandwidth: true };
  // Not behind it in the list, where a runtime would start each of them for every pod: docs/adr/0005.
  const delegates = { portMappings: 'fast-portmap', bandwidth: 'fast-bandwidth' };
  const plugins = [{ type: executable, socket, capabilities, delegates }];
  // containerd 1.6 knows no version above 1.0.0, and newer runtimes take it as well.
  return `${JSON.stringify({ cniVersion: '1.0.0', name: cniNetwork, plugins }, undefined, 2)}\n`;
}

/** Programs found the same, by path: what told source and target apart from any other then. */
export type Verified = Map<string, string>;

/** Any change of a file changes this, the time of its inode's last change included. */
const versionOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join();

/** Also whether it may be run, which is no matter of its content. */
function isInstalled(source: string, target: string, verified: Verified): boolean {
  const from = statSync(source, { bigint: true });
  const to = statSync(target, { bigint: true, throwIfNoEntry: false });
  if (to === undefined || from.size !== to.size || (Number(to.mode) & 0o7777) !== programMode) return false;
  const versions = `${versionOf(from)} ${versionOf(to)}`;
  if (verified.get(target) === versions) return true;
  const isSame = Buffer.compare(readFileSync(source), readFileSync(target)) === 0;
  if (isSame) verified.set(target, versions);
  return isSame;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Answers whether it had to be written. */
function installProgram(source: string, folder: string, name: string, verified: Verified): boolean {
  const target = join(folder, name);
  if (isInstalled(source, target, verified)) return false;
  const early = join(folder, `.${name}.new`);
  copyFileSync(source, early);
  chmodSync(early, programMode);
  renameSync(early, target);
  return true;
}

/** Installs what is missing or different; answers how many files it wrote. What `verified` has is not read again. */
export function installCni(paths: CniPaths, verified: Verified = new Map()): number {
  mkdirSync(paths.binFolder, { recursive: true });
  let changes = 0;
  for (const { from, to } of programs) {
    if (installProgram(join(paths.source, from), paths.binFolder, to, verified)) changes += 1;
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

/** Takes all of it away again, the configuration first. Files that others put there stay. */
export function removeCni(paths: Pick<CniPaths, 'binFolder' | 'confFolder'>): void {
  const file = join(paths.confFolder, configuration);
  const own = programs.flatMap(({ to }) => [join(paths.binFolder, to), join(paths.binFolder, `.${to}.new`)]);
  for (const one of [file, `${file}.new`, ...own]) rmSync(one, { force: true });
}
