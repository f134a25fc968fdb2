// SPDX-License-Identifier: Apache-2.0
// fast-ctl ipam and fast-ctl status as a person runs them, against a real API server on which the controller gives addresses out.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configMaps } from '../../src/kube/resources.ts';
import { recordKind } from '../../src/operator/kinds.ts';
import { HollowAgents } from './hollow-agents.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';
import { OperatorProcess } from './operator-process.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

describe('fast-ctl', () => {
  let cluster: HollowCluster;
  let agents: HollowAgents;
  let replica: OperatorProcess | undefined;
  const fastCtl = (...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
    const args = [main, ...words, '--kubeconfig', cluster.server.kubeconfig];
    return new Promise((resolve) => {
      execFile(process.execPath, args, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  };

  beforeAll(async () => {
    cluster = await HollowCluster.start();
    const pool = 'subnet: 10.244.0.1/32\nips: [10.244.224.0/24]\nusage: Node\n';
    const metadata = { name: 'fast-config', namespace: 'fast-system' };
    await cluster.client.create(configMaps, { metadata, data: { 'fast-nodes': pool } });
    replica = new OperatorProcess(cluster.server.kubeconfig, 'replica-0');
    await cluster.addNode('node-a', '10.29.15.1');
    agents = new HollowAgents(cluster.client);
    agents.start();
    await cluster.addPool('small', ['10.245.0.0/30']);
    for (const name of ['a', 'b']) await cluster.addPod(name, 'node-a', 'small');
    await eventually('both attached', async () => {
      const records = (await cluster.records()).filter(({ spec }) => spec.ips === 'small');
      return records.length === 2 && records.every(({ status }) => status?.attached !== undefined);
    });
  }, 120_000);

  afterAll(async () => {
    await agents?.stop();
    replica?.kill('SIGTERM');
    await replica?.ended();
    await cluster?.stop();
  });

  it('shows how full the pools are', async () => {
    const { stdout, code } = await fastCtl('ipam', 'show');
    expect(stdout).toMatch(/small +4 +2 +0 +0 +2 +█{12}·{12}\n/);
    expect(code).toBe(0);
  });

  it('finds that all holds that could be asked, and names the node that could not', async () => {
    const { stdout, stderr, code } = await fastCtl('ipam', 'check');
    expect(stdout).toContain('What could be asked holds: 2 pools, 3 records, 2 pods, the maps of 0 of 1 nodes.');
    expect(stderr).toContain('fast-ctl: node node-a was not asked: no agent runs on node-a');
    expect(code).toBe(2);
  });

  it('foresees whether more pods fit', async () => {
    const deployment = ['create', 'deployment', 'web', '--image=busybox', '--replicas=0'];
    await cluster.kubectl(deployment);
    const annotations = { 'fast.io/ips': 'small' };
    const patch = JSON.stringify({ spec: { template: { metadata: { annotations } } } });
    await cluster.kubectl(['patch', 'deployment', 'web', '--type=merge', '-p', patch]);
    expect(await fastCtl('ipam', 'forecast', '--add', 'deploy/web=2')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('deploy/web: 2 more pods fit: 2 from pool small'),
    });
    expect(await fastCtl('ipam', 'forecast', '--add', 'deploy/web=3')).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('3 more pods do not fit: 2 from pool small; 1 would wait'),
    });
  });

  it('counts a pod that the scheduling gate holds among those that wait', async () => {
    await cluster.addPod('held', undefined, 'nowhere', { schedulingGates: [{ name: 'fast.io/address' }] });
    const { stdout, code } = await fastCtl('status');
    expect(stdout).toContain('!!  pods        1 waits for an address, held by the scheduling gate\n');
    expect(stdout).toContain('default/held: pool nowhere does not exist; ');
    expect(stdout).toMatch(/^ +pods: kubectl --kubeconfig \S+ describe pod -n default held$/m);
    expect(code).toBe(1);
  });

  it('exits 1 where the controller is gone and its views are not true any more, and names the cure', async () => {
    replica?.kill('SIGTERM');
    await replica?.ended();
    replica = undefined;
    const record = await cluster.recordOf('a');
    if (record === undefined) throw new Error('no record of a');
    await cluster.client.delete(recordKind, record.metadata.name);
    const { stdout, code } = await fastCtl('ipam', 'check');
    expect(stdout).toContain('countsWrong: the status of pool small says bound 2, not 1\n  cure: ');
    expect(stdout).toContain(
      `endpointDiffers: NodeEndpoint node-a has ${record.spec.address}, which nobody holds there`,
    );
    expect(code).toBe(1);
  });
});
