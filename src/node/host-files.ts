// SPDX-License-Identifier: Apache-2.0
// Files that tell udev, networkd and NetworkManager to leave our devices alone. They lie below /run, where the host's
// programs look too and nothing outlives a reboot; a host without those programs does not mind them.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const said = '# Written by fast-agent: these devices are its own.\n';

/** By their path below the host's /run. */
const files: ReadonlyMap<string, string> = new Map([
  // systemd's default policy gives a new veth or vxlan a MAC of its own.
  ['systemd/network/10-fast.link', `${said}[Match]\nOriginalName=fast*\n\n[Link]\nMACAddressPolicy=none\n`],
  // networkd takes addresses and routes that it did not make off links that it manages.
  ['systemd/network/10-fast.network', `${said}[Match]\nName=fast*\n\n[Link]\nUnmanaged=yes\n`],
  ['NetworkManager/conf.d/10-fast.conf', `${said}[keyfile]\nunmanaged-devices+=interface-name:fast*\n`],
]);

function isCurrent(path: string, text: string): boolean {
  return existsSync(path) && readFileSync(path, 'utf8') === text;
}

/** Writes those that are missing or changed; answers how many. @throws Error where the folder cannot be written */
export function ensureHostFiles(runFolder: string): number {
  const wrong = [...files].filter(([path, text]) => !isCurrent(join(runFolder, path), text));
  for (const [path, text] of wrong) {
    mkdirSync(dirname(join(runFolder, path)), { recursive: true });
    writeFileSync(join(runFolder, path), text);
  }
  return wrong.length;
}

export function removeHostFiles(runFolder: string): void {
  for (const path of files.keys()) rmSync(join(runFolder, path), { force: true });
}
