// SPDX-License-Identifier: Apache-2.0
// The rights and policies of config/ on a real API server: the controller runs with its own account alone, an agent
// speaks for its own node alone, and the controller says so when nothing holds the agents back.
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { type Log, silentLog } from '../../src/kube/log.ts';
import { daemonSets } from '../../src/kube/resources.ts';
import { InstallReconciler } from '../../src/operator/install.ts';
import { recordKind } from '../../src/operator/kinds.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const namespace = 'fast-system';

let cluster: HollowCluster;
let controller: ChildProcess;
let agent: KubeClient;

/** A kubeconfig of a ServiceAccount of Fast, its token bound to a pod if one is named. */
async function accountConfig(account: string, pod?: string): Promise<string> {
  const bound = pod === undefined ? [] : ['--bound-object-kind=Pod', `--bound-object-name=${pod}`];
  const token = (await cluster.kubectl(['-n', namespace, 'create', 'token', account, ...bound])).trim();
  const file = join(dirname(cluster.server.kubeconfig), account);
  copyFileSync(cluster.server.kubeconfig, file);
  const context = (await cluster.kubectl(['config', 'current-context'])).trim();
  await cluster.kubectl(['--kubeconfig', file, 'config', 'set-credentials', account, `--token=${token}`]);
  await cluster.kubectl(['--kubeconfig', file, 'config', 'set-context', context, `--user=${account}`]);
  return file;
}

beforeAll(async () => {
  cluster = await HollowCluster.start();
});

afterAll(async () => {
  controller?.kill('SIGKILL');
  await agent?.close();
  await cluster?.stop();
});

it('says which policy is missing, once, and that it is there again', async () => {
  const said: string[] = [];
  const hear = (fields: object, message: string): void => void said.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, warn: hear, info: hear };
  const install = new InstallReconciler({
    client: cluster.client,
    namespace,
    knobs: () => undefined,
    pool: () => undefined,
    log,
  });
  const { signal } = new AbortController();
  await install.reconcile(signal);
  await install.reconcile(signal);
  expect(said).toHaveLength(1);
  expect(said[0]).toContain('ValidatingAdmissionPolicy fast-agents, ValidatingAdmissionPolicy fast-records');
  expect(said[0]).toContain('kubectl apply -k config/policy');
  await cluster.kubectl(['apply', '-k', join(root, 'config/policy')]);
  await install.reconcile(signal);
  expect(said.slice(1)).toEqual(['the admission policies are there again {}']);
});

describe('with the rights of config/rbac alone', () => {
  beforeAll(async () => {
    await cluster.kubectl(['apply', '-k', join(root, 'config/rbac')]);
    await cluster.kubectl(['apply', '-f', join(root, 'config/controller/config.yaml')]);
    await cluster.addNode('node-a', '10.29.15.49');
    await cluster.addNode('node-b', '10.29.15.50');
    const flags = ['--health-port', '0', '--identity', 'one', '--log-level', 'warn'];
    const kubeconfig = await accountConfig('fast-controller-manager');
    const main = join(root, 'src/operator/main.ts');
    controller = spawn(process.execPath, [main, '--kubeconfig', kubeconfig, ...flags], {
      env: { ...process.env, FAST_AGENT_IMAGE: 'sample.fast.io/fast-agent:test', POD_NAMESPACE: namespace },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'agent-a', namespace },
      spec: {
        nodeName: 'node-a',
        serviceAccountName: 'fast-agent',
        hostNetwork: true,
        containers: [{ name: 'a', image: 'a' }],
      },
    };
    await cluster.kubectl(['create', '-f', '-'], JSON.stringify(pod));
    agent = connect({ fieldManager: 'fast-agent', kubeconfig: await accountConfig('fast-agent', 'agent-a') });
  });

  it('the controller does all that it has to: agents, pools, nodes, addresses, their end, events', async () => {
    await eventually('the DaemonSet', () => cluster.client.find(daemonSets, 'fast-agent', namespace));
    await eventually('an overlay address', async () => (await cluster.endpoint('node-a'))?.spec.overlayAddress);
    await cluster.addPool('sample-ips', ['10.244.10.0-10.244.10.1']);
    for (const [name, node] of [
      ['a', 'node-a'],
      ['b', 'node-b'],
    ] as const) {
      await cluster.addPod(name, node, 'sample-ips');
      await cluster.addressOf(name);
    }
    await eventually('counts', async () => (await cluster.pool('sample-ips'))?.status?.bound === 2);
    await cluster.addPod('c', 'node-a', 'sample-ips');
    await eventually('an event', async () => (await cluster.kubectl(['get', 'events'])).includes('is exhausted'));
    await cluster.removePod('b');
    await cluster.sayReleased(await cluster.addressOf('b'));
    expect(await cluster.addressOf('c')).toBe('10.244.10.1');
    await cluster.kubectl(['-n', namespace, 'delete', 'daemonset', 'fast-agent']);
    await eventually('another DaemonSet', () => cluster.client.find(daemonSets, 'fast-agent', namespace));
  });

  it("an agent writes the status of its own node's records, and of nobody else's", async () => {
    const attached = { owner: { uid: 'x' }, containerID: 'c', interface: 'i' };
    const own = (await agent.list(recordKind)).items.find((record) => record.spec.owner.name === 'a');
    if (own === undefined) throw new Error('no record');
    const written = await agent.replaceStatus(recordKind, { ...own, status: { attached } });
    expect(written.status?.attached?.interface).toBe('i');
    const other = (await agent.list(recordKind)).items.find((record) => record.spec.nodeName === 'node-b');
    if (other === undefined) throw new Error('no record of the other node');
    await expect(agent.replaceStatus(recordKind, { ...other, status: { attached } })).rejects.toThrow(
      'the agent of node "node-a" may not write the status of',
    );
    await expect(agent.replace(recordKind, written)).rejects.toThrow('cannot update resource');
    await expect(
      agent.patch(recordKind, own.metadata.name, {}, { type: 'merge', subresource: 'status' }),
    ).rejects.toThrow('cannot patch resource');
  });

  it('nobody but the controller deletes a record', async () => {
    await expect(cluster.kubectl(['delete', 'ipa', '10.244.10.0'])).rejects.toThrow(
      'is written by fast-controller-manager alone, not by',
    );
  });
});
