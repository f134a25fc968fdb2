// SPDX-License-Identifier: Apache-2.0
// CHECK by the agent's own parts: every part of a wire is broken on purpose, and the answer names it.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BpfMap } from 'ebpf-native';
import { mapPins } from '../../src/datapath/pins.ts';
import { encodeAddressKey } from '../../src/datapath/codecs.ts';
import type { AgentResponse, Attachment, PreviousResult } from '../../src/protocol/messages.ts';
import { inside, netnsPath, one } from './agent-node.ts';
import { node, useNode } from './bench.ts';

useNode();
let wired: Attachment;

beforeEach(async () => {
  wired = await node.addPod('p1', '10.244.10.0');
});

afterEach(() => node.clear());

/** The result of ADD as the runtime hands it back. */
function told(change: Partial<PreviousResult> = {}): PreviousResult {
  return {
    interfaces: [
      { name: wired.hostInterface, mac: wired.hostMac },
      { name: 'eth0', mac: wired.podMac, sandbox: netnsPath('p1') },
    ],
    ips: [{ address: '10.244.10.0/32', gateway: '10.244.0.1', interface: 1 }],
    routes: [{ dst: '10.244.0.1/32' }, { dst: '0.0.0.0/0', gw: '10.244.0.1' }],
    ...change,
  };
}

function check(prevResult = told(), more: object = {}): Promise<AgentResponse> {
  return node.wiring.attachments.check(node.request('CHECK', 'p1', 'p1', { prevResult, ...more }));
}

const host = (...argv: string[]): string => inside('one', ...argv);
const pod = (...argv: string[]): string => inside('p1', ...argv);
const map = (): BpfMap => BpfMap.openPinned(mapPins(node.pinFolder)['local_pod_ips'] ?? '');

