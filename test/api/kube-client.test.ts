// SPDX-License-Identifier: Apache-2.0
// The client's verbs and the words of its errors, against a real API server.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { isReason, KubeError } from '../../src/kube/errors.ts';
import { EventRecorder } from '../../src/kube/events.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import { configMaps, events, leases, nodes } from '../../src/kube/resources.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { startApiServer } from '../cluster/api-server.ts';
import { FaultProxy, status, stream } from './kube-fault-proxy.ts';

async function errorOf(promise: Promise<unknown>): Promise<KubeError> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(KubeError);
  return error as KubeError;
}

describe('the client', () => {
  let server: ApiServer;
  let client: KubeClient;
  const metrics = new Metrics();
  beforeAll(async () => {
    server = await startApiServer();
    client = connect({ kubeconfig: server.kubeconfig, fieldManager: 'kube-test', metrics });
  }, 120_000);
  afterAll(async () => {
    await client?.close();
    await server?.stop();
  });
  const make = (name: string, data: Record<string, string> = {}) =>
    client.create(configMaps, { metadata: { name, namespace: 'default' }, data });

  it('creates, reads, patches, replaces and deletes', async () => {
    const made = await make('verbs', { a: '1' });
    expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    const merged = await client.patch(
      configMaps,
      'verbs',
      { data: { b: '2' } },
      { type: 'merge', namespace: 'default' },
    );
    expect(merged.data).toEqual({ a: '1', b: '2' });
    const applied = await client.patch(
      configMaps,
      'verbs',
      { data: { c: '3' } },
      { type: 'apply', namespace: 'default' },
    );
    expect(applied.data).toEqual({ a: '1', b: '2', c: '3' });
    const replaced = await client.replace(configMaps, { ...applied, data: { d: '4' } });
    expect(replaced.data).toEqual({ d: '4' });
    await client.delete(configMaps, 'verbs', { namespace: 'default' });
    expect(await client.find(configMaps, 'verbs', 'default')).toBeUndefined();
  });

  it('names itself as the manager of what it writes', async () => {
    const made = await make('managed', { a: '1' });
    const managers = (made.metadata as { managedFields?: { manager: string }[] }).managedFields ?? [];
    expect(managers.map(({ manager }) => manager)).toEqual(['kube-test']);
  });

  it("takes another manager's fields over by force alone", async () => {
    const other = connect({ kubeconfig: server.kubeconfig, fieldManager: 'other/program' });
    const apply = (from: KubeClient, a: string, force: boolean) =>
      from.patch(configMaps, 'shared', { data: { a } }, { type: 'apply', namespace: 'default', force });
    await apply(client, '1', false);
    expect(await errorOf(apply(other, '2', false))).toMatchObject({ reason: 'conflict', status: 409 });
    const taken = await apply(other, '2', true);
    expect(taken.data).toEqual({ a: '2' });
    expect(JSON.stringify(taken.metadata)).toContain('"manager":"other/program"');
    await other.close();
  });

  it('tells a name that is taken from a stale write: alreadyExists, conflict', async () => {
    const first = await make('taken');
    const taken = await errorOf(make('taken'));
    expect(taken).toMatchObject({ reason: 'alreadyExists', status: 409 });
    expect(taken.message).toBe('cannot create configmaps default/taken: configmaps "taken" already exists');
    await client.replace(configMaps, { ...first, data: { by: 'another' } });
    expect(await errorOf(client.replace(configMaps, { ...first, data: { by: 'me' } }))).toMatchObject({
      reason: 'conflict',
      status: 409,
    });
    const fenced = { metadata: { resourceVersion: first.metadata.resourceVersion }, data: { by: 'me' } };
    const patching = client.patch(configMaps, 'taken', fenced, { type: 'merge', namespace: 'default' });
    expect(await errorOf(patching)).toMatchObject({ reason: 'conflict' });
    const { resourceVersion } = first.metadata;
    const stale = client.delete(configMaps, 'taken', { namespace: 'default', resourceVersion: resourceVersion ?? '' });
    expect(await errorOf(stale)).toMatchObject({ reason: 'conflict' });
    expect((await client.get(configMaps, 'taken', 'default')).data).toEqual({ by: 'another' });
  });

  it('refuses a replacement without a resourceVersion before it is sent', async () => {
    const blind = client.replace(configMaps, { metadata: { name: 'blind', namespace: 'default' } });
    expect(await errorOf(blind)).toMatchObject({ reason: 'invalid', status: 0 });
    expect(await errorOf(client.delete(configMaps, '', { namespace: 'default' }))).toMatchObject({ reason: 'invalid' });
    expect(await errorOf(client.get(configMaps, 'homeless'))).toMatchObject({ reason: 'invalid', status: 0 });
  });

  it('says which field the server found invalid', async () => {
    const error = await errorOf(make('Not A Name'));
    expect(error).toMatchObject({ reason: 'invalid', status: 422 });
    expect(error.causes[0]?.field).toBe('metadata.name');
  });

  it('lists page by page what one page cannot hold', async () => {
    const namespace = 'kube-system';
    const metadata = (index: number) => ({ name: `page-${index}`, namespace, labels: { page: 'yes' } });
    await Promise.all(Array.from({ length: 25 }, (_, index) => client.create(leases, { metadata: metadata(index) })));
    const list = await client.list(leases, { namespace, labelSelector: 'page=yes', limit: 4 });
    expect(list.items).toHaveLength(25);
    expect(Number(list.resourceVersion)).toBeGreaterThan(0);
  });

  it('counts its requests under the name that client-go uses', async () => {
    const counted = await metrics.registry.getSingleMetricAsString('rest_client_requests_total');
    expect(counted).toMatch(/rest_client_requests_total\{code="201",method="POST",host="127.0.0.1:\d+"\} \d+/);
  });

  it('says unreachable of a port where nobody listens, and aborted when its caller gave up', async () => {
    const proxy = await FaultProxy.start(server);
    await proxy.stop();
    const lost = connect({ kubeconfig: proxy.kubeconfig, fieldManager: 'lost' });
    expect(await errorOf(lost.list(nodes))).toMatchObject({ reason: 'unreachable', status: 0 });
    const aborted = client.list(nodes, {}, { signal: AbortSignal.abort() });
    expect(await errorOf(aborted)).toMatchObject({ reason: 'aborted' });
    await lost.close();
  });

  describe('behind a server in trouble', () => {
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

    it('opens no new connection once it is warm, 64 requests at once', async () => {
      const burst = (prefix: string) =>
        Promise.all(
          Array.from({ length: 64 }, (_, index) =>
            troubled.create(configMaps, { metadata: { name: `${prefix}-${index}`, namespace: 'default' } }),
          ),
        );
      await burst('cold');
      const before = proxy.connections;
      await burst('warm');
      expect(before).toBeGreaterThan(0);
      expect(proxy.connections).toBe(before);
    });

    it('opens as many connections as it has calls at once, and none between two calls', async () => {
      const fresh = connect({ kubeconfig: proxy.kubeconfig, fieldManager: 'fresh' });
      const inARow = async (calls: number): Promise<void> => {
        for (let call = 0; call < calls; call += 1) await fresh.raw('GET', '/version');
      };
      let before = proxy.connections;
      await inARow(50);
      expect(proxy.connections - before).toBe(1);
      before = proxy.connections;
      await Promise.all(Array.from({ length: 8 }, () => inARow(50)));
      expect(proxy.connections - before).toBe(7);
      await fresh.close();
    });

    it('keeps the connection over deletes, whose preconditions travel in a body', async () => {
      const fresh = connect({ kubeconfig: proxy.kubeconfig, fieldManager: 'fresh' });
      const before = proxy.connections;
      for (let round = 0; round < 10; round += 1) {
        const metadata = { name: 'short-lived', namespace: 'default' };
        const made = await fresh.create(configMaps, { metadata });
        await fresh.delete(configMaps, 'short-lived', { namespace: 'default', uid: made.metadata.uid ?? '' });
      }
      expect(proxy.connections - before).toBe(1);
      await fresh.close();
    });

    it('watches again over the connection of the watch that the server has ended', async () => {
      const fresh = connect({ kubeconfig: proxy.kubeconfig, fieldManager: 'fresh' });
      const before = proxy.connections;
      const { resourceVersion } = await client.list(configMaps, { namespace: 'default' });
      for (let round = 0; round < 3; round += 1) {
        const events = fresh.watch(configMaps, { resourceVersion, timeoutSeconds: 1, silenceMs: 30_000 });
        while ((await events.next()).done !== true);
      }
      expect(proxy.connections - before).toBe(1);
      await fresh.close();
    });

    it('refuses what no server could catch up with, and lets the rest wait their turn', async () => {
      for (let held = 0; held < 64; held += 1) proxy.answerOnce(/version/, () => undefined);
      const call = (timeoutMs: number) => errorOf(troubled.raw('GET', '/version', undefined, { timeoutMs }));
      const waiting = Array.from({ length: 64 + 10_000 }, () => call(600));
      // Until the credentials are read, nothing is on its way.
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(await call(500)).toMatchObject({ reason: 'throttled', status: 0 });
      expect((await Promise.all(waiting)).every(({ reason }) => reason === 'timeout')).toBe(true);
      expect(await troubled.list(nodes)).toMatchObject({ items: [] });
    });

    it('waits as long as a 429 asks and then succeeds', async () => {
      proxy.answerOnce(/^GET .*nodes/, status(429, 'TooManyRequests', { 'retry-after': '1' }));
      const startMs = performance.now();
      await troubled.list(nodes);
      expect(performance.now() - startMs).toBeGreaterThanOrEqual(990);
    });

    it('gives a 500 to its caller, who alone knows whether to try again', async () => {
      proxy.answerOnce(/^GET .*nodes/, status(500, 'InternalError'));
      expect(await errorOf(troubled.list(nodes))).toMatchObject({ reason: 'serverError', status: 500 });
    });

    it('reads again when a kept connection turns out to be dead', async () => {
      await troubled.list(nodes);
      proxy.answerOnce(/^GET .*nodes/, (request) => request.socket.resetAndDestroy());
      expect((await troubled.list(nodes)).items).toEqual([]);
    });

    it('never sends a write twice by itself', async () => {
      proxy.seen.length = 0;
      proxy.answerOnce(/^POST .*configmaps/, (request) => request.socket.resetAndDestroy());
      const lost = troubled.create(configMaps, { metadata: { name: 'once', namespace: 'default' } });
      expect(await errorOf(lost)).toMatchObject({ reason: 'unreachable' });
      expect(proxy.seen.filter((line) => line.startsWith('POST'))).toHaveLength(1);
    });

    it('calls an ERROR event inside a watch by the word of its status', async () => {
      const error = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version: 1 (2)' };
      proxy.answerOnce(/watch=1/, stream(`${JSON.stringify({ type: 'ERROR', object: error })}\n`));
      const watch = troubled.watch(nodes, { resourceVersion: '1', timeoutSeconds: 60, silenceMs: 60_000 });
      expect(await errorOf(watch.next())).toMatchObject({ reason: 'gone', status: 410 });
    });

    it('ends a request that nobody answers when its time is up', async () => {
      proxy.answerOnce(/^GET .*nodes/, () => undefined);
      const error = await errorOf(troubled.list(nodes, {}, { timeoutMs: 300 }));
      expect(error).toMatchObject({ reason: 'timeout' });
      expect(error.message).toBe('cannot list nodes: no answer within 300 ms');
    });
  });

  it('counts a repeated event in one series', async () => {
    const recorder = new EventRecorder({ client, component: 'fast.io/test', instance: 'one' });
    const regarding = { kind: 'ConfigMap', namespace: 'default', name: 'subject', uid: 'a-uid' };
    for (let times = 0; times < 3; times += 1) {
      recorder.record({ regarding, type: 'Warning', reason: 'Exhausted', note: 'pool is full', action: 'Allocate' });
    }
    await recorder.stop();
    const { items } = await client.list(events, { namespace: 'default' });
    const ours = items.filter(({ regarding: about }) => about?.name === 'subject');
    expect(ours).toHaveLength(1);
    expect(ours[0]).toMatchObject({ reason: 'Exhausted', note: 'pool is full', series: { count: 3 } });
  });

  it('tells nobody from somebody: isReason is false for what is no KubeError', () => {
    expect(isReason(new Error('x'), 'notFound')).toBe(false);
  });
});
