// SPDX-License-Identifier: Apache-2.0
// A pool with exactly as many addresses as its pods want, while controllers, agents and pods die at random.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { randomOf } from '../random.ts';
import { rounds } from '../share.ts';
import { nodeNames, up } from './cluster.ts';
import * as contest from './competition.ts';
import { eventually, installFast, kube, objects } from './fast.ts';
import { remains } from './quick-start.ts';

const say = (line: string): void => console.error(line);
const minuteMs = 60_000;
const turmoilMs = rounds(5 * minuteMs);
const seed = Number(process.env['FAST_SEED'] ?? Date.now() % 100_000);
const random = randomOf(seed);

beforeAll(async () => {
  await up({ say });
  await installFast(say);
}, 5 * minuteMs);

afterAll(() => contest.removePool(), 3 * minuteMs);

const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/** Ends one pod of those that a selector finds, at once and without a farewell. */
async function killOne(namespace: string, selector: string): Promise<string> {
  const names = (await objects<contest.ContestPod>('pods', '-n', namespace, '-l', selector))
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .map((pod) => pod.metadata.name);
  const name = names[Math.floor(random() * names.length)];
  if (name === undefined) return 'nobody';
  await kube([
    'delete',
    'pod',
    '-n',
    namespace,
    name,
    '--force',
    '--grace-period=0',
    '--wait=false',
    '--ignore-not-found',
  ]);
  return name;
}

/** Kills until the time is over: at each turn one of the contest's pods, an agent or a controller. */
async function turmoil(endMs: number): Promise<number> {
  let kills = 0;
  for (; Date.now() < endMs; kills += 1) {
    const dice = random();
    if (dice < 0.25) await killOne('fast-system', 'app.kubernetes.io/name=fast-agent');
    else if (dice < 0.5) await killOne('fast-system', 'app.kubernetes.io/name=fast-controller-manager');
    else await killPod();
    await pause(500 + random() * 2500);
  }
  return kills;
}

/** With a farewell: a pod that is forced out of the API server may run on, which no network can know. */
async function killPod(): Promise<void> {
  const pods = (await contest.contestPods()).filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const name = pods[Math.floor(random() * pods.length)]?.metadata.name;
  if (name !== undefined) await kube(['delete', 'pod', name, '--wait=false', '--ignore-not-found']);
}

/** Looks every two seconds; answers how often, and everything that was ever wrong. */
async function watch(endMs: number): Promise<{ looks: number; faults: Set<string> }> {
  const faults = new Set<string>();
  let looks = 0;
  for (; Date.now() < endMs; looks += 1) {
    const nextMs = Date.now() + 2000;
    for (const fault of await contest.look()) faults.add(fault);
    await pause(Math.max(0, nextMs - Date.now()));
  }
  return { looks, faults };
}

async function allReady(): Promise<true | string> {
  const pods = await contest.contestPods();
  const late = pods.filter((pod) => !contest.isReady(pod));
  return pods.length === contest.podCount && late.length === 0
    ? true
    : `${late.length} of ${pods.length} are not ready: ${late.map((pod) => pod.metadata.name).join(', ')}`;
}

describe(`six workloads that want every address of their pool (FAST_SEED=${seed})`, () => {
  it(
    'never share one while controllers, agents and pods are killed at random',
    async () => {
      await contest.beginContest();
      await eventually('every pod being ready', 2 * minuteMs, allReady);
      const endMs = Date.now() + turmoilMs;
      const [kills, { looks, faults }] = await Promise.all([turmoil(endMs), watch(endMs + 5000)]);
      say(`${kills} kills and ${looks} looks in ${turmoilMs / 1000} s`);
      expect([...faults]).toEqual([]);
      expect(kills).toBeGreaterThan(turmoilMs / 10_000);
    },
    turmoilMs + 5 * minuteMs,
  );

  it(
    'are all ready in the end, each pod with one record and one entry on its node alone',
    async () => {
      await eventually('every pod being ready', 4 * minuteMs, allReady);
      const pods = await contest.contestPods();
      expect(pods.map((pod) => String(pod.status.podIP)).toSorted()).toEqual(contest.contestedAddresses.toSorted());
      const records = (await objects<IpAllocation>('ipallocations')).filter((one) => one.spec.owner.kind === 'Pod');
      const wanted = pods.map((pod) => `${pod.status.podIP} Bound ${pod.metadata.uid}`);
      expect(records.map(({ spec }) => `${spec.address} ${spec.state} ${spec.owner.uid}`).toSorted()).toEqual(
        wanted.toSorted(),
      );
      for (const node of nodeNames()) {
        const own = pods.filter((pod) => pod.spec.nodeName === node).map((pod) => String(pod.status.podIP));
        await eventually(`the map of ${node} holding its pods alone`, minuteMs, async () => {
          const found = contest.localAddresses(node).toSorted().join();
          return found === own.toSorted().join() ? true : `it holds ${found}`;
        });
      }
    },
    6 * minuteMs,
  );

  it(
    'leave nothing behind when they go',
    async () => {
      await contest.endContest();
      await eventually('nothing being left', 2 * minuteMs, () => remains(contest.contestedAddresses));
    },
    4 * minuteMs,
  );
});