describe('a CHECK', () => {
  it('right after ADD finds nothing, by either name of /run', async () => {
    expect(await check()).toEqual({ ok: true });
    const prevResult = told({
      interfaces: [{ name: 'eth0', sandbox: `/var${netnsPath('p1')}` }],
      ips: [{ address: '10.244.10.0/32', interface: 0 }],
    });
    expect(await check(prevResult, { netns: `/var${netnsPath('p1')}` })).toEqual({ ok: true });
  });

  it.each<[what: string, breaks: () => unknown, says: () => string]>([
    [
      'a host veth that is gone',
      () => host('ip', 'link', 'del', wired.hostInterface),
      () => `${wired.hostInterface} is missing on the node`,
    ],
    [
      'a host veth that is down',
      () => host('ip', 'link', 'set', wired.hostInterface, 'down'),
      () => `${wired.hostInterface} is down`,
    ],
    [
      'a host veth with another MAC',
      () => host('ip', 'link', 'set', wired.hostInterface, 'address', '02:00:00:00:00:09'),
      () => `${wired.hostInterface} has the MAC 02:00:00:00:00:09, not 02:fa:57:00:00:01`,
    ],
    [
      'a program that is gone',
      () => host('tc', 'qdisc', 'del', 'dev', wired.hostInterface, 'clsact'),
      () => `the program from_pod is missing on ${wired.hostInterface}`,
    ],
    [
      "the node's route that is gone",
      () => host('ip', 'route', 'del', '10.244.10.0'),
      () => `the route 10.244.10.0/32 to ${wired.hostInterface} is missing on the node`,
    ],
    [
      "the node's route with another source",
      () =>
        host(
          'ip',
          'route',
          'replace',
          '10.244.10.0',
          'dev',
          wired.hostInterface,
          'scope',
          'link',
          'proto',
          '250',
          'src',
          one.overlayAddress,
        ),
      () => 'has the source 10.244.224.0, not 172.30.0.1',
    ],
    [
      "the node's neighbour that is gone",
      () => host('ip', 'neigh', 'del', '10.244.10.0', 'dev', wired.hostInterface),
      () => `the neighbour 10.244.10.0 on ${wired.hostInterface} is missing`,
    ],
    [
      "the node's neighbour with another MAC",
      () =>
        host(
          'ip',
          'neigh',
          'replace',
          '10.244.10.0',
          'dev',
          wired.hostInterface,
          'lladdr',
          '02:00:00:00:00:09',
          'nud',
          'permanent',
        ),
      () => 'is 02:00:00:00:00:09 (permanent), not 0a:fa:0a:f4:0a:00',
    ],
    [
      'an entry of the map that is gone',
      () => map().delete(encodeAddressKey('10.244.10.0')),
      () => 'the entry of 10.244.10.0 in the map local_pod_ips is missing',
    ],
    [
      'an interface in the pod that is gone',
      () => pod('ip', 'link', 'set', 'eth0', 'name', 'eth9'),
      () => `the interface eth0 is missing in ${netnsPath('p1')}`,
    ],
    [
      'an interface in the pod that is down',
      () => pod('ip', 'link', 'set', 'eth0', 'down'),
      () => 'the interface eth0 is down',
    ],
    [
      'an interface in the pod with another MAC',
      () => pod('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:09'),
      () => 'the interface eth0 has the MAC 02:00:00:00:00:09, not 0a:fa:0a:f4:0a:00',
    ],
    [
      'an interface in the pod with too large an MTU',
      () => pod('ip', 'link', 'set', 'eth0', 'mtu', '9000'),
      () => 'the interface eth0 has the MTU 9000, above 1450',
    ],
    [
      'an address of the pod that is gone',
      () => pod('ip', 'addr', 'flush', 'dev', 'eth0'),
      () => 'the address 10.244.10.0 is missing on eth0',
    ],
    [
      'an address of the pod with another prefix',
      () => pod('sh', '-c', 'ip addr flush dev eth0; ip addr add 10.244.10.0/8 dev eth0'),
      () => 'the address 10.244.10.0 on eth0 has the prefix length 8, not 32',
    ],
    [
      'a default route of the pod that is gone',
      () => pod('ip', 'route', 'del', 'default'),
      () => 'the route 0.0.0.0/0 by 10.244.0.1 is missing on eth0',
    ],
    [
      'a route to the gateway that is gone',
      () => pod('ip', 'route', 'del', '10.244.0.1'),
      () => 'the route 10.244.0.1/32 is missing on eth0',
    ],
    [
      'a neighbour of the pod that is gone',
      () => pod('ip', 'neigh', 'flush', 'dev', 'eth0', 'nud', 'permanent'),
      () => 'the neighbour 10.244.0.1 on eth0 is missing',
    ],
    [
      'a neighbour of the pod that is a guess',
      () => pod('ip', 'neigh', 'replace', '10.244.0.1', 'dev', 'eth0', 'lladdr', '02:fa:57:00:00:01', 'nud', 'stale'),
      () => 'the neighbour 10.244.0.1 on eth0 is 02:fa:57:00:00:01 (stale)',
    ],
  ])('names %s', async (_what, breaks, says) => {
    breaks();
    expect(await check()).toMatchObject({ ok: false, code: 103, msg: expect.stringContaining(says()) });
  });

  it('names an entry of the map that is for another interface, and all else that is wrong at once', async () => {
    const key = encodeAddressKey('10.244.10.0');
    const value = Buffer.from(map().lookup(key) ?? '');
    value.writeUInt32LE(4711, 0);
    map().update(key, value);
    pod('ip', 'route', 'del', 'default');
    const response = await check();
    expect(response).toMatchObject({ msg: expect.stringContaining('names interface 4711, not') });
    expect(response).toMatchObject({ msg: expect.stringContaining('; the route 0.0.0.0/0') });
  });

  it.each<[what: string, change: Partial<PreviousResult>, says: string]>([
    [
      'another address',
      { ips: [{ address: '10.9.9.9/32', interface: 1 }] },
      'has not the address 10.244.10.0 for eth0 but 10.9.9.9/32',
    ],
    ['no interface', { interfaces: [] }, 'lists no interface eth0 in'],
    [
      'the interface of another sandbox',
      { interfaces: [{ name: 'eth0', sandbox: '/run/netns/x' }] },
      'lists no interface eth0 in',
    ],
  ])('compares with the result that the runtime kept: %s', async (_what, change, says) => {
    expect(await check(told(change))).toMatchObject({ code: 103, msg: expect.stringContaining(says) });
  });

  it('lets a later plugin of the list have changed a route, which its result shows', async () => {
    pod('ip', 'route', 'replace', 'default', 'via', '10.244.0.1', 'dev', 'eth0', 'mtu', '1400');
    expect(await check()).toEqual({ ok: true });
    pod('ip', 'route', 'del', 'default');
    expect(await check(told({ routes: [{ dst: '10.244.0.1/32' }] }))).toEqual({ ok: true });
  });

  it('of a container that was never here says that nothing need be cleaned up, of one that lost its wire it does not', async () => {
    const stranger = { containerId: 'nobody', prevResult: told({ interfaces: [{ name: 'eth0' }] }) };
    expect(await check(stranger.prevResult, { containerId: 'nobody' })).toMatchObject({ code: 3 });
    host('ip', 'link', 'del', wired.hostInterface);
    await node.compare();
    expect(await check()).toMatchObject({
      code: 103,
      msg: expect.stringContaining(`the interface ${wired.hostInterface} is missing`),
    });
  });

  it('finds all mended after the next comparison what is the agent’s to mend', async () => {
    host('ip', 'route', 'del', '10.244.10.0');
    host('tc', 'qdisc', 'del', 'dev', wired.hostInterface, 'clsact');
    map().delete(encodeAddressKey('10.244.10.0'));
    await node.compare();
    expect(await check()).toEqual({ ok: true });
  });
});
