// SPDX-License-Identifier: Apache-2.0
// Two replicas of the controller at the real times (15/10/2 s): one dies, stops, is paused or cut off, and the other gives
// out addresses. Measured on a pod's record, from the moment of the mishap.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leases } from '../../src/kube/resources.ts';
import { patienceMs, rounds } from '../share.ts';
import { ApiLines, type Line } from './api-lines.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';
import { OperatorProcess } from './operator-process.ts';

/** Each with how soon the other replica must have written: what the issue of a leader's death asks for. */
const mishaps = [
  { name: 'killed', withinMs: 20_000 },
  { name: 'asked to stop', withinMs: 2_000 },
  { name: 'paused', withinMs: 20_000 },
  { name: 'cut off', withinMs: 20_000 },
] as const;

interface Replica {
  readonly line: Line;
  readonly process: OperatorProcess;
}

/** The identities under which it has led. */
function termsOf({ process }: Replica): unknown[] {
  return process.lines.filter(({ msg }) => msg === 'leading').map(({ identity }) => identity);
}

describe('two replicas of the controller', () => {
  let cluster: HollowCluster;
  let lines: ApiLines;
  let started = 0;
  let replicas: Replica[] = [];

  const startReplica = async (): Promise<void> => {
    started += 1;
    const line = lines.add(`replica-${started}`);
    // All of one name, as a container that is started again has its pod's.
    const process = new OperatorProcess(line.kubeconfig, 'replica');
    replicas.push({ line, process });
    await process.heard('standing for election');
  };
  const leader = (): Promise<Replica> =>
    eventually(
      'a leader',
      async () => {
        const lease = await cluster.client.find(leases, 'fast-controller-manager', 'fast-system');
        return replicas.find((replica) => termsOf(replica).includes(lease?.spec?.holderIdentity));
      },
      30_000,
    );

  beforeAll(async () => {
    cluster = await HollowCluster.start();
    lines = await ApiLines.start(cluster.server);
    await startReplica();
    await startReplica();
    await cluster.addNode('node-a', '10.29.15.49');
    await cluster.addNode('node-b', '10.29.15.50');
    await cluster.addPool('crowd', ['10.248.0.0/20']);
    await cluster.addPod('first', 'node-a', 'crowd');
    await cluster.addressOf('first');
  }, 180_000);
  afterAll(async () => {
    for (const { process } of replicas) process.kill('SIGKILL');
    await lines?.stop();
    await cluster?.stop();
  });

  it('are two, though both have the same name', () => {
    expect(replicas.flatMap(termsOf)).toHaveLength(1);
  });

  /** The mishap, and what makes all well again. */
  const strike = (mishap: (typeof mishaps)[number]['name'], { line, process }: Replica): (() => void) => {
    if (mishap === 'killed') process.kill('SIGKILL');
    if (mishap === 'asked to stop') process.kill('SIGTERM');
    if (mishap === 'paused') process.kill('SIGSTOP');
    if (mishap === 'cut off') line.mode = 'cut';
    return () => {
      process.kill('SIGCONT');
      line.mode = 'open';
    };
  };

  it('give addresses again within 20 s of the leader being killed, paused or cut off, within 2 s of its clean stop, and each pod one', async () => {
    let pods = 1;
    const addPods = async (count: number): Promise<string[]> => {
      const names = Array.from({ length: count }, (_, index) => `pod-${pods + index}`);
      pods += count;
      for (const [index, name] of names.entries()) {
        await cluster.addPod(name, index % 2 === 0 ? 'node-a' : 'node-b', 'crowd');
      }
      return names;
    };
    for (let round = 0; round < rounds(20); round += 1) {
      const mishap = mishaps[round % mishaps.length] ?? mishaps[0];
      const struck = await leader();
      // The blow falls while the leader is busy.
      const adding = addPods(30);
      await sleep(20);
      const mend = strike(mishap.name, struck);
      const startMs = performance.now();
      await adding;
      const [last = ''] = await addPods(1);
      await eventually(`an address after the leader was ${mishap.name}`, () => cluster.recordOf(last), 60_000);
      const tookMs = performance.now() - startMs;
      console.log(`round ${round}, leader ${mishap.name}: ${Math.round(tookMs)} ms`);
      expect(tookMs).toBeLessThan(patienceMs(mishap.withinMs));
      mend();
      // Killed, or asked to, or no longer leading: in each case it ends by itself.
      expect(await struck.process.ended()).toBe(
        { killed: null, 'asked to stop': 0, paused: 1, 'cut off': 1 }[mishap.name],
      );
      replicas = replicas.filter((each) => each !== struck);
      await startReplica();
      await eventually('all records', async () => (await cluster.records()).filter(isOfPod).length === pods, 30_000);
    }
    const records = (await cluster.records()).filter(isOfPod);
    expect(new Set(records.map(({ spec }) => spec.owner.uid)).size).toBe(pods);
    expect(records).toHaveLength(pods);
  }, 900_000);
});

function isOfPod(record: { spec: { owner: { kind: string } } }): boolean {
  return record.spec.owner.kind === 'Pod';
}
