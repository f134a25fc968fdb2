// SPDX-License-Identifier: Apache-2.0
// What a real API server makes of the manifests: of every folder that people apply, of the samples, of a slip of the pen,
// and of taking the kinds away while a pool is in use.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';
import { connect } from '../../src/kube/client.ts';
import { execInPod } from '../../src/kube/exec.ts';
import { type ApiServer, startApiServer } from '../cluster/api-server.ts';

let server: ApiServer;
const folder = mkdtempSync(join(tmpdir(), 'fast-install-'));
const config = (name: string): string => join(root, 'config', name);

beforeAll(async () => {
  server = await startApiServer();
  expect(await server.kubectl(['apply', '-k', config('default')])).toMatchObject({ code: 0, stderr: '' });
  await server.kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all']);
}, 120_000);
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

describe('the manifests', () => {
  it('are taken twice, and the second time change nothing', async () => {
    const again = await server.kubectl(['apply', '-k', config('default')]);
    expect(again.code).toBe(0);
    expect(again.stdout.split('\n').filter((line) => line !== '' && !line.endsWith(' unchanged'))).toEqual([]);
  });

  it.each(['overlays/knobs', 'overlays/direct', 'overlays/bare', 'policy', 'flow-control'])(
    'of config/%s are taken, without a warning',
    async (name) => {
      const shown = await server.kubectl(['apply', '--dry-run=server', '-k', config(name)]);
      expect(shown).toMatchObject({ code: 0, stderr: '' });
    },
  );

  it('of the overlay change the knobs, and keep the pool of the nodes', async () => {
    const { stdout } = await server.kubectl(['kustomize', config('overlays/knobs')]);
    expect(stdout).toContain('tunnel-port: "4789"');
    expect(stdout).toContain('ips: [10.244.224.0-10.244.255.255]');
  });
});

describe('config/watching', () => {
  const kinds = ['servicemonitors', 'prometheusrules'].map((plural) => `${plural}.monitoring.coreos.com`);
  const files = ['servicemonitors', 'prometheusrules'].flatMap((plural) => [
    '-f',
    join(root, 'test/api/prometheus-operator', `monitoring.coreos.com_${plural}.yaml`),
  ]);

  it('is taken as the Prometheus operator has its kinds, without a warning, and the second time changes nothing', async () => {
    expect(await server.kubectl(['apply', '--server-side', ...files])).toMatchObject({ code: 0 });
    await server.kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', ...kinds]);
    const taken = await server.kubectl(['apply', '--validate=strict', '-k', config('watching')]);
    expect(taken).toMatchObject({ code: 0, stderr: '' });
    const again = await server.kubectl(['apply', '-k', config('watching')]);
    expect(again.stdout.split('\n').filter((line) => line !== '' && !line.endsWith(' unchanged'))).toEqual([]);
  });
});

