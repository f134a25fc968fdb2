// SPDX-License-Identifier: Apache-2.0
// What the agent finds and makes right: after a restart, and whatever others did to the node.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { BpfMap, RouteSocket } from 'ebpf-native';
import { describe, expect, it, vi } from 'vitest';
import { decodeLocalDev, encodeLocalDev } from '../../src/datapath/codecs.ts';
import type { LocalDev } from '../../src/datapath/entries.ts';
import { layoutVersion, maps } from '../../src/datapath/generated/layout.ts';
import { endpointOf, inside, insideArguments, one, ping, run, two } from './agent-node.ts';
import { leaveNothing, node, useNode } from './bench.ts';
import { record } from './memory-records.ts';

useNode();
leaveNothing();

describe('a restart', () => {
  it('adopts the wires from the kernel and loses no ping', async () => {
    await node.addPod('p1', '10.244.10.0');
    await node.addPod('p2', '10.244.10.1');
    const before = node.wiring.book.list();
    const pinging = spawn(
      'ip',
      insideArguments('p1', 'busybox', 'ping', '-q', '-c', '200', '-i', '0.01', '10.244.10.1'),
    );
    let text = '';
    pinging.stdout.on('data', (part: Buffer) => {
      text += part.toString();
    });
    const ended = once(pinging, 'close');
    await node.stop();
    await node.start();
    await node.compare();
    await ended;
    expect(text).toContain('200 packets transmitted, 200 packets received, 0% packet loss');
    expect(node.wiring.book.list().toSorted((a, b) => a.ifindex - b.ifindex)).toEqual(before);
    await node.del('p1', 'p1');
    expect((await node.add('p1', 'p1')).address).toBe('10.244.10.0');
  });

  it('clears away a wire that was left half made', async () => {
    inside('one', 'ip', 'link', 'add', 'fast0123456789', 'type', 'veth', 'peer', 'name', 'half');
    await node.stop();
    await node.start();
    expect(node.veths()).toEqual([]);
  });
});

