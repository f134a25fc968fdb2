// SPDX-License-Identifier: Apache-2.0
// The tunnel's device as the knobs want it: the port and the MTU, changed while it is there.
import { execFileSync } from 'node:child_process';
import { Netns } from 'ebpf-native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureDevice } from '../../src/node/device.ts';
import { type Host, openHost } from '../../src/node/host.ts';

const name = `fast-device-${process.pid}`;
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
let host: Host;

beforeAll(() => {
  ip('netns', 'add', name);
  host = openHost(Netns.open(`/run/netns/${name}`));
});
afterAll(() => {
  ip('netns', 'del', name);
});

const shown = (): string => ip('-n', name, '-d', 'link', 'show', 'fast_vxlan');

describe('the device of the tunnel', () => {
  it('has the port and the MTU that it is given, and is left alone while it has them', () => {
    expect(ensureDevice(host, { mtu: 1400, port: 8472 }, '10.244.224.0').changed).toBe(true);
    expect(shown()).toMatch(/mtu 1400 .*dstport 8472 /s);
    expect(ensureDevice(host, { mtu: 1400, port: 8472 }, '10.244.224.0').changed).toBe(false);
  });

  it('follows another MTU in place, and is made anew for another port', () => {
    const { link } = ensureDevice(host, { mtu: 1400, port: 8472 }, '10.244.224.0');
    expect(ensureDevice(host, { mtu: 1300, port: 8472 }, '10.244.224.0').link.index).toBe(link.index);
    expect(ensureDevice(host, { mtu: 1300, port: 4789 }, '10.244.224.0').link.index).not.toBe(link.index);
    expect(shown()).toMatch(/mtu 1300 .*dstport 4789 /s);
  });

  it('says who may have the port when it is taken, and which knob chooses another', () => {
    ip('-n', name, 'link', 'del', 'fast_vxlan');
    ip('-n', name, 'link', 'add', 'other', 'type', 'vxlan', 'external', 'dstport', '4789');
    ip('-n', name, 'link', 'set', 'other', 'up');
    expect(() => ensureDevice(host, { mtu: 1300, port: 4789 }, '10.244.224.0')).toThrow(
      /device other has UDP port 4789 already; .* or another port by the knob tunnel-port/,
    );
  });
});
