// SPDX-License-Identifier: Apache-2.0
// What the cluster changes on the host itself, and how it is undone: folders to mount on, kernel settings that kubelets
// set for the whole machine, control groups. Folders and settings are written down before they are changed, in one file
// for all clusters on this host (each FAST_CACHE can have one): the first finds the host untouched, the last restores it.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isOtherClusterThere } from './marked-processes.ts';
import { cgroupName } from './paths.ts';

/** A machine's disks: the name of the folder that lasts, and where the machine has it. */
export const disks: Record<string, string> = {
  kubelet: '/var/lib/kubelet',
  containerd: '/var/lib/containerd',
  cni: '/var/lib/cni',
  'pod-logs': '/var/log/pods',
  'container-logs': '/var/log/containers',
  'cni-configuration': '/etc/cni/net.d',
  'cni-programs': '/opt/cni/bin',
};

/** Kubelet's setupKernelTunables writes these (pkg/kubelet/cm/container_manager_linux.go). */
const settingsOfKubelet = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
];

interface HostTraces {
  /** Folders that did not exist before. */
  madeFolders: string[];
  /** Settings as they were before: path under /proc/sys to value. */
  kernelSettings: Record<string, string>;
}

const tracesFile = '/run/fast-cluster-host.json';

function missingFolders(): string[] {
  const missing = new Set<string>();
  for (const target of Object.values(disks)) {
    for (let path = target; !existsSync(path); path = dirname(path)) missing.add(path);
  }
  return [...missing].sort();
}

function readKernelSettings(): Record<string, string> {
  const present = settingsOfKubelet.filter((name) => existsSync(join('/proc/sys', name)));
  return Object.fromEntries(present.map((name) => [name, readFileSync(join('/proc/sys', name), 'utf8').trim()]));
}

/** Makes the folders that machines mount their disks on, after it has written down what the host was like. */
export function prepareHost(): void {
  if (!existsSync(tracesFile)) {
    const traces: HostTraces = { madeFolders: missingFolders(), kernelSettings: readKernelSettings() };
    writeFileSync(`${tracesFile}.new`, JSON.stringify(traces), { mode: 0o600 });
    renameSync(`${tracesFile}.new`, tracesFile);
  }
  for (const folder of Object.values(disks)) mkdirSync(folder, { recursive: true, mode: 0o755 });
}

/** Makes the host what it was before the first cluster, unless another still stands on it. */
export function restoreHost(): void {
  if (!existsSync(tracesFile) || isOtherClusterThere()) return;
  const traces = JSON.parse(readFileSync(tracesFile, 'utf8')) as HostTraces;
  for (const [name, value] of Object.entries(traces.kernelSettings)) {
    const path = join('/proc/sys', name);
    if (readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
  }
  for (const folder of [...traces.madeFolders].sort().reverse()) {
    try {
      rmdirSync(folder);
    } catch {
      // Someone has put something into it since, so it is no longer only ours; or it is gone already.
    }
  }
  rmSync(tracesFile);
}

function removeGroupTree(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroupTree(join(group, entry.name));
  }
  rmdirSync(group);
}

/** Where control groups can be: one hierarchy (v2) or one folder per hierarchy (v1). */
function cgroupRoots(): string[] {
  const base = '/sys/fs/cgroup';
  if (!existsSync(base)) return [];
  const folders = readdirSync(base, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [base, ...folders.map((entry) => join(base, entry.name))];
}

/** Removes the cluster's control groups, or those of one machine. Its processes must have ended. */
export async function removeControlGroups(machine = ''): Promise<void> {
  const groups = cgroupRoots().map((root) => join(root, cgroupName, machine));
  for (const group of groups.filter((path) => existsSync(path) && statSync(path).isDirectory())) {
    // A group stays busy for a moment after its last process has ended.
    for (let attempt = 0; existsSync(group); attempt += 1) {
      try {
        removeGroupTree(group);
      } catch (cause) {
        if (attempt >= 100) throw new Error(`control group ${group}: cannot be removed`, { cause });
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}