describe('the comparison', () => {
  it('for an event of another node asks no device, route or rule, as there may be an event each moment', async () => {
    await node.compare();
    const entries = (): number => node.wiring.report({ isTrue: true, reason: 'x', message: 'x' }).maps[1]?.entries ?? 0;
    const before = entries();
    const asked = ['change', 'get', 'dump'] as const;
    const spies = asked.map((method) => vi.spyOn(RouteSocket.prototype, method));
    node.endpoints.push(endpointOf(two, ['10.244.10.9']));
    await node.wiring.comparison.runNow(false);
    const calls = spies.flatMap((spy) => spy.mock.calls);
    for (const spy of spies) spy.mockRestore();
    node.endpoints.pop();
    expect(calls).toEqual([]);
    expect(entries()).toBeGreaterThan(before);
    await node.compare();
  });

  it('mends what others took away or changed', async () => {
    const { hostInterface } = await node.addPod('p1', '10.244.10.0');
    const before = [inside('one', 'ip', 'route'), inside('one', 'nft', '-s', 'list', 'table', 'ip', 'fast')];
    inside('one', 'ip', 'route', 'del', '10.244.10.0');
    inside('one', 'ip', 'neigh', 'flush', 'dev', hostInterface, 'nud', 'permanent');
    inside('one', 'tc', 'qdisc', 'del', 'dev', hostInterface, 'clsact');
    inside('one', 'nft', 'flush', 'table', 'ip', 'fast');
    inside('one', 'ip', 'link', 'del', 'fast_vxlan');
    await node.compare();
    expect([inside('one', 'ip', 'route'), inside('one', 'nft', '-s', 'list', 'table', 'ip', 'fast')]).toEqual(before);
    expect(ping('one', '10.244.10.0').received).toBe(5);
    expect(inside('one', 'tc', 'filter', 'show', 'dev', hostInterface, 'ingress')).toContain('fast_from_pod');
  });

  it('mends a route with another source and a neighbour that the kernel may forget, which both work for a while', async () => {
    const { hostInterface } = await node.addPod('p1', '10.244.10.0');
    const seen = (): string[] => [
      inside('one', 'ip', 'route', 'show', '10.244.10.0'),
      inside('one', 'ip', 'neigh', 'show', '10.244.10.0', 'nud', 'permanent'),
    ];
    const before = seen();
    inside('one', 'ip', 'route', 'change', '10.244.10.0', 'dev', hostInterface, 'proto', '250', 'src', '10.244.224.0');
    await node.compare();
    expect(seen()).toEqual(before);
    const neighbour = ['10.244.10.0', 'dev', hostInterface, 'lladdr', '0a:fa:0a:f4:0a:00'];
    inside('one', 'ip', 'neigh', 'replace', ...neighbour, 'nud', 'reachable');
    await node.compare();
    expect(seen()).toEqual(before);
  });

  it('makes the device as it should be', () => {
    const [link] = JSON.parse(inside('one', 'ip', '-j', '-d', 'link', 'show', 'fast_vxlan')) as Array<{
      mtu: number;
      address: string;
      flags: string[];
    }>;
    expect(link).toMatchObject({ mtu: 1450, address: '0e:fa:0a:f4:e0:00' });
    expect(link?.flags).toEqual(expect.arrayContaining(['UP', 'NOARP']));
    expect(inside('one', 'ip', '-br', 'addr', 'show', 'fast_vxlan')).toContain('10.244.224.0/32');
    expect(inside('one', 'ip', 'route', 'show', 'dev', 'fast_vxlan')).toBe(
      '10.244.10.0/26 via 169.254.1.1 proto 250 src 10.244.224.0 onlink \n' +
        '10.244.224.0 via 169.254.1.1 proto 250 src 10.244.224.0 onlink \n',
    );
  });

  it('routes a new pool into the tunnel and takes the route away with the pool', async () => {
    const pool = { metadata: { name: 'more' }, spec: { subnet: '10.244.0.1/32', ips: ['10.250.0.0/24'] } };
    const masqueraded = (): string => inside('one', 'nft', '-s', 'list', 'set', 'ip', 'fast', 'overlay');
    node.pools.push(pool);
    await node.compare();
    expect(inside('one', 'ip', 'route', 'show', '10.250.0.0/24')).toContain('via 169.254.1.1 dev fast_vxlan');
    expect(masqueraded()).toContain('10.250.0.0/24');
    node.pools.pop();
    await node.compare();
    expect(inside('one', 'ip', 'route', 'show', '10.250.0.0/24')).toBe('');
    expect(masqueraded()).not.toContain('10.250.0.0/24');
  });

  it('leaves the fast path off where a person switched it off, after a restart too', async () => {
    const { localDev } = maps;
    const pin = join(node.pinFolder, `v${layoutVersion}`, localDev.name);
    const map = BpfMap.openPinned(pin);
    const key = new Uint8Array(localDev.keySize);
    const read = (): LocalDev => decodeLocalDev([key, map.lookup(key) ?? new Uint8Array()]);
    const before = read();
    expect(before.fastPath).toBe(true);
    map.update(...encodeLocalDev({ ...before, fastPath: false, overlayMtu: 1 }));
    await node.compare();
    await node.stop();
    await node.start();
    expect(read()).toEqual({ ...before, fastPath: false });
    map.update(...encodeLocalDev(before));
    await node.compare();
    expect(read()).toEqual(before);
    map.close();
  });

  it('cuts the wire of a pod whose address was given to another, and reports one that nobody explains', async () => {
    await node.addPod('p1', '10.244.10.0');
    node.records.remove('10.244.10.0');
    // The controller takes the address out of the node's own endpoint a moment later: no other holds it.
    node.endpoints.push(endpointOf(one, ['10.244.10.0']));
    await node.compare();
    node.endpoints.pop();
    const fastPath = { isTrue: true, reason: 'x', message: 'x' };
    expect(node.wiring.report(fastPath).orphans).toMatchObject([{ address: '10.244.10.0', identity: 'p1' }]);
    node.records.put(record('10.244.10.0', 'somebody-else'));
    await node.compare();
    await node.wiring.remover.settled();
    expect(node.veths()).toEqual([]);
  });

  it('never takes away other nodes, their routes or rules because a list came back empty', async () => {
    node.endpoints.push(endpointOf(two, ['10.244.10.9']));
    await node.compare();
    const entries = (): number => node.wiring.report({ isTrue: true, reason: 'x', message: 'x' }).maps[1]?.entries ?? 0;
    expect(entries()).toBe(2);
    const before = [inside('one', 'ip', 'route'), inside('one', 'nft', '-s', 'list', 'table', 'ip', 'fast')];
    const all = node.endpoints.splice(0);
    const pools = node.pools.splice(0);
    await node.wiring.comparison.runNow(true);
    expect(entries()).toBe(2);
    expect([inside('one', 'ip', 'route'), inside('one', 'nft', '-s', 'list', 'table', 'ip', 'fast')]).toEqual(before);
    node.pools.push(...pools);
    node.endpoints.push(...all.slice(0, 1));
    await node.compare();
    expect(entries()).toBe(0);
  });
});

it('leaves every thread in its own namespace', () => {
  const inodes = run('sh', '-c', `for t in /proc/${process.pid}/task/*/ns/net; do readlink $t; done | sort -u | wc -l`);
  expect(inodes.trim()).toBe('1');
});
