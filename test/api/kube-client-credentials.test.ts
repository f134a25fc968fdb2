// SPDX-License-Identifier: Apache-2.0
// Who the client is, over time: tokens and authorities that are replaced under a running program, and plugins that give
// credentials. A real API server says who it takes us for.
import { appendFileSync, chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Credentials } from '../../src/kube/auth.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { FakeClock } from '../../src/kube/clock.ts';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';
import { configMaps, namespaces } from '../../src/kube/resources.ts';
import { Transport } from '../../src/kube/transport.ts';
import { type ApiServer, startApiServer } from '../cluster/api-server.ts';
import { apiServerOrder, createAuthorities, sign } from '../cluster/certificates.ts';

const REREAD_MS = 61_000;

describe('credentials', () => {
  let server: ApiServer;
  let connections = 0;
  const count = (): void => {
    connections += 1;
  };
  beforeAll(async () => {
    server = await startApiServer();
    for (const name of ['alice', 'bob']) {
      expect(await server.kubectl(['create', 'serviceaccount', name])).toMatchObject({ code: 0 });
    }
    subscribe('undici:client:connected', count);
  }, 120_000);
  afterAll(async () => {
    unsubscribe('undici:client:connected', count);
    await server?.stop();
  });

  const tokenOf = async (account: string): Promise<string> =>
    (await server.kubectl(['create', 'token', account])).stdout;

  /** A kubeconfig for `user` in the API server's folder. */
  function configFor(name: string, user: object, authority = 'ca.crt'): string {
    const file = join(server.pki, `${name}.kubeconfig`);
    const cluster = { server: server.url, 'certificate-authority': authority };
    const context = { cluster: 'one', user: 'one' };
    const lists = { clusters: [{ name: 'one', cluster }], users: [{ name: 'one', user }] };
    writeFileSync(file, JSON.stringify({ ...lists, contexts: [{ name: 'one', context }], 'current-context': 'one' }));
    return file;
  }

  /** The clock is the credentials' alone: requests take real time. */
  function connectWith(kubeconfig: string, clock: FakeClock): KubeClient {
    const credentials = new Credentials(() => loadKubeConfig({ kubeconfig }), clock);
    return new KubeClient(new Transport({ credentials, userAgent: 'test' }), 'test');
  }

  async function who(client: KubeClient): Promise<string | undefined> {
    const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const answer = await client.raw('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', review);
    return (answer as { status: { userInfo: { username: string } } }).status.userInfo.username;
  }

  it.each([
    ['tokenFile as kubectl writes it, beside the kubeconfig', 'plain', { tokenFile: 'plain.token', token: 'unused' }],
    [
      'a projected token inside a pod',
      'pod',
      { 'auth-provider': { name: 'tokenFile', config: { tokenFile: 'pod.token' } } },
    ],
  ])('reads a rotated token again, over the connection that it has: %s', async (_what, name, user) => {
    const file = join(server.pki, `${name}.token`);
    writeFileSync(file, await tokenOf('alice'));
    const spelled = JSON.parse(JSON.stringify(user).replace('"pod.token"', JSON.stringify(file))) as object;
    const clock = new FakeClock();
    const client = connectWith(configFor(name, spelled), clock);
    expect(await who(client)).toBe('system:serviceaccount:default:alice');
    const before = connections;
    writeFileSync(file, `${await tokenOf('bob')}\n`);
    expect(await who(client)).toBe('system:serviceaccount:default:alice');
    await clock.advance(REREAD_MS);
    expect(await who(client)).toBe('system:serviceaccount:default:bob');
    expect(connections).toBe(before);
    // The file is away for a moment while it is replaced.
    rmSync(file);
    await clock.advance(REREAD_MS);
    expect(await who(client)).toBe('system:serviceaccount:default:bob');
    await client.close();
  });

  it('asks a plugin again only when its answer expired or was refused', async () => {
    const [runs, script, token] = ['runs', 'plugin.sh', 'plugin.token'].map((file) => join(server.pki, file));
    if (runs === undefined || script === undefined || token === undefined) throw new Error('unreachable');
    writeFileSync(
      script,
      `#!/bin/sh\necho run >> ${runs}\nprintf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "$(cat ${token})"\n`,
    );
    chmodSync(script, 0o755);
    writeFileSync(token, 'long expired');
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: script, interactiveMode: 'Never' };
    const clock = new FakeClock();
    const client = connectWith(configFor('plugin', { exec }), clock);
    const timesRun = (): number => readFileSync(runs, 'utf8').trim().split('\n').length;
    await expect(who(client)).rejects.toMatchObject({ reason: 'unauthorized', status: 401 });
    expect(timesRun()).toBe(1);
    writeFileSync(token, await tokenOf('alice'));
    await clock.advance(2000);
    expect(await who(client)).toBe('system:serviceaccount:default:alice');
    await clock.advance(10 * REREAD_MS);
    expect(await who(client)).toBe('system:serviceaccount:default:alice');
    expect(timesRun()).toBe(2);
    await client.close();
  });

  it('ends a call in its time though the plugin never answers, and says that it is the plugin', async () => {
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sleep', args: ['5'] };
    const clock = new FakeClock();
    const client = connectWith(configFor('hangs', { exec }), clock);
    const short = client.raw('GET', '/version', undefined, { timeoutMs: 200 });
    await expect(short).rejects.toMatchObject({ reason: 'timeout' });
    const long = client.raw('GET', '/version');
    const said = expect(long).rejects.toThrow(
      'credentials cannot be read (the plugin that gives the credentials has not',
    );
    await clock.advance(15_000);
    await said;
    await client.close();
  });

  it('follows the authority when the API server gets a certificate of another one', async () => {
    const trusted = join(server.pki, 'trusted.crt');
    copyFileSync(join(server.pki, 'ca.crt'), trusted);
    const clock = new FakeClock();
    const client = connectWith(configFor('rotates', { token: await tokenOf('alice') }, trusted), clock);
    expect(await who(client)).toBe('system:serviceaccount:default:alice');

    const next = join(server.pki, 'next');
    await createAuthorities(next);
    await sign(next, apiServerOrder(['127.0.0.1', '10.96.0.1']));
    // What is trusted first holds both, as a rotation is done.
    appendFileSync(join(server.pki, 'ca.crt'), readFileSync(join(next, 'ca.crt')));
    for (const file of ['apiserver.crt', 'apiserver.key']) copyFileSync(join(next, file), join(server.pki, file));
    await server.restart();
    await expect(who(client)).rejects.toMatchObject({ reason: 'unreachable' });

    copyFileSync(join(server.pki, 'ca.crt'), trusted);
    await clock.advance(REREAD_MS);
    expect(await who(client)).toBe('system:serviceaccount:default:alice');
    await client.close();
  }, 60_000);

  it('lets watches and calls on the former connections end by themselves when new ones are made', async () => {
    const trusted = join(server.pki, 'both.crt');
    copyFileSync(join(server.pki, 'ca.crt'), trusted);
    const clock = new FakeClock();
    const kubeconfig = configFor('both', { 'client-certificate': 'admin.crt', 'client-key': 'admin.key' }, trusted);
    const client = connectWith(kubeconfig, clock);
    const { resourceVersion } = await client.list(configMaps, { namespace: 'default' });
    const events = client.watch(configMaps, {
      namespace: 'default',
      resourceVersion,
      timeoutSeconds: 60,
      silenceMs: 60_000,
    });
    const first = events.next();
    await client.create(configMaps, { metadata: { name: 'one', namespace: 'default' } });
    expect((await first).value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'one' } } });
    const many = Array.from({ length: 100 }, (_, at) => ({ metadata: { name: `many-${at}`, namespace: 'other' } }));
    await client.create(namespaces, { metadata: { name: 'other' } });
    const underWay = Promise.all(many.map((object) => client.create(configMaps, object)));
    appendFileSync(trusted, readFileSync(join(server.pki, 'front-proxy-ca.crt')));
    await clock.advance(REREAD_MS);
    await client.list(configMaps, { namespace: 'default' });
    await underWay;
    const before = connections;
    await client.create(configMaps, { metadata: { name: 'two', namespace: 'default' } });
    expect(connections).toBe(before);
    expect((await events.next()).value).toMatchObject({ object: { metadata: { name: 'two' } } });
    await events.return(undefined);
    await client.close();
  });
});
