// SPDX-License-Identifier: Apache-2.0
// fast-ctl trace on a real API server: that Services are found by their addresses there, and backends by their slices.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backendsOf, serviceByAddress, serviceByName } from '../../src/cli/backends.ts';
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
