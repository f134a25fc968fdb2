// SPDX-License-Identifier: Apache-2.0
// The informer against a real API server, and a proxy that plays what goes wrong between the two. Each case ends with the
// same question: is the mirror equal to the server, and was each deletion told exactly once?
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { Informer, type InformerEvent } from '../../src/kube/informer.ts';
import { type ConfigMap, configMaps, namespaces } from '../../src/kube/resources.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { startApiServer } from '../cluster/api-server.ts';
import { FaultProxy, status, stream } from './kube-fault-proxy.ts';

const WATCH = /^GET .*configmaps.*[?&]watch=1/;
/** The real server streams its lists. */
const LIST = /^GET .*configmaps.*sendInitialEvents/;
const PAGE = /^GET .*configmaps\?(?!.*watch=1)/;

async function until(what: string, check: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > endMs) {
      throw new Error(`did not happen within ${timeoutMs} ms: ${what}`);
    }
    await sleep(20);
  }
}

describe('the informer', () => {
  let server: ApiServer;
  /** Straight to the server: the world's side of each story. */
  let world: KubeClient;
  let proxy: FaultProxy;
  let client: KubeClient;
  let informer: Informer<ConfigMap>;
  let told: string[];
  let namespace = '';
  let round = 0;

  beforeAll(async () => {
    server = await startApiServer();
    world = connect({ kubeconfig: server.kubeconfig, fieldManager: 'world' });
    proxy = await FaultProxy.start(server);
    client = connect({ kubeconfig: proxy.kubeconfig, fieldManager: 'informer' });
  }, 120_000);
  afterAll(async () => {
    await client?.close();
    await proxy?.stop();
    await world?.close();
    await server?.stop();
  });

  const create = (name: string, data: Record<string, string> = {}) =>
    world.create(configMaps, { metadata: { name, namespace }, data });
  const remove = (name: string) => world.delete(configMaps, name, { namespace });
  const change = (name: string, data: Record<string, string>) =>
    world.patch(configMaps, name, { data }, { type: 'merge', namespace });
  const names = () =>
    informer
      .list()
      .map(({ metadata }) => metadata.name ?? '')
      .sort((one, other) => one.localeCompare(other));
  const lists = () => proxy.seen.filter((line) => LIST.test(line)).length;
  const watches = () => proxy.seen.filter((line) => WATCH.test(line)).length;

  beforeEach(async () => {
    round += 1;
    namespace = `round-${round}`;
    proxy.open();
    proxy.forgetAnswers();
    proxy.seen.length = 0;
    told = [];
    await world.create(namespaces, { metadata: { name: namespace } });
    await Promise.all(['a', 'b', 'c'].map((name) => create(name)));
    informer = new Informer({
      client,
      resource: configMaps,
      namespace,
      silenceMs: 120_000,
      backoff: { baseMs: 50, maxMs: 400 },
      indexes: { colour: ({ data }) => (data?.['colour'] === undefined ? [] : [data['colour']]) },
    });
    informer.on((event: InformerEvent<ConfigMap>) => told.push(`${event.type} ${event.object.metadata.name}`));
    informer.start();
    await informer.synced();
    await until('the watch is open', () => watches() === 1 && informer.staleMs < 1000);
  });
  afterEach(() => informer.stop());

  it('tells what is there, then each difference, and keeps its indexes', async () => {
    expect(told.sort()).toEqual(['added a', 'added b', 'added c']);
    told.length = 0;
    await create('d', { colour: 'red' });
    await change('a', { colour: 'red' });
    await change('a', { colour: 'blue' });
    await remove('b');
    await until('the deletion is told', () => told.includes('deleted b'));
    expect(told).toEqual(['added d', 'updated a', 'updated a', 'deleted b']);
    expect(informer.byIndex('colour', 'red').map(({ metadata }) => metadata.name)).toEqual(['d']);
    expect(informer.byIndex('colour', 'blue').map(({ metadata }) => metadata.name)).toEqual(['a']);
    expect(() => informer.byIndex('color', 'red')).toThrow('no index "color"; there are: colour');
    expect(informer.get('a', namespace)?.data).toEqual({ colour: 'blue' });
  });

  it.each([
    ['streamed', []],
    ['in pages', [status(422, 'Invalid')]],
  ])('shows what its selectors choose, and tells the end of what leaves them (%s)', async (_how, refusals) => {
    const label = (name: string, colour: string) =>
      world.patch(configMaps, name, { metadata: { labels: { colour } } }, { type: 'merge', namespace });
    await Promise.all([label('a', 'red'), label('b', 'red'), label('c', 'blue')]);
    for (const refusal of refusals) proxy.answerOnce(LIST, refusal);
    const choice = { labelSelector: 'colour=red', fieldSelector: 'metadata.name!=b' };
    const chosen = new Informer({ client, resource: configMaps, namespace, ...choice });
    const heard: string[] = [];
    chosen.on(({ type, object }) => heard.push(`${type} ${object.metadata.name}`));
    chosen.start();
    await chosen.synced();
    expect(heard).toEqual(['added a']);
    await label('c', 'red');
    await until('what enters is told', () => heard.includes('added c'));
    await label('a', 'blue');
    await until('what leaves is told', () => heard.includes('deleted a'));
    expect(heard).toEqual(['added a', 'added c', 'deleted a']);
    await chosen.stop();
  });

  it('tells a deletion that happened while it was cut off exactly once', async () => {
    proxy.cut();
    await remove('a');
    await create('d');
    await remove('d');
    await create('e');
    await sleep(500);
    proxy.open();
    await until('the new object is seen', () => informer.get('e', namespace) !== undefined);
    await until('the deletion is told', () => told.includes('deleted a'));
    expect(names()).toEqual(['b', 'c', 'e']);
    expect(told.filter((line) => line === 'deleted a')).toHaveLength(1);
  });

  it('lists again after 410 as an HTTP status and finds the deletions', async () => {
    proxy.cut();
    await remove('a');
    proxy.answerOnce(WATCH, status(410, 'Expired'));
    proxy.open();
    await until('the deletion is told', () => told.includes('deleted a'));
    expect(lists()).toBe(2);
    await create('d');
    await until('the watch goes on', () => told.includes('added d'));
    expect(told.filter((line) => line === 'deleted a')).toHaveLength(1);
  });

  it('lists again after 410 as an ERROR event inside a stream that answered 200', async () => {
    proxy.cut();
    await remove('a');
    const error = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version: 1 (2)' };
    proxy.answerOnce(WATCH, stream(`${JSON.stringify({ type: 'ERROR', object: error })}\n`));
    proxy.open();
    await until('the deletion is told', () => told.includes('deleted a'));
    expect(lists()).toBe(2);
    expect(told.filter((line) => line === 'deleted a')).toHaveLength(1);
  });

  it('begins the list anew when a page of it has expired', async () => {
    proxy.answerOnce(LIST, status(422, 'Invalid'));
    proxy.answerOnce(PAGE, status(410, 'Expired'));
    await remove('a');
    await informer.relist();
    expect(names()).toEqual(['b', 'c']);
    const pages = proxy.seen.filter((line) => PAGE.test(line));
    expect(pages.map((line) => line.includes('limit'))).toEqual([true, false]);
  });

  it.each([
    ['500', status(500, 'InternalError')],
    ['503 from a proxy', status(503, 'ServiceUnavailable')],
    ['429 with Retry-After', status(429, 'TooManyRequests', { 'retry-after': '1' })],
    ['half an event', stream('{"type":"ADDED","object":{"metada')],
    ['an event that is no JSON', stream('<html>bad gateway</html>\n')],
    ['an unknown event', stream('{"type":"SURPRISE","object":{"metadata":{}}}\n')],
    ['an end without a word', stream()],
  ])('goes on after %s in place of a watch', async (_name, answer) => {
    for (let times = 0; times < 3; times += 1) {
      proxy.answerOnce(WATCH, answer);
    }
    proxy.dropConnections();
    await remove('a');
    await create('d');
    await until('the deletion is told', () => told.includes('deleted a'));
    await until('the new object is told', () => told.includes('added d'));
    await until('all three faults have been met', () => proxy.planned === 0);
    await create('e');
    await until('the mirror goes on', () => told.includes('added e'));
    expect(names()).toEqual(['b', 'c', 'd', 'e']);
    expect(told.filter((line) => line === 'deleted a')).toHaveLength(1);
  });

  it('takes a silent server for dead and looks again', async () => {
    const impatient = new Informer({ client, resource: configMaps, namespace, silenceMs: 500 });
    impatient.start();
    await impatient.synced();
    await until('its watch is open', () => watches() === 2);
    proxy.silence();
    await remove('a');
    await sleep(600);
    proxy.open();
    await until('the deletion is found', () => impatient.get('a', namespace) === undefined);
    await impatient.stop();
  });

  it('does not spin against a server that refuses everything', async () => {
    for (let times = 0; times < 1000; times += 1) {
      proxy.answerOnce(/configmaps/, status(500, 'InternalError'));
    }
    proxy.dropConnections();
    await sleep(2000);
    const tries = watches() - 1;
    expect(tries).toBeGreaterThan(3);
    expect(tries).toBeLessThan(20);
    proxy.forgetAnswers();
    await create('d');
    await until('it recovers', () => told.includes('added d'));
  });

  it('shows a relist what no watch has told yet', async () => {
    proxy.silence();
    await remove('a');
    await sleep(200);
    proxy.open();
    expect(told).not.toContain('deleted a');
    await informer.relist();
    expect(names()).toEqual(['b', 'c']);
    expect(told.filter((line) => line === 'deleted a')).toHaveLength(1);
  });

  it('tells the end of the first object when another has taken its name meanwhile', async () => {
    proxy.cut();
    await remove('a');
    await create('a', { second: 'yes' });
    // Without the watch's history only the list shows it.
    proxy.answerOnce(WATCH, status(410, 'Expired'));
    told.length = 0;
    proxy.open();
    await until('the second is told', () => told.includes('added a'));
    expect(told).toEqual(['deleted a', 'added a']);
  });

  it('tells nothing after stop, and ends its watch', async () => {
    await informer.stop();
    told.length = 0;
    await create('d');
    await sleep(200);
    expect(told).toEqual([]);
    await expect(informer.relist()).rejects.toThrow('the informer has stopped');
  });

  it('finds the deletions when a restarted server has really forgotten the revision', async () => {
    proxy.cut();
    await remove('a');
    await create('d');
    await server.restart();
    await create('e');
    proxy.watched.length = 0;
    proxy.open();
    await until('the deletion is told', () => told.includes('deleted a'));
    await until('the newest object is told', () => told.includes('added e'));
    expect(proxy.watched.some((answer) => answer.includes('too old resource version'))).toBe(true);
    expect(names()).toEqual(['b', 'c', 'd', 'e']);
    expect(told.filter((line) => line === 'deleted a')).toHaveLength(1);
  }, 120_000);

  it('is equal to the server again after the server was killed and came back', async () => {
    await remove('a');
    const restarting = server.restart();
    await restarting;
    await remove('b');
    await create('d');
    await until('the deletion is told', () => told.includes('deleted b'));
    await until('the new object is told', () => told.includes('added d'));
    expect(names()).toEqual(['c', 'd']);
    expect(told.filter((line) => line.startsWith('deleted')).sort()).toEqual(['deleted a', 'deleted b']);
    expect(informer.resourceVersion).not.toBe('');
  }, 120_000);
});
