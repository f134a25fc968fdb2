// SPDX-License-Identifier: Apache-2.0
// rtnetlink against the real kernel, in two namespaces: what is written is read back, and what is refused says why.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  NetlinkError,
  RouteSocket,
  addAddress,
  addRoute,
  createVeth,
  createVxlan,
  deleteAddress,
  deleteLink,
  deleteLinkAsync,
  deleteNeighbour,
  deleteRoute,
  findLink,
  listAddresses,
  listLinks,
  listNeighbours,
  listRoutes,
  lookUpRoute,
  replaceAddress,
  replaceNeighbour,
  replaceRoute,
  setLink,
} from '../src/index.ts';
import { makeNetns, run } from './workbench.ts';

const host = makeNetns('host');
const pod = makeNetns('pod');
const hostSocket = RouteSocket.open(host.netns);
const podSocket = RouteSocket.open(pod.netns);
const hostMac = '02:00:00:00:00:01';
const podMac = '02:00:00:00:00:02';

afterAll(() => {
  for (const socket of [hostSocket, podSocket]) socket.close();
  for (const one of [host, pod]) one.remove();
});

function indexOf(socket: RouteSocket, name: string): number {
  return findLink(socket, { name })?.index ?? 0;
}

/** A pair that is up, host0 here and eth0 there. */
function makePair(): { near: number; far: number } {
  const peer = { name: 'eth0', mac: podMac, mtu: 1400, netns: pod.netns };
  createVeth(hostSocket, { name: 'host0', mac: hostMac, mtu: 1400, alias: 'whose:1', peer });
  const ends = { near: indexOf(hostSocket, 'host0'), far: indexOf(podSocket, 'eth0') };
  setLink(hostSocket, ends.near, { up: true });
  setLink(podSocket, ends.far, { up: true });
  return ends;
}

beforeEach(() => {
  for (const link of listLinks(hostSocket)) if (link.name !== 'lo') deleteLink(hostSocket, link.index);
});

describe('a veth pair', () => {
  it('has its ends in two namespaces, as asked for', () => {
    const { near, far } = makePair();
    expect(findLink(hostSocket, { index: near })).toEqual({
      index: near,
      name: 'host0',
      kind: 'veth',
      mac: hostMac,
      mtu: 1400,
      up: true,
      operState: 'up',
      alias: 'whose:1',
      peerIndex: far,
      netnsId: 0,
      arp: true,
    });
    expect(findLink(podSocket, { name: 'eth0' })).toMatchObject({ mac: podMac, mtu: 1400, peerIndex: near, alias: '' });
    expect(findLink(hostSocket, { name: 'eth0' })).toBeUndefined();
  });

  it('carries pings once both ends have addresses and routes', () => {
    const { near, far } = makePair();
    addAddress(hostSocket, { index: near, address: '10.244.0.1', prefixLength: 32 });
    addAddress(podSocket, { index: far, address: '10.244.10.0', prefixLength: 32 });
    addRoute(hostSocket, { destination: '10.244.10.0', prefixLength: 32, index: near });
    addRoute(podSocket, { destination: '10.244.0.1', prefixLength: 32, index: far });
    addRoute(podSocket, { destination: '0.0.0.0', prefixLength: 0, index: far, gateway: '10.244.0.1' });
    const pings = run('ip', 'netns', 'exec', pod.name, 'busybox', 'ping', '-c', '2', '10.244.0.1');
    expect(pings).toContain('2 packets transmitted, 2 packets received');
  });

  it('has one queue of each kind at either end', () => {
    makePair();
    const queuesOf = (name: string, ...where: string[]): string =>
      run('ip', ...where, '-d', 'link', 'show', name)
        .match(/numtxqueues \d+|numrxqueues \d+/g)
        ?.join(', ') ?? '';
    expect(queuesOf('host0', '-n', host.name)).toBe('numtxqueues 1, numrxqueues 1');
    expect(queuesOf('eth0', '-n', pod.name)).toBe('numtxqueues 1, numrxqueues 1');
  });

  it('is refused by name when the name is taken, and leaves nothing behind', () => {
    makePair();
    const again = () => createVeth(hostSocket, { name: 'host0', peer: { name: 'eth1', netns: pod.netns } });
    expect(again).toThrow(/create veth host0 with peer eth1: EEXIST/);
    const inPod = () => createVeth(hostSocket, { name: 'host1', peer: { name: 'eth0', netns: pod.netns } });
    expect(inPod).toThrow(/EEXIST/);
    expect(listLinks(hostSocket).map((link) => link.name)).toEqual(['lo', 'host0']);
    expect(findLink(podSocket, { name: 'eth1' })).toBeUndefined();
  });

  it('is taken back when its alias is refused', () => {
    const peer = { name: 'eth1', netns: pod.netns };
    expect(() => createVeth(hostSocket, { name: 'host1', alias: 'x'.repeat(300), peer })).toThrow(NetlinkError);
    expect(findLink(hostSocket, { name: 'host1' })).toBeUndefined();
  });

  it('changes what it is told to and no more', () => {
    const { near } = makePair();
    setLink(hostSocket, near, { mtu: 1300, arp: false, alias: 'whose:2' });
    const changed = { mtu: 1300, arp: false, alias: 'whose:2', up: true, mac: hostMac };
    expect(findLink(hostSocket, { index: near })).toMatchObject(changed);
    setLink(hostSocket, near, { up: false });
    expect(findLink(hostSocket, { index: near })).toMatchObject({ ...changed, up: false });
  });

  it('is deleted behind the caller, several in order, with a free event loop', async () => {
    const names = ['a0', 'a1', 'a2'];
    for (const name of names) createVeth(hostSocket, { name, peer: { name: `p${name}`, netns: pod.netns } });
    const indexes = names.map((name) => indexOf(hostSocket, name));
    const asking = performance.now();
    const deletions = indexes.map((index) => deleteLinkAsync(hostSocket, index));
    expect(performance.now() - asking).toBeLessThan(50);
    await Promise.all(deletions);
    expect(listLinks(hostSocket).map((link) => link.name)).toEqual(['lo']);
    await expect(deleteLinkAsync(hostSocket, indexes[0] ?? 0)).rejects.toThrow(/delete device \d+: ENODEV/);
  });
});

