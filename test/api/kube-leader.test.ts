// SPDX-License-Identifier: Apache-2.0
// Leader election and credentials over a real API server.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { LeaderElector } from '../../src/kube/leader.ts';
import { leases, namespaces } from '../../src/kube/resources.ts';
import { resource } from '../../src/kube/object.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { startApiServer } from '../cluster/api-server.ts';
import { FaultProxy } from './kube-fault-proxy.ts';

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

  it('two electors never lead at once, through cuts of either, and one always leads in the end', async () => {
    const names = ['one', 'two'];
    const proxies = await Promise.all(names.map(() => FaultProxy.start(server)));
    const clients = proxies.map(({ kubeconfig }) => connect({ kubeconfig, fieldManager: 'elector' }));
    const times = { leaseDurationMs: 600, renewDeadlineMs: 400, retryPeriodMs: 80 };
    let working = 0;
    let most = 0;
    let terms = 0;
    const electors = clients.map((line, index) => {
      const onStarted = (signal: AbortSignal): void => {
        terms += 1;
        working += 1;
        most = Math.max(most, working);
        signal.addEventListener('abort', () => (working -= 1));
      };
      const identity = names[index] ?? '';
      return new LeaderElector({ client: line, namespace: 'default', name: 'two', identity, onStarted, ...times });
    });
    for (const elector of electors) {
      elector.start();
    }
    for (let round = 0; round < 8; round += 1) {
      await sleep(300);
      const leading = electors.findIndex(({ isLeader }) => isLeader);
      proxies[leading]?.cut();
      await sleep(1300);
      for (const proxy of proxies) {
        proxy.open();
      }
    }
    await sleep(1500);
    expect(most).toBe(1);
    expect(terms).toBeGreaterThan(4);
    expect(electors.filter(({ isLeader }) => isLeader)).toHaveLength(1);
    await Promise.all(electors.map((elector) => elector.stop()));
    expect((await client.get(leases, 'two', 'default')).spec?.holderIdentity).toBe('');
    await Promise.all(clients.map((line) => line.close()));
    await Promise.all(proxies.map((proxy) => proxy.stop()));
  }, 60_000);

  it('reads a rotated token at once when the server refuses the former one', async () => {
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
