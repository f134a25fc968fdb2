// SPDX-License-Identifier: Apache-2.0
// libcni, which containerd and CRI-O call plugins by, drives fast-cni by its own command line: alone in every version, and
// as the first of a list with a plugin of Debian's.
import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { inside } from './agent-node.ts';
import { node, runtime, useRuntime } from './bench.ts';
import { pod, specVersions } from './cni-rules.ts';
import { configure, succeed, tool, useCnitool } from './libcni.ts';

useRuntime();
useCnitool();

afterEach(() => node.clear());

describe.each(specVersions)('cnitool with CNI %s', (version) => {
  it('adds, checks and deletes', async () => {
    configure(version, {});
    pod(node);
    const result = JSON.parse(await succeed('add')) as { cniVersion: string; ips: Array<{ address: string }> };
    expect([result.cniVersion, result.ips[0]?.address]).toEqual([version, '10.244.10.0/32']);
    if (version >= '0.4.0') {
      await succeed('check');
      inside('p1', 'ip', 'route', 'del', 'default');
      expect((await tool('check')).stderr).toContain('the route 0.0.0.0/0');
    }
    await succeed('del');
    await succeed('del');
    await node.wiring.remover.settled();
    expect(node.veths()).toEqual([]);
  });
});

describe('cnitool with CNI 1.1.0', () => {
  it('collects what is nobody’s', async () => {
    configure('1.1.0', {});
    pod(node);
    await succeed('add');
    await succeed('gc');
    await node.wiring.remover.settled();
    expect(node.veths()).toEqual([]);
  });

  it('asks for the status, and hears why there is none', async () => {
    configure('1.1.0', {});
    await succeed('status');
    await runtime.hangUp();
    const { code, stderr } = await tool('status');
    await runtime.serve();
    expect(code).not.toBe(0);
    expect(stderr).toContain('cannot be reached');
  });
});

describe('fast-cni as the first of a list', () => {
  const hasTuning = spawnSync('/usr/lib/cni/tuning', {
    env: { CNI_COMMAND: 'VERSION' },
    input: '{"cniVersion":"1.0.0"}',
  });

  it.each(['0.4.0', '1.0.0'])('has its result taken by the plugin behind it, CNI %s', async (version) => {
    expect(hasTuning.status).toBe(0);
    configure(version, {}, { type: 'tuning', sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } });
    pod(node);
    const result = JSON.parse(await succeed('add')) as { interfaces: Array<{ name: string }> };
    expect(result.interfaces.map((each) => each.name)).toEqual([node.veths()[0], 'eth0']);
    expect(inside('p1', 'cat', '/proc/sys/net/ipv4/conf/eth0/log_martians').trim()).toBe('1');
    await succeed('check');
    await succeed('del');
    await node.wiring.remover.settled();
    expect(node.veths()).toEqual([]);
  });
});
