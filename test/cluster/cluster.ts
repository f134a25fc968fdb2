// SPDX-License-Identifier: Apache-2.0
// The test cluster as tests and the demo use it: real Kubernetes on machines that are namespaces of this one.
import { cpSync, existsSync, rmSync } from 'node:fs';
import { apiHealth, listNodes } from './api-request.ts';
import type { ApiAccess } from './api-request.ts';
import { startCluster, startRelay } from './bring-up.ts';
import { sweep } from './clean-up.ts';
import { firstProcess, markedProcesses } from './marked-processes.ts';
import { loadArchive } from './load-image.ts';
import { endHolder, locked, lockHolder } from './lock.ts';
import * as machines from './machine.ts';
import * as paths from './paths.ts';
import { checkHost, checkPlace } from './preflight.ts';
import type { Say } from './progress.ts';
import { step } from './progress.ts';
import type { RunOptions, RunResult } from './run.ts';
import { run, waitFor } from './run.ts';
import type { ClusterState, MachinePlan } from './state.ts';
import { controlPlaneName, planMachines, readState } from './state.ts';

export const kubeconfigPath = paths.kubeconfigPath;

export interface UpOptions {
  /** Workers beside the control plane; default 2. */
  workers?: number;
  say?: Say;
  signal?: AbortSignal;
}

export interface MachineStatus extends MachinePlan {
  power: 'on' | 'off';
  /** What the API server says of the Node: True, False, Unknown, or `-` where it cannot be asked or has none. */
  ready: string;
}

export interface ClusterStatus {
  state: 'up' | 'down' | 'incomplete';
  api: string;
  kubeconfig: string;
  machines: MachineStatus[];
}

const silent: Say = () => undefined;
const access = (state: ClusterState): ApiAccess => ({ pki: paths.pkiFolder, port: state.apiPort });

function present(): ClusterState {
  const state = readState();
  if (state?.phase !== 'up') throw new Error('the cluster is not up; start it with "npm run cluster -- up"');
  return state;
}

function planned(name: string): { state: ClusterState; machine: MachinePlan } {
  const state = present();
  const machine = state.machines.find((one) => one.name === name);
  if (machine === undefined) {
    throw new Error(`no machine is called ${name}; there are ${state.machines.map((one) => one.name).join(', ')}`);
  }
  return { state, machine };
}

/** @throws Error if the cluster is not up or has no machine of that name. */
export function checkMachine(name: string): void {
  planned(name);
}

export async function status(): Promise<ClusterStatus> {
  const state = readState();
  const kubeconfig = paths.kubeconfigPath;
  if (state === undefined || state.phase !== 'up') {
    const isRest = existsSync(paths.stateFolder) || markedProcesses().length > 0;
    return { state: isRest ? 'incomplete' : 'down', api: '-', kubeconfig, machines: [] };
  }
  const api = await apiHealth(access(state));
  const nodes = api === 'ready' ? await listNodes(access(state)) : [];
  const view = state.machines.map((machine) => ({
    ...machine,
    power: firstProcess(machine.name) === undefined ? ('off' as const) : ('on' as const),
    ready: nodes.find((node) => node.name === machine.name)?.ready ?? '-',
  }));
  return { state: 'up', api, kubeconfig, machines: view };
}

/** Checks that a cluster is there that `up` can leave as it is; mends the host's end of the relay. */
async function checkRunning(state: ClusterState, workers: number | undefined, say: Say): Promise<void> {
  if (workers !== undefined && workers !== state.machines.length - 1) {
    throw new Error(
      `the cluster is up with ${state.machines.length - 1} workers; end it with "down" to have ${workers}`,
    );
  }
  if (!markedProcesses().some((one) => one.machine === 'relay')) await startRelay(state.apiPort);
  const reach = async (): Promise<true | undefined> => ((await status()).api === 'ready' ? true : undefined);
  const isMasterOn = firstProcess(controlPlaneName) !== undefined;
  if (isMasterOn) await waitFor('the API server', 30_000, reach).catch(() => undefined);
  const now = await status();
  const off = now.machines.filter((one) => one.power === 'off').map((one) => one.name);
  const notes = off.length === 0 ? '' : `; switched off: ${off.join(', ')} ("power-on NODE" brings one back)`;
  say(`The cluster is up already: API server ${now.api}${notes}.`);
  if (now.api !== 'ready' && off.length === 0)
    throw new Error(`its API server is ${now.api}; end it with "down" and start anew`);
}