describe('a vxlan', () => {
  it('takes its tunnel ends from each packet', () => {
    createVxlan(hostSocket, { name: 'vx0', port: 8472, mtu: 1450, mac: '02:00:00:00:00:03' });
    setLink(hostSocket, indexOf(hostSocket, 'vx0'), { up: true, arp: false });
    expect(findLink(hostSocket, { name: 'vx0' })).toMatchObject({
      kind: 'vxlan',
      mac: '02:00:00:00:00:03',
      mtu: 1450,
      up: true,
      arp: false,
      vxlan: { id: 0, port: 8472, collectMetadata: true },
    });
  });

  it('says who may hold its port', () => {
    run(
      'ip',
      '-n',
      host.name,
      'link',
      'add',
      'other',
      'type',
      'vxlan',
      'id',
      '5',
      'dstport',
      '8473',
      'gbp',
      'dev',
      'lo',
    );
    run('ip', '-n', host.name, 'link', 'set', 'other', 'up');
    createVxlan(hostSocket, { name: 'vx1', port: 8473 });
    const up = () => setLink(hostSocket, indexOf(hostSocket, 'vx1'), { up: true });
    expect(up).toThrow(/EADDRINUSE.*another tunnel or program has the UDP port/);
  });
});

describe('addresses, routes and neighbours', () => {
  it('of a device are read back as written', () => {
    const { near } = makePair();
    const address = { index: near, address: '10.244.0.1', prefixLength: 32 };
    addAddress(hostSocket, address);
    expect(() => addAddress(hostSocket, address)).toThrow(/add address 10.244.0.1\/32 of device \d+: EEXIST/);
    replaceAddress(hostSocket, address);
    expect(listAddresses(hostSocket, near)).toEqual([{ ...address, scope: 0 }]);
    expect(listAddresses(hostSocket).map((one) => one.address)).toEqual(['127.0.0.1', '10.244.0.1']);
    deleteAddress(hostSocket, address);
    expect(listAddresses(hostSocket, near)).toEqual([]);
    expect(() => deleteAddress(hostSocket, address)).toThrow(/EADDRNOTAVAIL/);
  });

  it('a route keeps each of its parts', () => {
    const { near } = makePair();
    addAddress(hostSocket, { index: near, address: '10.244.0.1', prefixLength: 32 });
    const direct = { destination: '10.244.10.0', prefixLength: 32, index: near, source: '10.244.0.1', protocol: 77 };
    const remote = {
      destination: '10.245.0.0',
      prefixLength: 16,
      index: near,
      gateway: '10.99.0.1',
      onlink: true,
      protocol: 77,
      metric: 50,
      mtu: 1300,
      table: 1000,
    };
    replaceRoute(hostSocket, direct);
    replaceRoute(hostSocket, remote);
    const read = { type: 'unicast', onlink: false, table: 254 };
    expect(listRoutes(hostSocket, { protocol: 77 })).toEqual([
      { ...read, ...remote, scope: 'global' },
      { ...read, ...direct, scope: 'link' },
    ]);
    expect(listRoutes(hostSocket, { table: 1000 }).length).toBe(1);
    expect(listRoutes(hostSocket, { index: near, protocol: 78 })).toEqual([]);
    deleteRoute(hostSocket, remote);
    expect(() => deleteRoute(hostSocket, remote)).toThrow(/delete route 10.245.0.0\/16 via 10.99.0.1 .*: ESRCH/);
  });

  it('a replaced route changes its device and stays one', () => {
    const { near } = makePair();
    createVeth(hostSocket, { name: 'host1', peer: { name: 'eth1', netns: pod.netns } });
    const other = indexOf(hostSocket, 'host1');
    setLink(hostSocket, other, { up: true });
    const route = { destination: '10.244.10.0', prefixLength: 32, protocol: 77 };
    replaceRoute(hostSocket, { ...route, index: near });
    replaceRoute(hostSocket, { ...route, index: other });
    expect(listRoutes(hostSocket, { protocol: 77 }).map((one) => one.index)).toEqual([other]);
    expect(() => addRoute(hostSocket, { ...route, index: other })).toThrow(/EEXIST/);
  });

  it('a refusal has the kernel own sentence', () => {
    const { near } = makePair();
    const wrong = () => addRoute(hostSocket, { destination: '1.2.3.4', prefixLength: 24, index: near });
    expect(wrong).toThrow('EINVAL: Invalid prefix for given prefix length');
    expect(wrong).toThrow(NetlinkError);
    expect(() => addRoute(hostSocket, { destination: '10.0.0.300', prefixLength: 32, index: near })).toThrow(/no IPv4/);
  });

  it('a neighbour is permanent, replaced and deleted', () => {
    const { near } = makePair();
    replaceNeighbour(hostSocket, { index: near, address: '10.244.10.0', mac: hostMac });
    replaceNeighbour(hostSocket, { index: near, address: '10.244.10.0', mac: podMac });
    const expected = [{ index: near, address: '10.244.10.0', mac: podMac, state: 'permanent' }];
    expect(listNeighbours(hostSocket, near)).toEqual(expected);
    deleteNeighbour(hostSocket, { index: near, address: '10.244.10.0' });
    expect(listNeighbours(hostSocket, near)).toEqual([]);
    expect(() => deleteNeighbour(hostSocket, { index: near, address: '10.244.10.0' })).toThrow(/ENOENT/);
  });

  it('of a big table come whole', () => {
    const { near } = makePair();
    for (let i = 0; i < 2000; i++) {
      replaceRoute(hostSocket, {
        destination: `10.7.${i >> 8}.${i & 255}`,
        prefixLength: 32,
        index: near,
        protocol: 77,
      });
    }
    expect(new Set(listRoutes(hostSocket, { protocol: 77 }).map((route) => route.destination)).size).toBe(2000);
  });
});

