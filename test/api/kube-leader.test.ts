// SPDX-License-Identifier: Apache-2.0
// Leader election and credentials over a real API server.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { namespaces } from '../../src/kube/resources.ts';
import { resource } from '../../src/kube/object.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { startApiServer } from '../cluster/api-server.ts';
import { randomOf } from '../random.ts';
import { rounds } from '../share.ts';
import { ApiLines, type LineMode } from './api-lines.ts';
import { LeaderPair, type Side, sides } from './leader-pair.ts';

/** The real times in the same proportion, 25 times as fast. */
const times = { leaseDurationMs: 600, renewDeadlineMs: 400, retryPeriodMs: 80 };
/** Leases, each with its record, that the two processes contend for at once. One mishap on one of them is one round. */
const stageCount = 10;

const processMishaps = ['killed', 'paused', 'stopped', 'both paused', 'none'] as const;
const lineModes: readonly LineMode[] = ['held', 'held', 'held', 'leaseless', 'leaseless', 'deaf', 'cut', 'open'];

/** What befalls the two processes and all their lines, drawn from the seed; when it resolves, all is well again. */
async function strike(pair: LeaderPair, seed: number): Promise<void> {
  const random = randomOf(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const mishap = processMishaps[seed % processMishaps.length] ?? 'none';
  const side: Side = pick(sides);
  // Some are over before the Lease expires; most last past the next leader's first writes.
  const durationMs = (): number => (random() < 0.3 ? 0.1 + random() * 0.9 : 1 + random() * 1.5) * times.leaseDurationMs;
  const ends = pair.stages.map(async (stage, index) => {
    const mode = lineModes[(seed + index) % lineModes.length] ?? 'open';
    const [beginMs, lastsMs, isLeaders] = [random() * 300, durationMs(), random() < 0.8 || mode === 'leaseless'];
    const leader = (await pair.holderOf(stage)) ?? side;
    const struck = isLeaders ? leader : (sides.find((each) => each !== leader) ?? side);
    await sleep(beginMs);
    stage.lines[struck].mode = mode;
    await sleep(lastsMs);
    stage.lines[struck].mode = 'open';
  });
  const struckSides = mishap === 'both paused' ? sides : [side];
  const lastsMs = durationMs();
  if (mishap === 'killed' || mishap === 'stopped') {
    pair.signal(side, mishap === 'killed' ? 'SIGKILL' : 'SIGTERM');
    await pair.ended(side);
    await sleep(lastsMs);
    pair.startWorker(side);
  } else if (mishap !== 'none') {
    for (const each of struckSides) pair.signal(each, 'SIGSTOP');
    await sleep(lastsMs);
    for (const each of struckSides) pair.signal(each, 'SIGCONT');
  }
  await Promise.all(ends);
}

const serviceAccounts = resource('', 'v1', 'serviceaccounts', 'ServiceAccount', 'namespaced');

describe('over a real API server', () => {
  let server: ApiServer;
  let client: KubeClient;
  beforeAll(async () => {
    server = await startApiServer();
    client = connect({ kubeconfig: server.kubeconfig, fieldManager: 'kube-test' });
  }, 120_000);
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });

  it.concurrent('keeps records right through 1,000 rounds of deaths, pauses and faulty lines between two processes, 100 in CI', async () => {
    const lines = await ApiLines.start(server);
    const names = Array.from({ length: stageCount }, (_, index) => `stage-${index}`);
    const pair = new LeaderPair(server, lines, names, { times, writeEveryMs: 30 });
    try {
      await pair.start();
      await pair.allWrite('the start');
      for (let seed = 0; seed < rounds(1000) / stageCount; seed += 1) {
        await strike(pair, seed);
        await pair.allWrite(`seed ${seed}`);
      }
    } finally {
      await pair.stop();
      await lines.stop();
    }
    const counts = { takeovers: 0, lateRefused: 0 };
    for (const { terms } of pair.stages) {
      // Once another term has written, no write of a former one lands: each term's writes are all in one row.
      expect(new Set(terms).size, terms.join(' ')).toBe(terms.length);
      counts.takeovers += terms.length - 1;
    }
    for (const { isLate, method, status } of pair.stages.flatMap((stage) => [
      ...stage.lines.left.exchanges,
      ...stage.lines.right.exchanges,
    ])) {
      if (isLate && method !== 'GET' && status === 409) counts.lateRefused += 1;
    }
    // Where nobody took over and nothing came late, nothing would have been shown. How much comes late is up to the machine.
    expect(counts.takeovers).toBeGreaterThan(rounds(1000) / 4);
    expect(counts.lateRefused).toBeGreaterThanOrEqual(rounds(1000) / 100);
  }, 900_000);

  it.concurrent('reads a rotated token at once when the server refuses the former one', async () => {
    const tokenFile = join(server.pki, 'rotating-token');
    const kubeconfig = join(server.pki, 'rotating.kubeconfig');
    const user = { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } };
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: [
          { name: 'one', cluster: { server: server.url, 'certificate-authority': join(server.pki, 'ca.crt') } },
        ],
        users: [{ name: 'one', user }],
        contexts: [{ name: 'one', context: { cluster: 'one', user: 'one' } }],
        'current-context': 'one',
      }),
    );
    const issue = async (): Promise<void> => {
      await client.create(serviceAccounts, { metadata: { name: 'rotating', namespace: 'default' } });
      const { stdout } = await server.kubectl(['create', 'token', 'rotating']);
      writeFileSync(tokenFile, `${stdout.trim()}\n`);
    };
    const who = async (line: KubeClient): Promise<string | undefined> => {
      const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
      const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
      const answer = (await line.raw('POST', path, review)) as { status: { userInfo: { username: string } } };
      return answer.status.userInfo.username;
    };
    await issue();
    const rotating = connect({ kubeconfig, fieldManager: 'rotating' });
    expect(await who(rotating)).toBe('system:serviceaccount:default:rotating');
    await client.delete(serviceAccounts, 'rotating', { namespace: 'default' });
    await issue();
    // The API server remembers a good token for ten seconds.
    await sleep(11_000);
    expect(await who(rotating)).toBe('system:serviceaccount:default:rotating');
    rmSync(tokenFile);
    await expect(rotating.list(namespaces)).rejects.toMatchObject({ reason: 'forbidden' });
    await rotating.close();
  }, 60_000);

  it('names the file in which it found no cluster', () => {
    const empty = join(server.pki, 'empty.kubeconfig');
    writeFileSync(empty, '{}');
    expect(() => connect({ kubeconfig: empty, fieldManager: 'x' })).toThrow(`no cluster found in ${empty}`);
    expect(() => connect({ kubeconfig: '/no/such/file', fieldManager: 'x' })).toThrow('/no/such/file');
  });
});
