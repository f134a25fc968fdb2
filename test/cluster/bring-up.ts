// SPDX-License-Identifier: Apache-2.0
// The steps of `up`, in their order. None of them undoes itself: cleaning up is one thing, for all of them.
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { ApiAccess } from './api-request.ts';
import { apiRequest, listNodes, waitForApi } from './api-request.ts';
import * as certificates from './certificates.ts';
import { apiServiceAddress } from './daemons.ts';
import { prepareHost } from './host-traces.ts';
import { ensureImages } from './images.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { ensureKubernetes } from './kubernetes.ts';
import { loadArchive } from './load-image.ts';
import { bootMachine, layOutMachine, startSwitch } from './machine.ts';
import { kubeconfigPath, pkiFolder, stateFolder } from './paths.ts';
import type { Say } from './progress.ts';
import { step } from './progress.ts';
import { startDetached, waitFor } from './run.ts';
import type { MachinePlan } from './state.ts';
import { writeState } from './state.ts';

/** A port on 127.0.0.1 that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

async function createCertificates(
  machines: readonly MachinePlan[],
  api: MachinePlan,
  signal?: AbortSignal,
): Promise<void> {
  await certificates.createAuthorities(pkiFolder, signal);
  const orders = [
    certificates.apiServerOrder(['127.0.0.1', api.address, apiServiceAddress]),
    ...certificates.controlPlaneOrders,
    ...machines.map((machine) => certificates.kubeletOrder(machine.name, machine.address)),
  ];
  await Promise.all(orders.map((order) => certificates.sign(pkiFolder, order, signal)));
}

/** Starts the host's end of the way to the API server. */
export async function startRelay(port: number): Promise<void> {
  const relay = join(import.meta.dirname, 'relay.ts');
  const argv = [process.execPath, relay, 'outside', String(port), join(stateFolder, 'api.sock')];
  await startDetached('relay', argv, join(stateFolder, 'relay.log'));
}

async function waitForNodes(access: ApiAccess, machines: readonly MachinePlan[], signal?: AbortSignal): Promise<void> {
  await waitFor(
    `${machines.length} Nodes`,
    120_000,
    async () => {
      const names = (await listNodes(access)).map((node) => node.name);
      return machines.every((machine) => names.includes(machine.name)) ? true : undefined;
    },
    signal,
  );
}

/** What an installer does after the first start: the role's label, and the API server's rights on kubelets. */
async function finish(access: ApiAccess, controlPlane: MachinePlan): Promise<void> {
  const labels = { 'node-role.kubernetes.io/control-plane': '' };
  const label = await apiRequest(access, 'PATCH', `/api/v1/nodes/${controlPlane.name}`, { metadata: { labels } });
  if (label.status !== 200) throw new Error(`cannot label ${controlPlane.name}: ${label.status} ${label.text}`);
  const rights = await apiRequest(access, 'POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'kube-apiserver-to-kubelets' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:kubelet-api-admin' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'kube-apiserver-kubelet-client' }],
  });
  if (rights.status !== 201)
    throw new Error(`cannot give the API server rights on kubelets: ${rights.status} ${rights.text}`);
}

/** Starts a cluster where there is none. What a failure leaves behind is for `sweep`. */
export async function startCluster(machines: MachinePlan[], say: Say, signal?: AbortSignal): Promise<void> {
  const controlPlane = machines.find((machine) => machine.role === 'control-plane');
  if (controlPlane === undefined) throw new Error('the plan has no control plane');
  await ensureKubernetes(say, signal);
  const archives = await ensureImages(say);
  const names = machines.map((machine) => machine.name);
  const apiPort = await freePort();
  const access: ApiAccess = { pki: pkiFolder, port: apiPort };
  writeState({ machines, apiPort, phase: 'starting' });
  prepareHost();
  await step(say, 'certificates signed', () => createCertificates(machines, controlPlane, signal));
  writeKubeconfig(kubeconfigPath, pkiFolder, 'admin', `https://127.0.0.1:${apiPort}`);
  for (const machine of machines) layOutMachine(machine, controlPlane);
  await step(say, 'switch on', startSwitch);
  await startRelay(apiPort);
  await step(say, `machines on: ${names.join(', ')}`, async () => {
    await Promise.all(machines.map((machine) => bootMachine(machine, signal)));
  });
  await step(say, 'images loaded', async () => {
    for (const archive of archives) await loadArchive(archive, names);
  });
  await step(say, 'API server ready', () => waitForApi(access, 90_000, signal));
  await step(say, 'Nodes registered', () => waitForNodes(access, machines, signal));
  await finish(access, controlPlane);
  signal?.throwIfAborted();
  writeState({ machines, apiPort, phase: 'up' });
}
