// SPDX-License-Identifier: Apache-2.0
// `fast-ctl uninstall` right after a node's power was cut, or right after an install: what the API server has is not yet true.
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/kube/object.ts';
import { cluster, clock, machine } from './cli-installed-cluster.ts';
import { fastCtl } from './cli-shell.ts';
import { kubeletLease } from './cluster-view.ts';

/** Kubelets that renew their Leases each 10 s, but for those that were cut off before the clock began. */
function kubelets(have: (plural: string, ...some: KubeObject[]) => void, names: string[], cut: string[] = []) {
  const time = clock();
  const renew = (): void => {
    const renewedMs = (name: string): number =>
      cut.includes(name) ? -3_000 : Math.floor((time.nowMs() + 3_000) / 10_000) * 10_000 - 3_000;
    have('leases', ...names.map((name) => kubeletLease(name, renewedMs(name)) as KubeObject));
  };
  renew();
  const sleep = async (delayMs: number): Promise<void> => {
    await time.sleep(delayMs);
    renew();
  };
  return { nowMs: time.nowMs, sleep };
}

describe('fast-ctl uninstall', () => {
  it('right after a power cut strips no other node: the one that says nothing is named first', async () => {
    const { fake, done, have } = cluster(['two']);
    have('nodes', machine('one', 'True'), machine('two', 'True'));
    const time = kubelets(have, ['one', 'two'], ['two']);
    const { code, stderr } = await fastCtl('uninstall --yes', { cluster: () => Promise.resolve(fake), ...time });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^fast-ctl: not begun, .*\nOff, cut off or gone: two\. /);
    expect(stderr).toContain('To leave it as it is: fast-ctl uninstall --yes --without two\n');
    expect(done).toEqual([]);
    expect(time.nowMs()).toBe(15_000);
  });

  it('begins as soon as each kubelet has spoken, and says what it waits for', async () => {
    const { fake, have } = cluster();
    have('nodes', machine('one', 'True'), machine('two', 'True'));
    const time = kubelets(have, ['one', 'two', 'no-agent-here'], ['no-agent-here']);
    let begunMs = NaN;
    const print = (text: string): void => void (text.startsWith('node 1 of 2') && (begunMs = time.nowMs()));
    const silentRun = await fastCtl('uninstall --yes', { cluster: () => Promise.resolve(fake), ...time, print });
    expect({ code: silentRun.code, begunMs }).toEqual({ code: 0, begunMs: 7_000 });
    const again = cluster();
    const around = { cluster: () => Promise.resolve(again.fake), ...kubelets(again.have, ['one', 'two']) };
    const { stdout } = await fastCtl('uninstall --yes', around);
    expect(stdout).toContain('waiting for a sign of life from every node, 15 s at most\n');
  });

  it('does not wait for the sign of life of a node that it is to leave out', async () => {
    const { fake, have } = cluster(['two']);
    have('nodes', machine('one', 'True'), machine('two', 'True'));
    const time = kubelets(have, ['one', 'two'], ['two']);
    const around = { cluster: () => Promise.resolve(fake), ...time };
    expect(await fastCtl('uninstall --yes --without two', around)).toMatchObject({ code: 0, stderr: '' });
  });

  it('stopped while it waits for a sign of life has asked nobody', async () => {
    const { fake, done, have } = cluster();
    const stop = new AbortController();
    const print = (text: string): void => void (text.startsWith('waiting for a sign') && stop.abort('SIGINT'));
    const time = kubelets(have, ['one', 'two'], ['two']);
    const around = { cluster: () => Promise.resolve(fake), ...time, print, stopped: stop.signal };
    expect((await fastCtl('uninstall --yes', around)).code).toBe(130);
    expect(done).toEqual([]);
  });

  const amd64 = (node: KubeObject): KubeObject => {
    const labels = { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' };
    return { ...node, metadata: { ...node.metadata, labels } };
  };

  it('some seconds after an install is refused where a node is off that has no NodeEndpoint and no agent yet', async () => {
    const { fake, done, have } = cluster();
    for (const kind of ['nodeendpoints', 'pods']) have(kind);
    const arm = machine('arm', 'Unknown');
    have('nodes', amd64(machine('one', 'False')), amd64(machine('two', 'Unknown')), arm);
    const around = () => ({ cluster: () => Promise.resolve(fake), ...clock() });
    const { code, stderr } = await fastCtl('uninstall --yes', around());
    expect(code).toBe(1);
    expect(stderr).toContain('Off, cut off or gone: two. Start them first, or --without two\n');
    expect(done).toEqual([]);
    expect(await fastCtl('uninstall --yes --without two', around())).toMatchObject({ code: 0, stderr: '' });
  });

  it('some seconds after an install cleans the nodes whose agents came after it had looked', async () => {
    const { fake, done, have } = cluster();
    const before = await fake.list({ plural: 'nodeendpoints' } as never);
    have('nodeendpoints');
    const print = (text: string): void => {
      if (text.startsWith('controller: ')) have('nodeendpoints', ...before.items);
    };
    const around = { cluster: () => Promise.resolve(fake), ...clock(), print };
    expect(await fastCtl('uninstall --yes', around)).toMatchObject({ code: 0, stderr: '' });
    expect(done).toContain('patch nodeendpoints two');
    expect(done.indexOf('patch nodeendpoints two')).toBeLessThan(done.indexOf('delete daemonsets fast-agent'));
  });
});
