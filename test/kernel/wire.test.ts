// SPDX-License-Identifier: Apache-2.0
// Real traffic between namespaces through the real programs: every direction that this slice promises, judged at the
// receiving side, since a redirect's failure is invisible to the program.
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { setOffloads } from './offloads.ts';
import { inside, outside, ping, send, TwoNodes } from './two-nodes.ts';

const mebibyte = 1 << 20;
const intact = (seenAs: string): object => ({ seenAs, intact: true });
let world: TwoNodes;

/** RFC 4293 ipSystemStatsReasmReqds: fragments that came for the node itself, the tunnel's among them. */
function fragmentsSeenBy(name: string): number {
  const [names = [], values = []] = inside(name, 'grep', '^Ip:', '/proc/net/snmp')
    .split('\n')
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('ReasmReqds')]);
}

beforeAll(async () => {
  world = await TwoNodes.up();
  await Promise.all(['n-a', 'n-b', 's-a', 'outside', 'south'].map((name) => world.serve(name)));
});

afterAll(async () => {
  await world?.down();
});

describe('pods', () => {
  it('ping each other on one node as one hop, none lost, by the fast path alone', async () => {
    const counted = await world.counted('north', () => {
      expect(ping('n-a', '10.244.10.2', 20)).toEqual({ sent: 20, received: 20, ttls: [64] });
    });
    expect(counted).toEqual({ from_pod_local: 40 });
  });

  it('ping each other across nodes as one hop, none lost, by the fast path alone', async () => {
    const counted = await world.counted('north', () => {
      expect(ping('n-a', '10.244.10.1', 20)).toEqual({ sent: 20, received: 20, ttls: [64] });
    });
    expect(counted).toEqual({ from_pod_tunnel: 20, to_overlay_keyed: 20, from_overlay_local: 20 });
  });

  it.each(['10.244.10.2', '10.244.10.1'])(
    "exchange 10 MiB by TCP with %s and see each other's addresses",
    async (to) => {
      expect(await send('n-a', 'tcp', `${to}:8080`, 10 * mebibyte)).toEqual(intact('10.244.10.0'));
    },
  );

  it.each(['10.244.10.2', '10.244.10.1'])('exchange a UDP datagram of 8,000 bytes with %s by fragments', async (to) => {
    const counted = await world.counted('north', async () => {
      expect(await send('n-a', 'udp', `${to}:8080`, 8000)).toEqual(intact('10.244.10.0'));
    });
    expect(counted['from_pod_unusual']).toBeGreaterThanOrEqual(6);
  });

  it("hear that nobody listens at a remote pod's port", async () => {
    expect(await send('n-a', 'udp', '10.244.10.1:9', 10)).toEqual({ error: 'ECONNREFUSED' });
  });

  it('speak through the stack with the fast path switched off', async () => {
    world.setFastPath('north', false);
    onTestFinished(() => world.setFastPath('north', true));
    const counted = await world.counted('north', async () => {
      expect(await send('n-a', 'tcp', '10.244.10.2:8080', mebibyte)).toEqual(intact('10.244.10.0'));
      expect(await send('n-a', 'tcp', '10.244.10.1:8080', mebibyte)).toEqual(intact('10.244.10.0'));
    });
    expect(Object.keys(counted).filter((name) => /local|tunnel/.test(name))).toEqual([]);
  });
});

describe('Services', () => {
  it('reach a backend on the same node, both ways by the stack', async () => {
    const counted = await world.counted('north', async () => {
      expect(await send('n-a', 'tcp', '10.96.0.10:80', mebibyte)).toEqual(intact('10.244.10.0'));
    });
    expect(counted['from_pod_flow']).toBeGreaterThan(0);
    expect(counted['from_pod_local']).toBeUndefined();
  });

  it.each(['tcp', 'udp'] as const)('reach a backend on another node by %s, the answer by the stack', async (kind) => {
    const counted = await world.counted('north', async () => {
      expect(await send('n-a', kind, '10.96.0.11:80', 1000)).toEqual(intact('10.244.10.0'));
    });
    expect(counted['from_overlay_flow']).toBeGreaterThan(0);
    expect(counted['from_overlay_local']).toBeUndefined();
  });

  it('reach a backend on another node by fragmented UDP', async () => {
    expect(await send('n-a', 'udp', '10.96.0.11:80', 8000)).toEqual(intact('10.244.10.0'));
  });

  it('are reached from a host and, by a node port, from outside', async () => {
    expect(await send('north', 'tcp', '10.96.0.10:80', 1000)).toEqual(intact('172.30.0.1'));
    expect(await send('north', 'tcp', '10.96.0.11:80', 1000)).toEqual(intact('10.244.224.1'));
    expect(await send('outside', 'tcp', '172.30.0.1:30011', mebibyte)).toEqual(intact('10.244.224.1'));
  });
});

