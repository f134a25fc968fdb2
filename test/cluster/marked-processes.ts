// SPDX-License-Identifier: Apache-2.0
// Which processes are the cluster's. Each carries a variable with the state folder's path in its environment, from its
// first instruction on: no record on a disk can be late, lost or stale, so a killed `up` is cleaned up completely and a
// process that merely inherited a number is never touched.
import { readdirSync, readFileSync } from 'node:fs';
import { stateFolder } from './paths.ts';

export const markerName = 'FAST_CLUSTER';
export const markerValue = stateFolder;
export const machineVariable = 'FAST_MACHINE';

export interface MarkedProcess {
  pid: number;
  /** When the process started, in clock ticks since boot: together with the pid it names one process for ever. */
  startTicks: string;
  machine: string;
  /** Whether it is the first process of a machine's PID namespace, whose end is the end of all in it. */
  isFirst: boolean;
}

const readOrEmpty = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // It has ended, or is not ours to read: not marked either way.
  }
};

/** proc_pid_stat(5): field 3 is the state, field 22 the start time; the name before them may hold spaces. */
function stateAndStart(pid: number): { state: string; startTicks: string } | undefined {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  return state === undefined || startTicks === undefined ? undefined : { state, startTicks };
}

function markedProcess(pid: number): MarkedProcess | undefined {
  const environment = readOrEmpty(`/proc/${pid}/environ`).split('\0');
  if (!environment.includes(`${markerName}=${markerValue}`)) return undefined;
  const stat = stateAndStart(pid);
  if (stat === undefined) return undefined;
  const machine = environment
    .find((entry) => entry.startsWith(`${machineVariable}=`))
    ?.slice(machineVariable.length + 1);
  // The numbers of one process in each PID namespace, outermost first: a machine's first process is number 1 in the second.
  const numbers = /^NSpid:\s*(.*)$/m.exec(readOrEmpty(`/proc/${pid}/status`))?.[1]?.split('\t') ?? [];
  const isFirst = numbers.length === 2 && numbers[1] === '1';
  return { pid, startTicks: stat.startTicks, machine: machine ?? '', isFirst };
}

/** Every process of this cluster that runs now, this process excepted. */
export function markedProcesses(): MarkedProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .map((name) => markedProcess(Number(name)))
    .filter((found) => found !== undefined);
}

/** Whether a cluster with another state folder runs on this host: what both stand on must then stay. */
export function isOtherClusterThere(): boolean {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readOrEmpty(`/proc/${name}/environ`).split('\0'))
    .some((entry) => entry.startsWith(`${markerName}=`) && entry !== `${markerName}=${markerValue}`);
}

export function isRunning(one: { pid: number; startTicks: string }): boolean {
  const now = stateAndStart(one.pid);
  return now !== undefined && now.startTicks === one.startTicks && now.state !== 'Z' && now.state !== 'X';
}

/** What names a process of any kind for ever, for a lock. */
export function startTicksOf(pid: number): string | undefined {
  return stateAndStart(pid)?.startTicks;
}

const kill = (one: MarkedProcess): void => {
  if (!isRunning(one)) return;
  try {
    process.kill(one.pid, 'SIGKILL');
  } catch {
    // It ended between the look and the kill.
  }
};

/** Kills these processes and waits until the last has ended. @throws Error naming those that are still there. */
export async function endProcesses(all: readonly MarkedProcess[], limitMs = 20_000): Promise<void> {
  for (const one of all) kill(one);
  const deadline = Date.now() + limitMs;
  for (;;) {
    const left = all.filter(isRunning);
    if (left.length === 0) return;
    if (Date.now() > deadline) {
      throw new Error(`killed, but still there after ${limitMs / 1000} s: ${left.map((one) => one.pid).join(', ')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The first process of a machine, if it is on. */
export function firstProcess(machine: string): MarkedProcess | undefined {
  return markedProcesses().find((one) => one.machine === machine && one.isFirst);
}
