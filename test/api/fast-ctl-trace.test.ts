// SPDX-License-Identifier: Apache-2.0
// fast-ctl trace on a real API server: that Services are found by their addresses there, and backends by their slices.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backendsOf, serviceByAddress, serviceByName } from '../../src/cli/backends.ts';
import { sayNodePort } from '../../src/cli/node-ports.ts';
import { stateOfNode } from '../../src/cli/trace-node.ts';
import { targetAt, targetOf } from '../../src/cli/trace-target.ts';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { type ApiServer, startApiServer } from '../cluster/api-server.ts';

let server: ApiServer;
let client: KubeClient;

beforeAll(async () => {
  server = await startApiServer();
  client = connect({ kubeconfig: server.kubeconfig, fieldManager: 'test' });
}, 120_000);

afterAll(() => server?.stop());

it('finds a Service by its address and its ready backends', async () => {
  const metadata = { name: 'web', namespace: 'default' };
  const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
  const labels = { 'kubernetes.io/service-name': 'web' };
  const objects = [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', namespace: 'default', labels },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [
        { addresses: ['10.244.10.7'], conditions: { ready: true }, nodeName: 'one' },
        { addresses: ['10.244.10.8'], conditions: { ready: false } },
      ],
    },
  ];
  for (const one of objects) {
    expect(await server.kubectl(['create', '-f', '-'], JSON.stringify(one))).toMatchObject({ code: 0 });
  }
  const made = await serviceByName(client, 'default', 'web');
  const address = made?.spec.clusterIP ?? '';
  const found = await serviceByAddress(client, address);
  expect(found?.metadata.name).toBe('web');
  expect(await serviceByAddress(client, '192.0.2.1')).toBeUndefined();
  if (found === undefined) throw new Error('no Service');
  expect(await backendsOf(client, found, { name: 'http', port: 80 }, undefined)).toEqual([
    { address: '10.244.10.7', port: 8080, node: 'one' },
  ]);
});

it('knows the Services’ range by its ServiceCIDR, where no Service has the address', async () => {
  const kubernetes = await serviceByName(client, 'default', 'kubernetes');
  const nobodys = kubernetes?.spec.clusterIP?.replace(/\.\d+$/, '.254') ?? '';
  const cluster = async (): Promise<KubeClient> => client;
  expect(await targetAt(nobodys, { protocol: 'tcp' }, cluster)).toMatchObject({
    isEnd: true,
    said: [{ what: expect.stringContaining(`${nobodys} is an address for Services, and no Service has it`) }],
  });
  expect(await targetAt('192.0.2.1', { protocol: 'tcp' }, cluster)).toMatchObject({ isEnd: false, said: [] });
});

it('says of an ExternalName what it is', async () => {
  const words = ['create', 'service', 'externalname', 'elsewhere', '--external-name', 'db.example.com'];
  expect(await server.kubectl(words)).toMatchObject({ code: 0 });
  const found = await serviceByName(client, 'default', 'elsewhere');
  if (found === undefined) throw new Error('no Service');
  await expect(targetOf(found, { protocol: 'tcp' }, client)).rejects.toThrow('a name in DNS for db.example.com');
});

it('finds who has a port of a node’s own address: a pod of that node by hostPort, a Service by NodePort', async () => {
  const ports = [{ containerPort: 80, hostPort: 8080 }];
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: { nodeName: 'two', containers: [{ name: 'a', image: 'a', ports }] },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'door', namespace: 'default' },
    spec: { type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }] },
  };
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } };
  for (const one of [account, pod, service]) {
    expect(await server.kubectl(['create', '-f', '-'], JSON.stringify(one))).toMatchObject({ code: 0 });
  }
  const at = { node: 'two', address: '10.0.0.2', port: 8080, protocol: 'TCP' };
  expect(await sayNodePort(client, at)).toBe('it is a hostPort of pod default/web by portmap, which is Pending');
  expect(await sayNodePort(client, { ...at, node: 'one' })).toContain('neither a hostPort of one of its pods nor a');
  expect(await sayNodePort(client, { ...at, port: 30_080 })).toContain('it is a NodePort of Service default/door');
});

it('knows a node that is silent by its Lease, while its Node says that it is ready', async () => {
  const lease = (name: string, leaseDurationSeconds: number): object => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace: 'kube-node-lease' },
    spec: { leaseDurationSeconds, renewTime: `${new Date().toISOString().slice(0, -1)}000Z` },
  });
  await server.kubectl(['create', 'namespace', 'kube-node-lease']);
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'two' } };
  for (const one of [node, lease('one', 40), lease('two', 4)]) {
    expect(await server.kubectl(['create', '-f', '-'], JSON.stringify(one))).toMatchObject({ code: 0 });
  }
  const endpoint = { metadata: { name: 'two' }, spec: { nodeUID: 'two', tunnelAddress: '10.0.0.2' } };
  expect(await stateOfNode(client, endpoint, Date.now())).toEqual({ isSilent: false });
  const silent = await stateOfNode(client, endpoint, Date.now() + 7_000);
  expect(silent).toMatchObject({ isSilent: true });
  expect(silent.amiss).toMatch(
    /^two does not answer: its kubelet has said nothing for (?:[7-9]|10) s; nothing arrives there/,
  );
  const gone = { ...endpoint, metadata: { name: 'three' } };
  expect((await stateOfNode(client, gone, Date.now())).amiss).toContain('three does not answer: its Node object is');
});
