// SPDX-License-Identifier: Apache-2.0
// fast-ctl with the agents' own account, as in a shell in an agent's pod, against a real API server.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ApiLines } from './api-lines.ts';
import { HollowCluster } from './hollow-cluster.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let cluster: HollowCluster;
let lines: ApiLines;
let kubeconfig = '';

beforeAll(async () => {
  cluster = await HollowCluster.start();
  lines = await ApiLines.start(cluster.server);
  await cluster.kubectl(['apply', '-k', join(root, 'config/rbac')]);
  const token = await cluster.kubectl(['-n', 'fast-system', 'create', 'token', 'fast-agent']);
  kubeconfig = lines.add('shell', token.trim()).kubeconfig;
}, 120_000);

afterAll(async () => {
  await lines?.stop();
  await cluster?.stop();
});

const fastCtl = (...words: string[]): Promise<string> =>
  new Promise((resolve) => {
    const argv = [join(root, 'src/cli/main.ts'), ...words, '--kubeconfig', kubeconfig];
    execFile(process.execPath, argv, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`));
  });

const user = 'system:serviceaccount:fast-system:fast-agent';
const cure = "that is the agents' account, which looks after its own node alone; run it where your own kubeconfig is";

it('ipam and --node say which right the account lacks, and where to go', async () => {
  expect(await fastCtl('ipam', 'show')).toContain(`fast-ctl: ${user} may not list nodes: ${cure}`);
  expect(await fastCtl('maps', 'list', '--node', 'node-a')).toContain(
    `fast-ctl: ${user} may not list pods in fast-system: ${cure}`,
  );
});

it('status says of each row that it may not look, and once what to do', async () => {
  await cluster.addPool('sample-ips', ['10.244.10.0/30']);
  const status = await fastCtl('status');
  expect(status).toContain('??  controller  this account may not look');
  expect(status).toMatch(/ {4}controller, agents, .*knobs: run it by an account that may look/);
});