describe('a look-up of a route', () => {
  it('says which way a packet takes, of this host or through it', () => {
    const { near } = makePair();
    addAddress(hostSocket, { index: near, address: '10.244.0.1', prefixLength: 32 });
    addRoute(hostSocket, { index: near, destination: '10.244.10.0', prefixLength: 32, source: '10.244.0.1' });
    expect(lookUpRoute(hostSocket, { destination: '10.244.10.0' })).toMatchObject({
      destination: '10.244.10.0',
      index: near,
      type: 'unicast',
      source: '10.244.0.1',
      table: 254,
    });
    expect(lookUpRoute(hostSocket, { destination: '10.244.0.1' })).toMatchObject({ type: 'local' });
    run('ip', 'netns', 'exec', host.name, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    const through = { destination: '10.244.0.1', source: '10.244.10.0', inputIndex: near };
    expect(lookUpRoute(hostSocket, through).type).toBe('local');
  });

  it('says by what a packet would be refused', () => {
    const { near } = makePair();
    expect(() => lookUpRoute(hostSocket, { destination: '203.0.113.9' })).toThrow(
      /ENETUNREACH: .*\(no route leads there\)|ENETUNREACH \(no route leads there\)/,
    );
    addRoute(hostSocket, { index: 0, destination: '203.0.113.9', prefixLength: 32, type: 'prohibit', scope: 'global' });
    expect(() => lookUpRoute(hostSocket, { destination: '203.0.113.9' })).toThrow(
      /EACCES.*a route or rule prohibits it/,
    );
    addAddress(hostSocket, { index: near, address: '10.244.0.1', prefixLength: 32 });
    run('ip', 'netns', 'exec', host.name, 'sysctl', '-qw', 'net.ipv4.conf.host0.rp_filter=1');
    const foreign = { destination: '10.244.0.1', source: '198.51.100.7', inputIndex: near };
    expect(() => lookUpRoute(hostSocket, foreign)).toThrow(/(?:EXDEV|EINVAL) \(.*rp_filter of the incoming device/);
    deleteRoute(hostSocket, {
      index: 0,
      destination: '203.0.113.9',
      prefixLength: 32,
      type: 'prohibit',
      scope: 'global',
    });
  });
});

it('loses no answer for which it waits aside when the process is stopped and goes on', async () => {
  const script = fileURLToPath(new URL('waiting-request.ts', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  try {
    expect((await lines.next()).value).toBe('waits');
    // Its thread is in recv(2) by then.
    await setTimeout(200);
    child.kill('SIGSTOP');
    await setTimeout(50);
    child.kill('SIGCONT');
    await setTimeout(200);
    child.stdin.write('ask\n');
    expect((await lines.next()).value).toBe('answered');
  } finally {
    child.kill('SIGKILL');
  }
});
