// SPDX-License-Identifier: Apache-2.0
// Every word that the client has for a failure, out of a real API server that fails in that way; and what the client does by
// itself before it says the word.
import { writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { type KubeErrorReason, isReason, KubeError } from '../../src/kube/errors.ts';
import { configMaps, leases, namespaces, nodes } from '../../src/kube/resources.ts';
import { type ApiServer, startApiServer } from '../cluster/api-server.ts';
import { FaultProxy, status } from './kube-fault-proxy.ts';

const flowControl = '/apis/flowcontrol.apiserver.k8s.io/v1';

async function errorOf(promise: Promise<unknown>): Promise<KubeError> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(KubeError);
  return error as KubeError;
}

describe('errors of a real API server', () => {
  let server: ApiServer;
  let client: KubeClient;
  let nobody: KubeClient;
  let stranger: KubeClient;
  beforeAll(async () => {
    server = await startApiServer();
    client = connect({ kubeconfig: server.kubeconfig, fieldManager: 'errors' });
    expect(await server.kubectl(['create', 'serviceaccount', 'nobody'])).toMatchObject({ code: 0 });
    nobody = withToken('nobody', (await server.kubectl(['create', 'token', 'nobody'])).stdout);
    stranger = withToken('stranger', 'no-such-token');
  }, 120_000);
  afterAll(async () => {
    await Promise.all([client?.close(), nobody?.close(), stranger?.close()]);
    await server?.stop();
  });

  function withToken(name: string, token: string, more: object = {}): KubeClient {
    const kubeconfig = join(server.pki, `${name}.kubeconfig`);
    const cluster = { server: server.url, 'certificate-authority': 'ca.crt', ...more };
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: [{ name: 'one', cluster }],
        users: [{ name: 'one', user: { token } }],
        contexts: [{ name: 'one', context: { cluster: 'one', user: 'one' } }],
        'current-context': 'one',
      }),
    );
    return connect({ kubeconfig, fieldManager: name });
  }

  const metadata = (name: string) => ({ name, namespace: 'default' });

  const cases: [KubeErrorReason, number, () => Promise<unknown>][] = [
    ['notFound', 404, () => client.get(configMaps, 'absent', 'default')],
    ['alreadyExists', 409, () => client.create(namespaces, { metadata: { name: 'default' } })],
    ['forbidden', 403, () => nobody.list(nodes)],
    ['unauthorized', 401, () => stranger.list(nodes)],
    ['invalid', 422, () => client.create(configMaps, { metadata: metadata('Not A Name') })],
    ['badRequest', 400, () => client.list(nodes, { fieldSelector: 'spec.noSuchField=x' })],
    // A revision out of the future: the server waits three seconds for it, and then asks for a second more.
    ['timeout', 504, () => client.list(nodes, { resourceVersion: '999999999' }, { timeoutMs: 4000 })],
    ['serverError', 503, () => client.raw('GET', '/apis/absent.example.com/v1')],
  ];

  it.each(cases)('calls it %s where the server says %i', async (reason, code, call) => {
    if (code === 503) {
      const spec = { group: 'absent.example.com', version: 'v1', groupPriorityMinimum: 1, versionPriority: 1 };
      const service = { name: 'absent', namespace: 'default' };
      await client.raw('POST', '/apis/apiregistration.k8s.io/v1/apiservices', {
        metadata: { name: 'v1.absent.example.com' },
        spec: { ...spec, service, insecureSkipTLSVerify: true },
      });
    }
    const error = await errorOf(call());
    expect({ reason: error.reason, status: error.status, message: error.message }).toEqual({
      reason,
      status: code,
      message: expect.stringMatching(/^cannot \S+ /),
    });
  });

  it('says conflict for a stale write and throttled for a caller who may do nothing more', async () => {
    const first = await client.create(leases, { metadata: metadata('stale') });
    await client.replace(leases, { ...first, spec: { holderIdentity: 'another' } });
    expect(await errorOf(client.replace(leases, first))).toMatchObject({ reason: 'conflict', status: 409 });

    await client.raw('POST', `${flowControl}/prioritylevelconfigurations`, {
      metadata: { name: 'none' },
      spec: {
        type: 'Limited',
        limited: { nominalConcurrencyShares: 0, borrowingLimitPercent: 0, limitResponse: { type: 'Reject' } },
      },
    });
    const subject = { kind: 'ServiceAccount', serviceAccount: { name: 'nobody', namespace: 'default' } };
    await client.raw('POST', `${flowControl}/flowschemas`, {
      metadata: { name: 'none' },
      spec: {
        priorityLevelConfiguration: { name: 'none' },
        matchingPrecedence: 2,
        rules: [
          {
            subjects: [subject],
            resourceRules: [
              { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] },
            ],
          },
        ],
      },
    });
    // The level begins to count a moment after it was made, and lets one request in at a time.
    let throttled: KubeError | undefined;
    for (let tries = 0; tries < 100 && throttled === undefined; tries += 1) {
      const all = Array.from({ length: 64 }, () => errorOf(nobody.list(nodes, {}, { timeoutMs: 900 })));
      throttled = (await Promise.all(all)).find(({ reason }) => reason !== 'forbidden');
    }
    expect(throttled).toMatchObject({ reason: 'throttled', status: 429, retryAfterMs: 1000 });
  }, 20_000);

  it('says gone for a revision that a restarted server has no history of', async () => {
    await server.restart();
    const watch = client.watch(nodes, { resourceVersion: '1', timeoutSeconds: 60, silenceMs: 60_000 });
    expect(await errorOf(watch.next())).toMatchObject({ reason: 'gone', status: 410 });
  }, 60_000);

  it('says unreachable where the server shows a certificate that nobody vouches for', async () => {
    const wary = withToken('wary', 'unused', { 'certificate-authority': 'front-proxy-ca.crt' });
    expect(await errorOf(wary.list(nodes))).toMatchObject({ reason: 'unreachable', status: 0 });
    await wary.close();
  });

  it('reaches the server through the proxy of its kubeconfig, over one tunnel', async () => {
    let tunnels = 0;
    const proxy: Server = createServer();
    proxy.on('connect', (request, socket) => {
      tunnels += 1;
      const { hostname, port } = new URL(`http://${request.url}`);
      const far = connectTcp(Number(port), hostname, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      far.pipe(socket).pipe(far);
      for (const end of [far, socket]) end.on('error', () => far.destroy());
      socket.on('close', () => far.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    const token = (await server.kubectl(['create', 'token', 'default'])).stdout;
    const distant = withToken('distant', token, { 'proxy-url': `http://127.0.0.1:${port}` });
    for (let times = 0; times < 3; times += 1) {
      expect(await distant.raw('GET', '/version')).toMatchObject({ major: '1' });
      // One turn of the event loop, after which a connection takes the next request.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(tunnels).toBe(1);
    await distant.close();
    await new Promise((resolve) => proxy.close(resolve));
  });

  describe('before it says the word', () => {
    let proxy: FaultProxy;
    let troubled: KubeClient;
    beforeAll(async () => {
      proxy = await FaultProxy.start(server);
      troubled = connect({ kubeconfig: proxy.kubeconfig, fieldManager: 'troubled' });
    });
    afterAll(async () => {
      await troubled.close();
      await proxy.stop();
    });
    const busy = (afterSeconds: string) => status(503, 'ServiceUnavailable', { 'retry-after': afterSeconds });

    it('sends no write again for one who may not write any more when the wait is over', async () => {
      proxy.answerOnce(/^POST .*configmaps/, busy('1'));
      let isLeading = true;
      const mayProceed = (): boolean => isLeading;
      const ended = errorOf(troubled.create(configMaps, { metadata: metadata('late') }, { mayProceed }));
      await new Promise((resolve) => setTimeout(resolve, 500));
      isLeading = false;
      expect(await ended).toMatchObject({ reason: 'aborted' });
      expect(await client.find(configMaps, 'late', metadata('late').namespace)).toBeUndefined();
      // The connection is none the worse for it.
      await troubled.create(configMaps, { metadata: metadata('next') }, { mayProceed: () => true });
    });

    it('waits as long as a 503 asks, for a write too: the server has not begun it', async () => {
      proxy.answerOnce(/^POST .*configmaps/, busy('1'));
      const startMs = performance.now();
      await troubled.create(configMaps, { metadata: metadata('patient') });
      expect(performance.now() - startMs).toBeGreaterThanOrEqual(990);
    });

    it('does not begin a wait that its time is too short for', async () => {
      proxy.answerOnce(/^GET .*nodes/, busy('60'));
      const startMs = performance.now();
      const error = await errorOf(troubled.list(nodes, {}, { timeoutMs: 5000 }));
      expect(error).toMatchObject({ reason: 'serverError', status: 503, retryAfterMs: 60_000 });
      expect(performance.now() - startMs).toBeLessThan(3000);
    });

    it('counts its waits into its time: three of a second each do not fit into two', async () => {
      for (let times = 0; times < 3; times += 1) proxy.answerOnce(/^GET .*nodes/, busy('1'));
      const startMs = performance.now();
      expect(await errorOf(troubled.list(nodes, {}, { timeoutMs: 2000 }))).toMatchObject({ status: 503 });
      expect(performance.now() - startMs).toBeLessThan(2000);
      proxy.forgetAnswers();
    });

    it('gives up at once when its caller does: while it waits, and while the server is silent', async () => {
      for (const answer of [busy('20'), () => undefined]) {
        proxy.answerOnce(/^GET .*nodes/, answer);
        const stop = new AbortController();
        const startMs = performance.now();
        const listing = errorOf(troubled.list(nodes, {}, { signal: stop.signal }));
        setTimeout(() => stop.abort(), 200);
        expect(await listing).toMatchObject({ reason: 'aborted', status: 0 });
        expect(performance.now() - startMs).toBeLessThan(3000);
      }
    });

    it('does not connect for a watch that was given up before it began', async () => {
      const fresh = connect({ kubeconfig: proxy.kubeconfig, fieldManager: 'fresh' });
      const before = proxy.connections;
      const options = { resourceVersion: '1', timeoutSeconds: 60, silenceMs: 60_000, signal: AbortSignal.abort() };
      expect(await errorOf(fresh.watch(nodes, options).next())).toMatchObject({ reason: 'aborted' });
      expect(await errorOf(fresh.list(nodes, {}, { signal: AbortSignal.abort() }))).toMatchObject({
        reason: 'aborted',
      });
      expect(proxy.connections).toBe(before);
      await fresh.close();
    });

    it('does not ask again after an answer that makes no sense: only a lost connection is worth another try', async () => {
      proxy.seen.length = 0;
      proxy.answerOnce(/^GET .*nodes/, (_request, response) => response.end('no JSON'));
      const error = await errorOf(troubled.list(nodes));
      expect(error.message).toBe('cannot list nodes: the answer is no JSON: no JSON');
      expect(proxy.seen).toHaveLength(1);
    });

    it('costs no connection when calls give up that still wait for one', async () => {
      const atOnce = (count: number, timeoutMs: number) =>
        Promise.all(
          Array.from({ length: count }, () =>
            troubled.raw('GET', '/version', undefined, { timeoutMs }).catch((error: unknown) => error),
          ),
        );
      await atOnce(64, 10_000);
      const before = proxy.connections;
      for (let held = 0; held < 64; held += 1) {
        proxy.answerOnce(/version/, (_request, response) => setTimeout(() => response.end('{}'), 400));
      }
      const holding = atOnce(64, 10_000);
      const gaveUp = await atOnce(200, 100);
      expect(gaveUp.every((error) => isReason(error, 'timeout'))).toBe(true);
      await holding;
      expect((await atOnce(64, 10_000)).filter((answer) => answer instanceof Error)).toEqual([]);
      expect(proxy.connections).toBe(before);
    });
  });
});
