// SPDX-License-Identifier: Apache-2.0
// The contract that test/pure tells to the API server in memory, told to a real one with Fast's CRDs, rights and
// policies. Where the two answer alike, a simulation speaks for the truth.
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { isReason } from '../../src/kube/errors.ts';
import { namespaces } from '../../src/kube/resources.ts';
import { recordKind } from '../../src/operator/kinds.ts';
import { type ContractServer, record, type Story, Told } from '../simulator/contract.ts';
import { ruleStories } from '../simulator/contract-rules.ts';
import { watchStories } from '../simulator/contract-watches.ts';
import { writeStories } from '../simulator/contract-writes.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const namespace = 'fast-system';

let cluster: HollowCluster;
let server: ContractServer & { controller: KubeClient };
const clients: KubeClient[] = [];

/** A client with the rights of a ServiceAccount of Fast, its token bound to a pod if one is named. */
async function clientOf(account: string, pod?: string): Promise<KubeClient> {
  const bound = pod === undefined ? [] : ['--bound-object-kind=Pod', `--bound-object-name=${pod}`];
  const token = (await cluster.kubectl(['-n', namespace, 'create', 'token', account, ...bound])).trim();
  const kubeconfig = join(dirname(cluster.server.kubeconfig), account);
  copyFileSync(cluster.server.kubeconfig, kubeconfig);
  const context = (await cluster.kubectl(['config', 'current-context'])).trim();
  await cluster.kubectl(['--kubeconfig', kubeconfig, 'config', 'set-credentials', account, `--token=${token}`]);
  await cluster.kubectl(['--kubeconfig', kubeconfig, 'config', 'set-context', context, `--user=${account}`]);
  const client = connect({ kubeconfig, fieldManager: account });
  clients.push(client);
  return client;
}

/** A server that has restarted answers calls before it takes watches. */
async function untilItWatches(client: KubeClient): Promise<void> {
  await eventually('a watch', async () => {
    const { resourceVersion } = await client.list(recordKind);
    const end = new AbortController();
    const opened = new Promise<boolean>((resolve) => {
      const options = { resourceVersion, timeoutSeconds: 60, silenceMs: 60_000, signal: end.signal };
      const watch = client.watch(recordKind, { ...options, onOpen: () => resolve(true) });
      watch.next().catch(() => resolve(false));
    });
    return await opened.finally(() => end.abort());
  });
}

/** Policies take a moment to be in force; a story told before would be another story. */
async function untilPolicyHolds(): Promise<void> {
  await eventually('the policy of records', async () => {
    try {
      await cluster.client.create(recordKind, record('10.255.255.1'));
      await cluster.client.delete(recordKind, '10.255.255.1');
      return false;
    } catch (error) {
      return isReason(error, 'forbidden');
    }
  });
}

beforeAll(async () => {
  cluster = await HollowCluster.start();
  await cluster.kubectl(['apply', '-k', join(root, 'config/policy')]);
  await cluster.kubectl(['apply', '-k', join(root, 'config/rbac')]);
  await cluster.addNode('node-a', '10.29.15.49');
  const containers = [{ name: 'a', image: 'a' }];
  const spec = { nodeName: 'node-a', serviceAccountName: 'fast-agent', hostNetwork: true, containers };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'agent-a', namespace }, spec };
  await cluster.kubectl(['create', '-f', '-'], JSON.stringify(pod));
  const admin = cluster.client;
  await eventually('the namespace default', () => admin.find(namespaces, 'default'));
  server = {
    admin,
    controller: await clientOf('fast-controller-manager'),
    agent: await clientOf('fast-agent', 'agent-a'),
    forgetHistory: async () => {
      await cluster.server.restart();
      await untilItWatches(server.controller);
    },
  };
  await untilPolicyHolds();
});

afterAll(async () => {
  for (const client of clients) await client.close();
  await cluster?.stop();
});

it.each([...writeStories, ...ruleStories, ...watchStories])('$title', async ({ tell, expected }: Story) => {
  const told = new Told();
  await tell(told, server);
  expect(told.lines).toEqual(expected);
});
