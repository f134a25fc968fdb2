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
    const port = await server.start();
    expect(await ask(port, '/healthz')).toEqual([200, '[+]ping ok\nok\n']);
    expect(await ask(port, '/readyz')).toEqual([
      503,
      '[-]informers failed: ipallocations not synced\n[-]maps failed: no map\ncheck failed\n',
    ]);
    synced = true;
    server.readyz('maps', () => undefined);
    expect(await ask(port, '/readyz?verbose')).toEqual([200, '[+]informers ok\n[+]maps ok\nok\n']);
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
