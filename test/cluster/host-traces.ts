// SPDX-License-Identifier: Apache-2.0
// What the cluster changes on the host itself, and how it is undone: folders to mount on, kernel settings that kubelets
// set for the whole machine, control groups. Each is written down before it is changed.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

/** The folders that `makeFolders` would make, parents first. */
export function missingFolders(): string[] {
  const missing = new Set<string>();
  for (const target of [...Object.values(disks), '/sys/fs/bpf']) {
    const chain: string[] = [];
    for (let path = target; !existsSync(path); path = dirname(path)) chain.unshift(path);
    for (const path of chain) missing.add(path);
  }
  return [...missing].sort();
}

export function makeFolders(folders: readonly string[]): void {
  for (const folder of folders) mkdirSync(folder, { recursive: true, mode: 0o755 });
}

/** Removes folders that `makeFolders` made, unless someone has put something into one since. */
export function removeFolders(folders: readonly string[]): void {
  for (const folder of [...folders].sort().reverse()) {
    try {
      rmdirSync(folder);
    } catch {
      // Not empty, so no longer only ours, or gone already.
    }
  }
}

export function readKernelSettings(): Record<string, string> {
  const present = settingsOfKubelet.filter((name) => existsSync(join('/proc/sys', name)));
  return Object.fromEntries(present.map((name) => [name, readFileSync(join('/proc/sys', name), 'utf8').trim()]));
}

export function restoreKernelSettings(settings: Record<string, string>): void {
  for (const [name, value] of Object.entries(settings)) {
    const path = join('/proc/sys', name);
    if (readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
  }
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
