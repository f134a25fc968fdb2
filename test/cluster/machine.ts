// SPDX-License-Identifier: Apache-2.0
// Machines: sets of namespaces held by one first process each, joined by a switch that is a namespace of its own. With
// the first process ends everything that is not on a disk: that is what makes a power cut, and a cleaning up, whole.
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as daemons from './daemons.ts';
import { disks, removeControlGroups } from './host-traces.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import type { MarkedProcess } from './marked-processes.ts';
import { endProcesses, firstProcess, markedProcesses } from './marked-processes.ts';
import { cgroupName, logFile, machineFolder, pkiFolder, stateFolder } from './paths.ts';
import type { RunOptions, RunResult } from './run.ts';
import { markedEnvironment, must, run, startDetached, waitFor } from './run.ts';
import type { MachinePlan } from './state.ts';
import { gatewayAddress } from './state.ts';

const switchName = 'switch';
export const bridge = 'fabric';

const switchProcess = (): MarkedProcess | undefined => markedProcesses().find((one) => one.machine === switchName);

/** Runs a program in the switch's network. @throws Error with what it said. */
export async function onSwitch(argv: readonly string[]): Promise<string> {
  const holder = switchProcess();
  if (holder === undefined) throw new Error('the switch is off; end the cluster with "down" and start it with "up"');
  return must(['nsenter', `--net=/proc/${holder.pid}/ns/net`, '--', ...argv]);
}

/** Switches on the switch: a bridge in a namespace of its own, with the address that machines send the rest of the world to. */
export async function startSwitch(): Promise<void> {
  const log = join(stateFolder, 'switch.log');
  await startDetached(switchName, ['unshare', '--net', '--', 'sleep', 'infinity'], log);
  const host = readlinkSync('/proc/self/ns/net');
  await waitFor('the namespace of the switch', 5000, () => {
    const holder = switchProcess();
    return holder !== undefined && readlinkSync(`/proc/${holder.pid}/ns/net`) !== host ? true : undefined;
  });
  await onSwitch(['ip', 'link', 'add', bridge, 'type', 'bridge']);
  await onSwitch(['ip', 'address', 'add', `${gatewayAddress}/24`, 'dev', bridge]);
  await onSwitch(['ip', 'link', 'set', bridge, 'up']);
}

/** Writes a machine's disks and configuration. What is on the disks already stays. */
export function layOutMachine(machine: MachinePlan, apiServer: MachinePlan): void {
  const folder = machineFolder(machine.name);
  for (const disk of Object.keys(disks)) mkdirSync(join(folder, 'disk', disk), { recursive: true });
  mkdirSync(join(folder, 'logs'), { recursive: true });
  const machineId = join(folder, 'disk', 'machine-id');
  if (!existsSync(machineId)) writeFileSync(machineId, `${randomBytes(16).toString('hex')}\n`);
  const mounts = Object.entries(disks).map(([disk, target]) => `${disk} ${target}\n`);
  writeFileSync(join(folder, 'disks'), mounts.join(''));
  copyFileSync(join(import.meta.dirname, 'machine.sh'), join(folder, 'machine.sh'));
  copyFileSync('/usr/lib/cni/loopback', join(folder, 'disk', 'cni-programs', 'loopback'));

  mkdirSync(join(folder, 'configuration'), { recursive: true });
  const write = (file: string, value: object): void =>
    writeFileSync(daemons.configurationFile(machine.name, file), JSON.stringify(value, undefined, 2));
  writeFileSync(daemons.configurationFile(machine.name, 'containerd.toml'), daemons.containerdConfiguration());
  write('kubelet.json', daemons.kubeletConfiguration(machine));
  write('kube-proxy.json', daemons.kubeProxyConfiguration(machine));
  const users: Record<string, string> = {
    kubelet: `kubelet-${machine.name}`,
    'kube-proxy': 'kube-proxy',
    // For people in a shell there: the host's way to the API server does not lead through a machine's own 127.0.0.1.
    kubectl: 'admin',
  };
  if (machine.role === 'control-plane') {
    for (const program of ['kube-controller-manager', 'kube-scheduler']) users[program] = program;
  }
  for (const [program, user] of Object.entries(users)) {
    const path = daemons.kubeconfigOf(machine.name, program);
    writeKubeconfig(path, pkiFolder, user, `https://${apiServer.address}:6443`);
  }

  rmSync(join(folder, 'daemons'), { recursive: true, force: true });
  mkdirSync(join(folder, 'daemons'));
  for (const daemon of daemons.daemonsOf(machine)) {
    writeFileSync(join(folder, 'daemons', daemon.name), daemons.startScript(daemon), { mode: 0o755 });
  }
}

/** The end of a machine's boot log, on one line. */
function lastWords(machine: string): string {
  const log = logFile(machine, 'boot');
  const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
  return lines.slice(-2).join(' ') || 'its boot log is empty';
}

/** Switches a machine on and plugs it in. Comes back when its containers can be spoken to. */
export async function bootMachine(machine: MachinePlan, signal?: AbortSignal): Promise<void> {
  const folder = machineFolder(machine.name);
  const boot = [
    '/bin/bash',
    join(folder, 'machine.sh'),
    machine.name,
    machine.address,
    gatewayAddress,
    folder,
    cgroupName,
  ];
  const namespaces = ['--net', '--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child=KILL'];
  await startDetached(machine.name, ['unshare', ...namespaces, '--', ...boot], logFile(machine.name, 'boot'));
  const first = await waitFor(`the first process of ${machine.name}`, 10_000, () => firstProcess(machine.name), signal);
  // The port on the switch bears the machine's name; the other end becomes the machine's eth0 without ever being here.
  const ends = [machine.name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(first.pid)];
  await onSwitch(['ip', 'link', 'add', ...ends]);
  await onSwitch(['ip', 'link', 'set', machine.name, 'master', bridge, 'up']);
  const socket = `/proc/${first.pid}/root/run/containerd/containerd.sock`;
  const isUp = (): true | undefined => {
    if (!existsSync(`/proc/${first.pid}`))
      throw new Error(`${machine.name} ended while it booted: ${lastWords(machine.name)}`);
    return existsSync(socket) ? true : undefined;
  };
  await waitFor(`containerd on ${machine.name}`, 30_000, isUp, signal);
  await waitFor(
    `an answer of containerd on ${machine.name}`,
    30_000,
    async () => ((await execOn(machine.name, ['ctr', 'version'])).code === 0 ? true : undefined),
    signal,
  );
}

/** Cuts the power: every process and the network namespace at once; the disks stay. */
export async function cutPower(machine: string): Promise<void> {
  const first = firstProcess(machine);
  if (first !== undefined) await endProcesses([first]);
  await endProcesses(markedProcesses().filter((one) => one.machine === machine));
  await run(['nsenter', `--net=/proc/${switchProcess()?.pid ?? 0}/ns/net`, '--', 'ip', 'link', 'delete', machine]);
  await removeControlGroups(machine);
}

/** The command that runs `argv` inside a machine. @throws Error if the machine is off. */
export function insideMachine(machine: string, argv: readonly string[]): string[] {
  const first = firstProcess(machine);
  if (first === undefined) throw new Error(`machine ${machine} is off; "power-on ${machine}" switches it on`);
  return ['nsenter', `--target=${first.pid}`, '--mount', '--uts', '--ipc', '--net', '--pid', '--', ...argv];
}

/** Runs a program inside a machine, with the machine's own root, processes and network. */
export async function execOn(machine: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const env = { ...markedEnvironment(machine), ...options.env };
  return run(insideMachine(machine, argv), { ...options, env });
}
