// SPDX-License-Identifier: Apache-2.0
// What fast-ctl says where no API server answers.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { connect } from '../../src/kube/client.ts';
import { errorOfTransport } from '../../src/kube/errors.ts';
import { contextNames, placeOfCluster } from '../../src/kube/kubeconfig.ts';
import { pods } from '../../src/kube/resources.ts';
import { fastCtl } from './cli-shell.ts';

const refused = errorOfTransport({ verb: 'list', target: 'ipses' }, new Error('connect ECONNREFUSED 127.0.0.1:1'));
const cluster = () => Promise.reject(refused);

it('an API server that is not there is named, with the kubeconfig and the context that name it, and a cure', async () => {
  const place = { from: '/home/me/config', context: 'kind', server: 'https://127.0.0.1:1' };
  const shown = await fastCtl('ipam show', { cluster, clusterPlace: () => Promise.resolve(place) });
  expect(shown).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'fast-ctl: cannot list ipses: the API server cannot be reached (connect ECONNREFUSED 127.0.0.1:1); ' +
      'https://127.0.0.1:1 is named by the context kind of /home/me/config: ' +
      'start it, or name another by --kubeconfig, --context or KUBECONFIG\n',
  });
});

it('of a pod there is no context to name, and without a kubeconfig only the cure', async () => {
  const place = { from: "the pod's service account", server: 'https://10.96.0.1:443' };
  const inPod = await fastCtl('ipam show', { cluster, clusterPlace: () => Promise.resolve(place) });
  expect(inPod.stderr).toContain("; https://10.96.0.1:443 is named by the pod's service account: start it");
  expect((await fastCtl('ipam show', { cluster })).stderr).toContain('127.0.0.1:1); start it, or name another');
});

it('a list of one namespace is said without a stray slash, and its server is where the kubeconfig says', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fast-unreachable-'));
  const kubeconfig = join(folder, 'config');
  const server = 'http://127.0.0.1:1';
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server } }],
      contexts: [{ name: 'kind', context: { cluster: 'c', user: 'u' } }],
      users: [{ name: 'u', user: {} }],
      'current-context': 'kind',
    }),
  );
  const client = connect({ kubeconfig, fieldManager: 'test' });
  try {
    expect(contextNames({ kubeconfig })).toEqual(['kind']);
    expect(placeOfCluster({ kubeconfig })).toEqual({ from: kubeconfig, context: 'kind', server });
    await expect(client.list(pods, { namespace: 'fast-system' })).rejects.toThrow(/^cannot list pods in fast-system: /);
  } finally {
    await client.close();
    rmSync(folder, { recursive: true });
  }
});
