// SPDX-License-Identifier: Apache-2.0
// Six workloads that want exactly as many addresses as their pool has, and what must be true of them at every look.
import { BpfMap } from 'ebpf-native';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { decodeLocalPod } from '../../src/datapath/codecs.ts';
import { mapPins } from '../../src/datapath/pins.ts';
import { nodeNames } from './cluster.ts';
import { kube, objects } from './fast.ts';
import { pauseImage } from './images.ts';
import { firstProcess } from './marked-processes.ts';

const replicas = 3;
const workloads = ['one', 'two', 'three', 'four', 'five', 'six'];
export const podCount = replicas * workloads.length;
const poolName = 'contested';
const first = '10.244.60.0';

export const contestedAddresses = Array.from({ length: podCount }, (_, place) => `10.244.60.${place}`);

/** Half of them Deployments, half StatefulSets, whose addresses are kept for their ordinals. */
function workload(name: string, place: number): object {
  const labels = { app: name, contest: 'yes' };
  const container = { name: 'c', image: pauseImage, imagePullPolicy: 'IfNotPresent' };
  const template = {
    metadata: { labels, annotations: { 'fast.io/ips': poolName } },
    spec: { terminationGracePeriodSeconds: 1, containers: [container] },
  };
  const isDeployment = place % 2 === 0;
  const own = isDeployment ? {} : { serviceName: name, podManagementPolicy: 'Parallel' };
  return {
    apiVersion: 'apps/v1',
    kind: isDeployment ? 'Deployment' : 'StatefulSet',
    metadata: { name, labels },
    spec: { replicas, selector: { matchLabels: { app: name } }, template, ...own },
  };
}

export async function beginContest(): Promise<void> {
  const spec = { subnet: '10.244.0.1/32', ips: [`${first}-${contestedAddresses.at(-1)}`], coolDownSeconds: 5 };
  const pool = { apiVersion: 'sample.fast.io/v1alpha1', kind: 'Ips', metadata: { name: poolName }, spec };
  for (const thing of [pool, ...workloads.map(workload)]) await kube(['apply', '-f', '-'], JSON.stringify(thing));
}

export async function endContest(): Promise<void> {
  await kube(['delete', 'deployments,statefulsets', '-l', 'contest=yes', '--cascade=foreground', '--timeout=120s']);
}

export async function removePool(): Promise<void> {
  await kube(['delete', 'ips', poolName, '--ignore-not-found', '--wait=false']);
}

export interface ContestPod {
  metadata: { name: string; uid: string; deletionTimestamp?: string };
  spec: { nodeName?: string };
  status: {
    phase: string;
    podIP?: string;
    conditions?: Array<{ type: string; status: string }>;
    containerStatuses?: Array<{ state: { running?: object } }>;
  };
}

export const contestPods = (): Promise<ContestPod[]> => objects<ContestPod>('pods', '-l', 'contest=yes');

export function isReady(pod: ContestPod): boolean {
  const isUp = pod.status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
  return isUp && pod.metadata.deletionTimestamp === undefined;
}

const isLive = (pod: ContestPod): boolean =>
  pod.status.phase === 'Running' && pod.status.containerStatuses?.some((one) => one.state.running) === true;

/** The pool's addresses in a machine's own map, read past its agent, which may be dead at this moment. */
export function localAddresses(machine: string): string[] {
  const process = firstProcess(machine);
  const pin = mapPins(`/proc/${process?.pid}/root/sys/fs/bpf/fast`)['local_pod_ips'];
  const map = BpfMap.openPinned(pin ?? '');
  try {
    return map
      .entries()
      .map((entry) => decodeLocalPod(entry).address)
      .filter((address) => contestedAddresses.includes(address));
  } finally {
    map.close();
  }
}

function doubles(claims: ReadonlyArray<[address: string, who: string]>): string[] {
  const holders = new Map<string, string[]>();
  for (const [address, who] of claims) holders.set(address, [...(holders.get(address) ?? []), who]);
  return [...holders].filter(([, all]) => all.length > 1).map(([address, all]) => `${address}: ${all.join(' and ')}`);
}

/** Addresses that two machines' maps hold as their own. One that moves between the two readings is read again. */
function doublesInMaps(): string[] {
  const read = (): string[] =>
    doubles(nodeNames().flatMap((node) => localAddresses(node).map((address): [string, string] => [address, node])));
  const [once, again] = [read(), read()];
  return once.filter((one) => again.includes(one));
}

/** What pods and records say against each other at this moment. */
async function doublesByApi(): Promise<string[]> {
  const [pods, records] = await Promise.all([contestPods(), objects<IpAllocation>('ipallocations')]);
  const live = pods.filter(isLive);
  const byPods = doubles(live.map((pod): [string, string] => [pod.status.podIP ?? '', pod.metadata.name]));
  // The record of a live pod's address is that pod's, or there are two who believe that they hold it.
  const strangers = live.flatMap((pod) => {
    const owner = records.find((one) => one.metadata.name === pod.status.podIP)?.spec.owner;
    const isOther = owner !== undefined && owner.uid !== pod.metadata.uid;
    if (!isOther || pod.metadata.deletionTimestamp !== undefined) return [];
    return [`${pod.status.podIP}: on ${pod.metadata.name}, recorded for ${owner.name}`];
  });
  return [...byPods, ...strangers];
}

/**
 * What is wrong at this moment, one line each: by pods and records, and by every node's map. The lists of pods and of
 * records are not of one instant, so what they say against each other is asked once more.
 */
export async function look(): Promise<string[]> {
  const once = await doublesByApi();
  const again = once.length === 0 ? [] : await doublesByApi();
  return [...once.filter((one) => again.includes(one)), ...doublesInMaps().map((one) => `${one} (maps)`)];
}
