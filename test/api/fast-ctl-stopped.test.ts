// SPDX-License-Identifier: Apache-2.0
// fast-ctl uninstall as a process that is stopped while it waits for a node, by a person or by a supervisor.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { apiVersion } from '../../src/api/names.ts';
import { endpointKind } from '../../src/operator/kinds.ts';
import { HollowCluster } from './hollow-cluster.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
let cluster: HollowCluster;

beforeAll(async () => {
  cluster = await HollowCluster.start();
  const tunnelAddress = '10.29.15.1';
  const node = await cluster.addNode('node-a', tunnelAddress);
  const endpoint = { apiVersion, kind: 'NodeEndpoint', metadata: { name: 'node-a' } } as const;
  const nodeUID = node.metadata.uid ?? '';
  await cluster.client.create(endpointKind, { ...endpoint, spec: { nodeUID, tunnelAddress } });
  const labels = { 'app.kubernetes.io/name': 'fast-agent' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'agent', image: 'agent' }] } };
  const metadata = { name: 'fast-agent', namespace: 'fast-system', labels };
  const objects = [
    { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata, spec: { selector: { matchLabels: labels }, template } },
    { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...template.spec, nodeName: 'node-a' } },
  ];
  for (const one of objects) await cluster.kubectl(['create', '-f', '-'], JSON.stringify(one));
}, 120_000);
afterAll(() => cluster?.stop());

it.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s in the middle is met with what is still to do and the command that goes on', async (signal, wanted) => {
  const child = spawn(process.execPath, [main, 'uninstall', '--yes', '--kubeconfig', cluster.server.kubeconfig]);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    if (stdout.includes('waiting for the nodes')) child.kill(signal);
  });
  const [code] = (await once(child, 'close')) as [number];
  expect(stderr).toMatch(
    /^fast-ctl: stopped; the nodes still to do: node-a \(its agent has not answered\)\.\nTo go on: fast-ctl --kubeconfig \S+ uninstall --yes;/,
  );
  expect(code).toBe(wanted);
});
