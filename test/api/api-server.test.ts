// SPDX-License-Identifier: Apache-2.0
// The API server that the other tests of this tier stand on.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiServer } from '../cluster/api-server.ts';
import { startApiServer } from '../cluster/api-server.ts';

/** Processes that name `text` in their arguments. */
function processesNaming(text: string): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

describe('an API server of its own', () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await startApiServer();
  }, 120_000);
  afterAll(() => server.stop());

  it('keeps what was written across a restart, at the same address', async () => {
    const made = await server.kubectl(['create', 'configmap', 'kept', '--from-literal=word=still here']);
    expect(made).toMatchObject({ code: 0 });
    await server.restart();
    const read = await server.kubectl(['get', 'configmap', 'kept', '-o', 'jsonpath={.data.word}']);
    expect(read).toMatchObject({ code: 0, stdout: 'still here' });
  }, 60_000);

  it("gives a pod's token the name of the pod's node", async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'bound' },
      spec: { nodeName: 'worker', serviceAccountName: 'agent', containers: [{ name: 'one', image: 'one' }] },
    };
    for (const body of [{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker' } }, pod]) {
      expect(await server.kubectl(['create', '-f', '-'], JSON.stringify(body))).toMatchObject({ code: 0 });
    }
    expect(await server.kubectl(['create', 'serviceaccount', 'agent'])).toMatchObject({ code: 0 });
    const bind = ['--bound-object-kind=Pod', '--bound-object-name=bound'];
    const token = (await server.kubectl(['create', 'token', 'agent', ...bind])).stdout;
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object;
    expect(claims).toMatchObject({ 'kubernetes.io': { node: { name: 'worker' }, pod: { name: 'bound' } } });
  }, 60_000);

  it('leaves no process and no file once stopped', async () => {
    const own = await startApiServer();
    const folder = dirname(own.kubeconfig);
    expect(processesNaming(folder)).toHaveLength(2);
    await own.stop();
    expect(processesNaming(folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  }, 60_000);
});
