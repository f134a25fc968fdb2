// SPDX-License-Identifier: Apache-2.0
// fast-cni in a list of plugins: what others made before stays, and what fast-cni made comes behind it.
import { describe, expect, it } from 'vitest';
import { attachment, call, configuration, podVariables } from './cni-fake-host.ts';

interface Result {
  interfaces: { name: string }[];
  ips: { address: string; interface?: number }[];
  routes: { dst: string }[];
  dns: object;
}

function add(more: Record<string, unknown>): Result {
  const outcome = call({
    variables: { ...podVariables, CNI_COMMAND: 'ADD' },
    stdin: JSON.stringify(configuration(more)),
  });
  expect(outcome.exitCode).toBe(0);
  return JSON.parse(outcome.stdout) as Result;
}

const before = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'br0' }, { name: 'net0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/pod', pciID: 'x' }],
  ips: [{ address: '192.168.1.2/24', gateway: '192.168.1.1', interface: 1 }],
  routes: [{ dst: '192.168.0.0/16', gw: '192.168.1.1', table: 100 }],
  dns: { nameservers: ['192.168.1.1'] },
};

describe('an ADD that is not the first of its list', () => {
  it('passes the result on and adds its own, with indexes that count on', () => {
    const result = add({ prevResult: before });
    expect(result.interfaces.map((one) => one.name)).toEqual(['br0', 'net0', attachment.hostInterface, 'eth0']);
    expect(result.interfaces[1]).toEqual(before.interfaces[1]);
    expect(result.ips).toEqual([before.ips[0], { address: '10.244.10.0/32', gateway: '10.244.0.1', interface: 3 }]);
    expect(result.routes.map((one) => one.dst)).toEqual(['192.168.0.0/16', '10.244.0.1/32', '0.0.0.0/0']);
    expect(result.routes[0]).toEqual(before.routes[0]);
    expect(result.dns).toEqual(before.dns);
  });

  it('takes a result whose lists are null, as Go writes them, and keeps what it does not know', () => {
    const result = add({ prevResult: { interfaces: null, ips: null, routes: null, dns: {}, colour: 'red' } });
    expect(result.interfaces).toHaveLength(2);
    expect(result).toMatchObject({ colour: 'red', cniVersion: '1.1.0' });
  });
});

describe('the name servers of a configuration', () => {
  it('stand in the result, unless a plugin before has named some', () => {
    expect(add({}).dns).toEqual({});
    expect(add({ dns: { nameservers: ['10.0.0.10'] } }).dns).toEqual({ nameservers: ['10.0.0.10'] });
    expect(add({ dns: { nameservers: ['10.0.0.10'] }, prevResult: before }).dns).toEqual(before.dns);
  });
});
