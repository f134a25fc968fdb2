// SPDX-License-Identifier: Apache-2.0
// The process that has the machine in its namespaces and measures there. It is asked for one measurement at a time.
import { AgentMachine, type Sandbox } from '../../test/api/agent-machine.ts';
import { eventually } from '../../test/api/hollow-cluster.ts';
import { serve } from '../hollow/child.ts';
import { type Contestant, type ContestantName, contestants, type Life } from './contestants.ts';
import { type PluginRun, residentKb, runPlugin, runPlugins } from './plugin.ts';
import { cpuMsOf } from './processes.ts';

/** As many pods as a node is often given at once, after its reboot for instance. */
const podCount = 30;
const startCount = 20;
/** Longer than an agent takes to report the last wire. */
const settleMs = 1000;

export interface Pair {
  readonly add: readonly PluginRun[];
  readonly del: readonly PluginRun[];
  /** Milliseconds until all were through. */
  readonly addWallMs: number;
  readonly delWallMs: number;
}

export interface Steady {
  readonly pairs: number;
  /** Until the last DEL had answered and nothing of any wire was left. */
  readonly wallMs: number;
  readonly pluginCpuMs: number;
  readonly agentCpuMs: number;
  readonly serverCpuMs: number;
}

interface Bed {
  readonly machine: AgentMachine;
  readonly sandboxes: readonly Sandbox[];
  readonly contestants: readonly Contestant[];
}

let bed: Bed | undefined;
let life = 0;

function made(): Bed {
  if (bed === undefined) throw new Error('`start` comes first');
  return bed;
}

function contestant(name: ContestantName): Contestant {
  const found = made().contestants.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no contestant ${name}`);
  return found;
}

/** A new life of each pod. */
function lives(): Life[] {
  life += 1;
  return made().sandboxes.map((sandbox) => ({ sandbox, life }));
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What DEL left to be done behind its answer is done, and the agent has told of it. */
async function settled(): Promise<void> {
  await eventually('all wires to be gone', () => Promise.resolve(made().machine.hostVeths().length === 0));
  await sleep(settleMs);
}

function timed<T>(work: () => T): [result: T, wallMs: number] {
  const startMs = performance.now();
  const result = work();
  return [result, performance.now() - startMs];
}

const methods = {
  start: async (): Promise<void> => {
    const machine = await AgentMachine.start();
    const sandboxes: Sandbox[] = [];
    for (let at = 0; at < podCount; at += 1) {
      sandboxes.push(machine.sandbox(`pod-${at}`));
      await machine.addRecord(`pod-${at}`, `10.244.10.${at}`);
    }
    bed = { machine, sandboxes, contestants: contestants(machine) };
    await sleep(settleMs);
  },

  /** VERSION, which is start and end of the executable and little else. */
  version: async (name: ContestantName): Promise<PluginRun[]> => {
    const [first] = lives();
    if (first === undefined) return [];
    return Array.from({ length: startCount }, () => runPlugin(contestant(name).call('VERSION', first)));
  },

  /** Kilobytes. */
  memory: (name: ContestantName): Promise<number> => {
    const [first] = lives();
    if (first === undefined) throw new Error('there is no sandbox');
    return Promise.resolve(residentKb(contestant(name).call('VERSION', first)));
  },

  /** Each pod is added and deleted while nothing else happens. */
  alone: async (name: ContestantName): Promise<Pair> => {
    const { call } = contestant(name);
    const all = lives();
    const [add, addWallMs] = timed(() => all.map((one) => runPlugin(call('ADD', one))));
    await sleep(settleMs / 4);
    const [del, delWallMs] = timed(() => all.map((one) => runPlugin(call('DEL', one))));
    await settled();
    return { add, del, addWallMs, delWallMs };
  },

  together: async (name: ContestantName): Promise<Pair> => {
    const { call } = contestant(name);
    const all = lives();
    const [add, addWallMs] = timed(() => runPlugins(all.map((one) => call('ADD', one))));
    await sleep(settleMs / 4);
    const [del, delWallMs] = timed(() => runPlugins(all.map((one) => call('DEL', one))));
    await settled();
    return { add, del, addWallMs, delWallMs };
  },

  /** ADD and DEL of one pod after the other, with the whole bill. */
  steady: async ({ name, pairs }: { name: ContestantName; pairs: number }): Promise<Steady> => {
    const { machine } = made();
    const { call } = contestant(name);
    const [agent, server] = [machine.agentPid, machine.cluster.server.pid];
    const before = [cpuMsOf(agent), cpuMsOf(server)] as const;
    const startMs = performance.now();
    let pluginCpuMs = 0;
    for (let done = 0; done < pairs; ) {
      for (const one of lives().slice(0, pairs - done)) {
        pluginCpuMs += runPlugin(call('ADD', one)).cpuMs + runPlugin(call('DEL', one)).cpuMs;
        done += 1;
      }
    }
    await eventually('all wires to be gone', () => Promise.resolve(machine.hostVeths().length === 0));
    const wallMs = performance.now() - startMs;
    await sleep(settleMs);
    const isOurs = name === 'fast';
    const agentCpuMs = isOurs ? cpuMsOf(agent) - before[0] : 0;
    const serverCpuMs = isOurs ? cpuMsOf(server) - before[1] : 0;
    return { pairs, wallMs, pluginCpuMs, agentCpuMs, serverCpuMs };
  },

  stop: async (): Promise<void> => {
    await bed?.machine.stop();
  },
};

export type WorkerMethods = typeof methods;

serve(methods);