describe('the samples', () => {
  it('of what people apply is taken', async () => {
    const sample = join(root, 'config/samples');
    expect(await server.kubectl(['apply', '-k', sample])).toMatchObject({ code: 0, stderr: '' });
  });

  it('of what the controller writes fit their kinds; only the policy refuses them', async () => {
    const endpoint = await server.kubectl([
      'create',
      '--dry-run=server',
      '-f',
      join(root, 'config/samples/written-by-fast/nodeendpoint.yaml'),
    ]);
    expect(endpoint).toMatchObject({ code: 0, stderr: '' });
    const record = await server.kubectl([
      'create',
      '--dry-run=server',
      '-f',
      join(root, 'config/samples/written-by-fast/ipallocation.yaml'),
    ]);
    expect(record.stderr).toContain('is written by fast-controller-manager alone');
  });

  it('with a slip of the pen are refused by its name', async () => {
    const file = join(folder, 'slip.yaml');
    const text = readFileSync(join(root, 'config/samples/ips.yaml'), 'utf8');
    writeFileSync(file, text.replace('default-ips', 'slip').replace('subnet:', 'subnett:'));
    const { code, stderr } = await server.kubectl(['apply', '-f', file]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('unknown field "spec.subnett"');
  });
});

describe('exec', () => {
  const target = { namespace: 'default', pod: 'nobody', container: 'agent' };
  const streams = { stdout: () => undefined, stderr: () => undefined };
  const accessOf = (kubeconfig: string) => () => connect({ kubeconfig, fieldManager: 'test' }).access();

  it('that is refused says why, in the words of the API server', async () => {
    const exec = execInPod(accessOf(server.kubeconfig), target, ['true'], streams);
    await expect(exec).rejects.toThrow('cannot exec in pod default/nobody: pods "nobody" not found');
  });

  it('that one may not do says which right is missing', async () => {
    const token = (await server.kubectl(['create', 'token', 'fast-agent', '-n', 'fast-system'])).stdout.trim();
    const kubeconfig = join(folder, 'agent.kubeconfig');
    const of = JSON.parse(readFileSync(server.kubeconfig, 'utf8')) as { users: Array<{ name: string; user: object }> };
    const users = of.users.map(({ name }) => ({ name, user: { token } }));
    writeFileSync(kubeconfig, JSON.stringify({ ...of, users }));
    const exec = execInPod(accessOf(kubeconfig), target, ['true'], streams);
    await expect(exec).rejects.toThrow(/fast-agent" cannot (?:get|create) resource "pods\/exec"/);
  });
});

describe('taking the kinds away', () => {
  const kind = 'customresourcedefinition/ipses.sample.fast.io';
  const finalizers = (value: string) =>
    server.kubectl(['patch', 'ips', 'default-ips', '--type=merge', '-p', `{"metadata":{"finalizers":${value}}}`]);

  it('is refused while a pool is in use, with what is left and what to do', async () => {
    expect((await finalizers('["sample.fast.io/in-use"]')).code).toBe(0);
    const { code, stderr } = await server.kubectl(['delete', kind, '--timeout=20s']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('the pool default-ips is in use: pods that run keep their network and their records');
    expect(stderr).toContain('fast-ctl uninstall');
    // The namespace is still being deleted at that moment, and an install into it is refused.
    expect(stderr).toContain(
      'brings them back: kubectl wait --for=delete namespace/fast-system --timeout=5m && kubectl apply -k config/default)',
    );
    const other = await server.kubectl([
      'delete',
      'customresourcedefinition/nodeendpoints.sample.fast.io',
      '--timeout=20s',
    ]);
    expect(other.stderr).toContain('is in use');
  });

  it("is no way to lose the nodes' own pool: deleted by itself it would stay Terminating as long as there are nodes", async () => {
    expect((await finalizers('null')).code).toBe(0);
    const spec = { subnet: '10.244.0.1/32', ips: ['10.244.224.0/19'], usage: 'Node' };
    const metadata = { name: 'fast-nodes', finalizers: ['sample.fast.io/in-use'] };
    const pool = { apiVersion: 'sample.fast.io/v1alpha1', kind: 'Ips', metadata, spec };
    expect(await server.kubectl(['create', '-f', '-'], JSON.stringify(pool))).toMatchObject({ code: 0 });
    const refused = await server.kubectl(['delete', 'ips', 'fast-nodes', '--wait=false']);
    expect(refused.stderr).toContain('the pool fast-nodes is in use');
    const free = ['patch', 'ips', 'fast-nodes', '--type=merge', '-p', '{"metadata":{"finalizers":null}}'];
    expect(await server.kubectl(free)).toMatchObject({ code: 0 });
    await expect.poll(async () => (await server.kubectl(['delete', 'ips', 'fast-nodes'])).code).toBe(0);
  });

  it('goes at once when none is', async () => {
    expect((await finalizers('null')).code).toBe(0);
    expect(await server.kubectl(['delete', kind, '--timeout=60s'])).toMatchObject({ code: 0 });
  });
});

describe('an install while the namespace of the former one is still being deleted', () => {
  const cure = 'kubectl wait --for=delete namespace/fast-system --timeout=5m && kubectl apply -k config/default';
  const status = (): Promise<string> =>
    new Promise((resolve) => {
      const line = [join(root, 'src/cli/main.ts'), 'status'];
      const env = { ...process.env, KUBECONFIG: server.kubeconfig };
      execFile(process.execPath, line, { env }, (_error, stdout) => resolve(stdout));
    });

  it('is warned of or refused in the API server’s words, status and the page say what to do, and that makes all of it', async () => {
    const gone = ['delete', 'namespace', 'fast-system', '--wait=false'];
    expect(await server.kubectl(gone)).toMatchObject({ code: 0 });
    // What is in it still is taken, and goes with it later.
    const taken = await server.kubectl(['apply', '-k', config('default')]);
    expect(taken).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('fast-system which is currently being deleted'),
    });
    // As the namespace controller, of which there is none here, does with all that is in it.
    const contents = [
      'delete',
      '-n',
      'fast-system',
      'deployments,serviceaccounts,configmaps,roles,rolebindings',
      '--all',
    ];
    expect(await server.kubectl(contents)).toMatchObject({ code: 0 });
    const refused = await server.kubectl(['apply', '-k', config('default')]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('namespace fast-system because it is being terminated');
    expect(await status()).toContain(`install: ${cure}`);
    expect(readFileSync(join(root, 'docs/install.md'), 'utf8')).toContain(cure);
    // As the namespace controller does in the end.
    const ended = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'fast-system' }, spec: { finalizers: [] } };
    const finalize = ['replace', '--raw', '/api/v1/namespaces/fast-system/finalize', '-f', '-'];
    expect(await server.kubectl(finalize, JSON.stringify(ended))).toMatchObject({ code: 0 });
    expect(await server.kubectl(['apply', '-k', config('default')])).toMatchObject({ code: 0 });
  });
});
