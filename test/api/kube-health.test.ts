// SPDX-License-Identifier: Apache-2.0
// What the kubelet and Prometheus get to see, over a real socket.
import { afterEach, describe, expect, it } from 'vitest';
import { HealthServer } from '../../src/kube/health.ts';
import { Metrics } from '../../src/kube/metrics.ts';

describe('the health server', () => {
  let server: HealthServer;
  afterEach(() => server.stop());
  const ask = async (port: number, path: string): Promise<[number, string]> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return [answer.status, await answer.text()];
  };

  it('names what is not ready, and keeps alive apart from ready', async () => {
    server = new HealthServer({ port: 0, host: '127.0.0.1' });
    let synced = false;
    server.healthz('ping', () => undefined);
    server.readyz('informers', () => (synced ? undefined : 'ipallocations not synced'));
    server.readyz('maps', async () => {
      throw new Error('no map');
    });
    server.readyz('socket', () => undefined);
    const port = await server.start();
    expect(await ask(port, '/healthz')).toEqual([200, 'ok']);
    expect(await ask(port, '/livez')).toEqual([200, 'ok']);
    expect(await ask(port, '/readyz')).toEqual([
      500,
      '[-]informers failed: ipallocations not synced\n[-]maps failed: no map\n[+]socket ok\nreadyz check failed\n',
    ]);
    synced = true;
    server.readyz('maps', () => undefined);
    expect(await ask(port, '/readyz')).toEqual([200, 'ok']);
  });

  it("lists every check for ?verbose, asks for one by name, and leaves one out, in the API server's words", async () => {
    server = new HealthServer({ port: 0, host: '127.0.0.1' });
    server.readyz('informers', () => undefined);
    server.readyz('maps', () => 'no map');
    const port = await server.start();
    expect(await ask(port, '/readyz/informers')).toEqual([200, 'ok']);
    expect(await ask(port, '/readyz/maps')).toEqual([500, 'internal server error: no map\n']);
    expect(await ask(port, '/readyz?exclude=maps')).toEqual([200, 'ok']);
    expect(await ask(port, '/readyz?verbose&exclude=maps&exclude=mops')).toEqual([
      200,
      '[+]informers ok\n[+]maps excluded: ok\nwarn: there is no check "mops" to exclude\nreadyz check passed\n',
    ]);
    expect(await ask(port, '/readyz/mops')).toEqual([404, 'there are /readyz/informers, /readyz/maps\n']);
    expect((await ask(port, '/'))[0]).toBe(404);
  });

  it('takes a check that hangs for one that failed', { timeout: 10_000 }, async () => {
    server = new HealthServer({ port: 0, host: '127.0.0.1' });
    server.healthz('stuck', () => new Promise(() => undefined));
    const port = await server.start();
    expect(await ask(port, '/healthz/stuck')).toEqual([500, 'internal server error: no answer within 2000 ms\n']);
  });

  it('shows the metrics', async () => {
    const metrics = new Metrics();
    metrics.collectProcess();
    metrics.leader.set({ name: 'controller' }, 1);
    server = new HealthServer({ port: 0, host: '127.0.0.1', metrics });
    const [code, text] = await ask(await server.start(), '/metrics');
    expect(code).toBe(200);
    expect(text).toContain('leader_election_master_status{name="controller"} 1');
    expect(text).toContain('process_resident_memory_bytes');
  });

  it('says which port is taken', async () => {
    server = new HealthServer({ port: 0, host: '127.0.0.1' });
    const port = await server.start();
    const second = new HealthServer({ port, host: '127.0.0.1' });
    await expect(second.start()).rejects.toThrow(`cannot serve health on 127.0.0.1:${port}`);
  });
});
