// SPDX-License-Identifier: Apache-2.0
// Looks for what the cluster needs of the host before anything is changed, and names all that is missing at once, with
// the way to get it.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { hyperkubePath, neededGoVersion } from './kubernetes.ts';
import { stateFolder } from './paths.ts';
import { markerName, markerValue } from './marked-processes.ts';
import { run } from './run.ts';

/** Programs and files by the Debian package that brings them. */
const needed: Record<string, string[]> = {
  'util-linux': ['nsenter', 'unshare', 'findmnt', 'setpriv'],
  iproute2: ['ip'],
  openssl: ['openssl'],
  containerd: ['containerd', 'ctr'],
  runc: ['runc'],
  'containernetworking-plugins': ['/usr/lib/cni/loopback'],
  'busybox-static': ['/bin/busybox'],
  gcc: ['gcc'],
  'libc6-dev': ['/usr/include/stdlib.h'],
  nftables: ['nft'],
  conntrack: ['conntrack'],
  mount: ['mount', 'umount'],
  tar: ['tar'],
};

function isThere(program: string): boolean {
  if (program.startsWith('/')) return existsSync(program);
  const folders = (process.env['PATH'] ?? '').split(delimiter).concat('/usr/sbin', '/sbin');
  return folders.some((folder) => folder !== '' && existsSync(join(folder, program)));
}

const isOlder = (version: string, wanted: string): boolean => {
  const [have, want] = [version.split('.').map(Number), wanted.split('.').map(Number)];
  for (let place = 0; place < 3; place += 1) {
    const difference = (have[place] ?? 0) - (want[place] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
};

/** What is wrong with the machine's Go for building Kubernetes; nothing if no build is due. */
export async function goComplaint(): Promise<string | undefined> {
  if (existsSync(hyperkubePath())) return undefined;
  const wanted = neededGoVersion();
  const cure = `install Go ${wanted} or newer from https://go.dev/dl/ and put its bin folder on PATH`;
  const answer = await run(['go', 'env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' } }).catch(() => undefined);
  if (answer === undefined || answer.code !== 0) return `Go is missing (Kubernetes is built from source): ${cure}`;
  const version = answer.stdout.trim().replace(/^go/, '');
  return isOlder(version, wanted) ? `Go ${version} is too old for Kubernetes: ${cure}` : undefined;
}

/** @throws Error if this process can neither make nor end a cluster. */
export function checkPlace(): void {
  if (process.env[markerName] === markerValue) {
    throw new Error('this shell is inside a machine of the cluster; leave it (exit) and try again');
  }
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Error('the cluster needs Linux and root: it makes namespaces and mounts; run it as root');
  }
  if (stateFolder.startsWith('/run/') || stateFolder.startsWith('/var/run/')) {
    throw new Error(
      `FAST_CACHE is under /run (${stateFolder}), which every machine covers by its own; choose another folder`,
    );
  }
}

/** @throws Error naming everything that is missing and how to install it. */
export async function checkHost(): Promise<void> {
  checkPlace();
  const missing = Object.entries(needed).filter(([, programs]) => !programs.every(isThere));
  const complaints = missing.map(
    ([name, programs]) => `${programs.filter((one) => !isThere(one)).join(', ')} (${name})`,
  );
  if (missing.length > 0) {
    complaints.push(`install with: apt-get install -y ${missing.map(([name]) => name).join(' ')}`);
  }
  const go = await goComplaint();
  if (go !== undefined) complaints.push(go);
  if (complaints.length > 0) throw new Error(`missing on this host:\n  ${complaints.join('\n  ')}`);
}
