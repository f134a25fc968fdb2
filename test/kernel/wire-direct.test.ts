// SPDX-License-Identifier: Apache-2.0
// Every direction again between nodes of one network without a tunnel.
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { inside, outside, ping, send, TwoNodes } from './two-nodes.ts';

const mebibyte = 1 << 20;
let world: TwoNodes;

beforeAll(async () => {
  world = await TwoNodes.up('direct');
  await Promise.all(['n-a', 'n-b', 's-a', 'outside', 'south'].map((name) => world.serve(name)));
});

afterAll(async () => {
  await world?.down();
});

/** What moved on the north node, less what is no pod's. */
async function counted(work: () => unknown): Promise<Record<string, number>> {
  const { from_uplink_other: _, ...rest } = await world.counted('north', work);
  return rest;
}

describe('without a tunnel', () => {
  it('pods ping each other as one hop, none lost, by the fast path alone', async () => {
    const moved = await counted(() => {
      expect(ping('n-a', '10.244.10.1', 20)).toEqual({ sent: 20, received: 20, ttls: [64] });
    });
    expect(moved).toEqual({ from_pod_direct: 20, from_uplink_local: 20 });
  });

  it.each([
    ['a pod by TCP', 'n-a', 'tcp', '10.244.10.1:8080', '10.244.10.0', 10 * mebibyte],
    ['a pod by fragmented UDP', 'n-a', 'udp', '10.244.10.1:8080', '10.244.10.0', 8000],
    ['a Service on the same node', 'n-a', 'tcp', '10.96.0.10:80', '10.244.10.0', mebibyte],
    ['a Service on another node', 'n-a', 'tcp', '10.96.0.11:80', '10.244.10.0', mebibyte],
    ['a Service by fragmented UDP', 'n-a', 'udp', '10.96.0.11:80', '10.244.10.0', 8000],
    ['a remote Service from the host', 'north', 'tcp', '10.96.0.11:80', '10.244.224.1', 1000],
    ['a node port from outside', 'outside', 'tcp', '172.30.0.1:30011', '10.244.224.1', mebibyte],
    ['a remote pod from the host', 'north', 'tcp', '10.244.10.1:8080', '10.244.224.1', mebibyte],
    ['another node', 'n-a', 'tcp', '172.30.0.2:8080', '172.30.0.1', mebibyte],
    ['what is outside', 'n-a', 'tcp', `${outside.address}:8080`, '172.30.0.1', mebibyte],
  ] as const)('%s is reached', async (_, from, kind, to, seenAs, bytes) => {
    expect(await send(from, kind, to, bytes)).toEqual({ seenAs, intact: true });
  });

  it('a Service’s answer comes where tunnels end, and passes the stack', async () => {
    const moved = await counted(async () => {
      expect(await send('n-a', 'tcp', '10.96.0.11:80', 1000)).toMatchObject({ intact: true });
    });
    expect(moved['from_uplink_stack']).toBeGreaterThan(0);
    expect(moved['from_overlay_flow']).toBe(moved['from_uplink_stack']);
    expect(moved['from_uplink_local']).toBeUndefined();
  });

  it('a port that nobody listens at is told by ICMP', async () => {
    expect(await send('n-a', 'udp', '10.244.10.1:9', 10)).toEqual({ error: 'ECONNREFUSED' });
  });

  it('with the fast path off all passes the stack', async () => {
    world.setFastPath('north', false);
    onTestFinished(() => world.setFastPath('north', true));
    const moved = await counted(async () => {
      expect(await send('n-a', 'tcp', '10.244.10.1:8080', mebibyte)).toMatchObject({ intact: true });
    });
    expect(Object.keys(moved).toSorted()).toEqual([
      'from_overlay_fast_path_off',
      'from_pod_fast_path_off',
      'from_uplink_stack',
      'to_overlay_direct',
    ]);
  });

  it('a machine that sends with a pod’s address and is no node gets nothing to a pod', async () => {
    inside('outside', 'ip', 'addr', 'add', '10.244.10.99/32', 'dev', 'lo');
    inside('outside', 'ip', 'route', 'add', '10.244.10.0/32', 'via', '172.30.0.1');
    onTestFinished(() => {
      inside('outside', 'ip', 'addr', 'del', '10.244.10.99/32', 'dev', 'lo');
      inside('outside', 'ip', 'route', 'del', '10.244.10.0/32');
    });
    expect(ping('outside', '10.244.10.0', 3, '-I', '10.244.10.99').received).toBe(0);
  });
});
