// SPDX-License-Identifier: Apache-2.0
// What a runtime does to a node in a bad minute, run in a process with namespaces of its own: a hundred ADDs and a hundred
// DELs at once, again and again, by the executable, while the API server is killed and comes back.
import { BpfMap } from 'ebpf-native';
import { serve } from '../../bench/hollow/child.ts';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { mapPins } from '../../src/datapath/pins.ts';
import { formatAddress, parseAddress } from '../../src/ip/address.ts';
import { recordKind } from '../../src/operator/kinds.ts';
import { AgentMachine, recordOf, run, type Sandbox } from './agent-machine.ts';
import { eventually } from './hollow-cluster.ts';

/** Of each wave so many ADDs come before their pod's record. */
const latePods = 20;
const fewestWaves = 3;
const recordDelayMs = 200;
const settleWithinMs = 60_000;
const firstAddress = parseAddress('10.244.10.0');

export interface StormOrder {
  readonly podsPerSide: number;
  readonly seconds: number;
}

export interface StormReport {
  readonly adds: number;
  readonly dels: number;
  readonly waves: number;
  readonly restarts: number;
  /** What the runtime was told by calls that failed. */
  readonly failures: readonly string[];
  /** Pods that should have a wire at the end of a wave and have none, or the reverse. */
  readonly wrong: readonly string[];
  /** What is left after the last DEL: interfaces, entries of the map, records that say a wire is attached. */
  readonly left: readonly string[];
}

interface StormPod {
  readonly sandbox: Sandbox;
  readonly address: string;
  readonly isLate: boolean;
  /** Which life of the pod it is: a runtime's container ids are used once. */
  life: number;
}

let machine: AgentMachine;

function call(command: 'ADD' | 'DEL', { sandbox, life }: StormPod): Promise<string | undefined> {
  return machine.cni(command, sandbox, `${sandbox.name}-${life}`);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** As the controller does, again and again while the API server is away. */
async function persist<T>(what: string, work: () => Promise<T>): Promise<T> {
  return await eventually(what, () => work().catch(() => undefined), settleWithinMs);
}

async function add(pod: StormPod): Promise<string | undefined> {
  pod.life += 1;
  const answer = call('ADD', pod);
  if (pod.isLate) {
    await sleep(recordDelayMs);
    const { client } = machine.cluster;
    await persist('a record', async () => {
      const there = await client.find(recordKind, pod.address);
      return there ?? (await client.create(recordKind, recordOf(pod.sandbox.name, pod.address)));
    });
  }
  return await answer;
}

async function del(pod: StormPod): Promise<string | undefined> {
  const answer = await call('DEL', pod);
  if (!pod.isLate) return answer;
  // Its record goes when the agent has said that the wire is gone.
  await persist('the end of a record', async () => {
    const { client } = machine.cluster;
    const record = await client.find(recordKind, pod.address);
    if (record === undefined) return true;
    if (record.status?.attached !== undefined) return undefined;
    await client.delete(recordKind, pod.address);
    return true;
  });
  return answer;
}

async function pods(count: number): Promise<StormPod[]> {
  const made: StormPod[] = [];
  for (let at = 0; at < count; at += 1) {
    const address = formatAddress(firstAddress + at);
    const isLate = at % (count / 2) < latePods;
    if (!isLate) await machine.addRecord(`pod-${at}`, address);
    made.push({ sandbox: machine.sandbox(`pod-${at}`), address, isLate, life: 0 });
  }
  return made;
}

function hasInterface({ sandbox }: StormPod): boolean {
  return run('ip', '-n', sandbox.netns.replace('/run/netns/', ''), '-br', 'link').includes('eth0');
}

function mapEntries(): number {
  const map = BpfMap.openPinned(mapPins(machine.pinFolder)['local_pod_ips'] ?? '');
  try {
    return map.entries().length;
  } finally {
    map.close();
  }
}

async function leftOvers(): Promise<string[]> {
  const isRight = (record: IpAllocation): boolean => record.status?.attached === undefined;
  const look = async (): Promise<string[]> => {
    const records = (await machine.cluster.client.list(recordKind)).items;
    const untrue = records.filter((record) => !isRight(record)).map((record) => `${record.metadata.name} attached`);
    const entries = mapEntries();
    return [...machine.hostVeths(), ...(entries === 0 ? [] : [`${entries} entries`]), ...untrue];
  };
  await eventually('an empty node', async () => (await look()).length === 0, settleWithinMs).catch(() => undefined);
  return await look();
}

const methods = {
  storm: async ({ podsPerSide, seconds }: StormOrder): Promise<StormReport> => {
    machine = await AgentMachine.start();
    const all = await pods(2 * podsPerSide);
    let sides = [all.slice(0, podsPerSide), all.slice(podsPerSide)] as [StormPod[], StormPod[]];
    const failures: string[] = [];
    const wrong: string[] = [];
    const keep = (answers: Array<string | undefined>): void =>
      void failures.push(...answers.filter((one) => one !== undefined));
    keep(await Promise.all(sides[1].map(add)));
    let [adds, dels, waves] = [podsPerSide, 0, 0];
    const endMs = performance.now() + seconds * 1000;
    const api = { restart: undefined as Promise<void> | undefined, isBack: false };
    while (performance.now() < endMs || !api.isBack || waves < fewestWaves) {
      const [coming, going] = sides;
      const answers = Promise.all([...coming.map(add), ...going.map(del)]);
      if (api.restart === undefined && performance.now() > endMs - (seconds * 1000) / 2) {
        api.restart = machine.cluster.server.restart().then(() => {
          api.isBack = true;
        });
      }
      keep(await answers);
      for (const pod of coming) if (!hasInterface(pod)) wrong.push(`${pod.sandbox.name} has no interface`);
      [adds, dels, waves, sides] = [adds + podsPerSide, dels + podsPerSide, waves + 1, [going, coming]];
    }
    await api.restart;
    keep(await Promise.all(sides[1].map(del)));
    const left = await leftOvers();
    return { adds, dels: dels + podsPerSide, waves, restarts: api.isBack ? 1 : 0, failures, wrong, left };
  },
  stop: async (): Promise<void> => {
    await machine?.stop();
  },
};

export type StormMethods = typeof methods;

serve(methods);