describe('hosts', () => {
  it('reach local and remote pods', async () => {
    expect(ping('north', '10.244.10.0', 3).received).toBe(3);
    expect(ping('north', '10.244.10.1', 3).received).toBe(3);
    expect(await send('north', 'tcp', '10.244.10.0:8080', mebibyte)).toEqual(intact('172.30.0.1'));
    expect(await send('north', 'tcp', '10.244.10.1:8080', mebibyte)).toEqual(intact('10.244.224.1'));
  });

  it("are reached by pods: the own one, another one, and what is outside behind the node's address", async () => {
    expect(ping('n-a', '172.30.0.1', 3).received).toBe(3);
    expect(ping('n-a', '10.244.224.2', 3).received).toBe(3);
    expect(await send('n-a', 'tcp', '172.30.0.2:8080', mebibyte)).toEqual(intact('172.30.0.1'));
    expect(await send('n-a', 'tcp', `${outside.address}:8080`, mebibyte)).toEqual(intact('172.30.0.1'));
  });
});

describe('guards', () => {
  it('drop what a pod sends with another source, on one node and across, and count it', async () => {
    inside('n-a', 'ip', 'addr', 'add', '10.244.10.77/32', 'dev', 'lo');
    const counted = await world.counted('north', () => {
      expect(ping('n-a', '10.244.10.2', 2, '-I', '10.244.10.77').received).toBe(0);
      expect(ping('n-a', '10.244.10.1', 2, '-I', '10.244.10.77').received).toBe(0);
    });
    inside('n-a', 'ip', 'addr', 'del', '10.244.10.77/32', 'dev', 'lo');
    expect(counted).toEqual({ drop_from_pod_spoofed: 4 });
  });

  it('drop what a pod sends by IPv6, and count it', async () => {
    const dropped = (): number => world.counter('north', 'drop_from_pod_ipv6');
    const before = dropped();
    inside('n-a', 'sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=0');
    await expect.poll(dropped, { timeout: 5000 }).toBeGreaterThan(before);
    inside('n-a', 'sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=1');
  });

  it('drop at the other node what its sender does not hold', async () => {
    world.claim('south', '10.244.10.0', '172.30.0.66');
    onTestFinished(() => world.claim('south', '10.244.10.0', '172.30.0.1'));
    const counted = await world.counted('south', () => {
      expect(ping('n-a', '10.244.10.1', 3).received).toBe(0);
    });
    world.claim('south', '10.244.10.0', '172.30.0.1');
    expect(counted).toEqual({ drop_from_overlay_source: 3 });
    expect(ping('n-a', '10.244.10.1', 3).received).toBe(3);
  });

  it('drop what is for an address in the pool that nobody holds', async () => {
    const counted = await world.counted('north', () => {
      expect(ping('n-a', '10.244.77.77', 2).received).toBe(0);
    });
    expect(counted).toEqual({ from_pod_routed: 2, drop_to_overlay_no_node: 2 });
  });
});

describe('the offloads', () => {
  const devices = [
    ['n-a', 'eth0'],
    ['s-a', 'eth0'],
    ['north', 'n-a'],
    ['south', 's-a'],
    ['north', 'uplink'],
    ['south', 'uplink'],
  ] as const;

  it.each(['on', 'off'])('%s carry 50 MiB by TCP, directly and by a Service', async (state) => {
    for (const [namespace, device] of devices) setOffloads(namespace, device, state === 'on');
    onTestFinished(() => {
      for (const [namespace, device] of devices) setOffloads(namespace, device, true);
    });
    const before = fragmentsSeenBy('south');
    for (const to of ['10.244.10.2:8080', '10.244.10.1:8080', '10.96.0.11:80']) {
      expect(await send('n-a', 'tcp', to, 50 * mebibyte)).toEqual(intact('10.244.10.0'));
    }
    expect(fragmentsSeenBy('south')).toBe(before);
  });
});

describe('packets bigger than the tunnel takes', () => {
  it('are answered by frag-needed, and no outer packet is ever fragmented', async () => {
    inside('n-b', 'ip', 'link', 'set', 'eth0', 'mtu', '1500');
    inside('north', 'ip', 'link', 'set', 'n-b', 'mtu', '1500');
    const before = fragmentsSeenBy('south');
    const counted = await world.counted('north', async () => {
      ping('n-b', '10.244.10.1', 1, '-s', '1460');
      expect(inside('n-b', 'ip', 'route', 'get', '10.244.10.1')).toContain('mtu 1450');
      expect(await send('n-b', 'tcp', '10.244.10.1:8080', 5 * mebibyte)).toEqual(intact('10.244.10.2'));
    });
    expect(counted['from_pod_too_big']).toBeGreaterThan(0);
    expect(fragmentsSeenBy('south')).toBe(before);
  });
});