/** Brings the cluster up, unless it is. Undoes everything if that fails or is aborted. */
export async function up(options: UpOptions = {}): Promise<void> {
  const { say = silent, signal } = options;
  const plan = planMachines(options.workers ?? 2);
  await checkHost();
  await locked('up', async () => {
    const before = readState();
    if (before?.phase === 'up' && markedProcesses().length > 0) return checkRunning(before, options.workers, say);
    if (existsSync(paths.stateFolder) || markedProcesses().length > 0) {
      await step(say, 'remains of a former cluster removed', sweep);
    }
    rmSync(paths.failureFolder, { recursive: true, force: true });
    try {
      await startCluster(plan, say, signal);
    } catch (cause) {
      const isAborted = signal?.aborted === true;
      if (!isAborted) keepLogs();
      await step(say, 'all that was started ended and removed', sweep);
      if (isAborted) throw signal.reason;
      const note = existsSync(paths.failureFolder) ? `\nThe logs are in ${paths.failureFolder}.` : '';
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}${note}`, { cause });
    }
  });
}

function keepLogs(): void {
  for (const machine of readState()?.machines ?? []) {
    const logs = `${paths.machineFolder(machine.name)}/logs`;
    if (existsSync(logs)) cpSync(logs, `${paths.failureFolder}/${machine.name}`, { recursive: true });
  }
}

/** Ends the cluster and removes all of it, whatever state it is in. */
export async function down(say: Say = silent): Promise<void> {
  checkPlace();
  if (lockHolder()?.command === 'up') await step(say, 'an "up" that is at work ended', () => endHolder());
  await locked('down', async () => {
    const isThere = existsSync(paths.stateFolder) || markedProcesses().length > 0;
    rmSync(paths.failureFolder, { recursive: true, force: true });
    if (isThere) await step(say, 'cluster removed', sweep);
    else say('There is no cluster.');
  });
}

export async function powerCut(node: string): Promise<void> {
  planned(node);
  await locked('power-cut', () => machines.cutPower(node));
}

/** Switches a machine on again, with the disks it had. Comes back when it is reachable, not when its Node is Ready. */
export async function powerOn(node: string): Promise<void> {
  const { state, machine } = planned(node);
  if (firstProcess(node) !== undefined) return;
  await locked('power-on', async () => {
    await machines.bootMachine(machine);
    if (machine.role === 'control-plane') {
      const reach = async (): Promise<true | undefined> =>
        (await apiHealth(access(state))) === 'ready' ? true : undefined;
      await waitFor('the API server', 60_000, reach);
    }
  });
}

export const nodeNames = (): string[] => present().machines.map((machine) => machine.name);

/** Runs a program inside a machine: its root folder, processes and network are the machine's. */
export function execOnNode(node: string, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return machines.execOn(planned(node).machine.name, argv, options);
}

/** Brings an image archive (docker or OCI) to every machine that is on; answers where it was new. */
export function loadImage(archivePath: string): Promise<string[]> {
  return loadArchive(
    archivePath,
    nodeNames().filter((name) => firstProcess(name) !== undefined),
  );
}

/** Runs kubectl as the administrator. A failing exit code is in the result. */
export function kubectl(args: readonly string[], stdin?: string): Promise<RunResult> {
  return run([paths.programPath('kubectl'), ...args], {
    env: { KUBECONFIG: paths.kubeconfigPath },
    ...(stdin === undefined ? {} : { stdin }),
  });
}
