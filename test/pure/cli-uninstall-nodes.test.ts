// SPDX-License-Identifier: Apache-2.0
// What `fast-ctl uninstall` says of nodes that cannot be cleaned, while it waits for them, and when it is stopped then.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';
import { farewell } from '../../src/cli/farewell.ts';
import type { Cluster } from '../../src/cli/surroundings.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { companions, installCni } from '../../src/node/cni-install.ts';
import { agentOn, clock, cluster, machine } from './cli-installed-cluster.ts';
import { fastCtl } from './cli-shell.ts';

describe('fast-ctl uninstall, of nodes that cannot be cleaned,', () => {
  it('names the node whose agent does not answer, deletes nothing, and goes on without it when told so', async () => {
    const { fake, done } = cluster(['two']);
    const around = () => ({ cluster: () => Promise.resolve(fake), ...clock() });
    const shown = await fastCtl('uninstall --yes --timeout 5s', around());
    expect(shown.code).toBe(1);
    expect(shown.stderr).toContain('the nodes are not done after 5 s: two (its agent has not answered)');
    expect(shown.stderr).toContain('--without NODE');
    expect(done.filter((one) => one.startsWith('delete'))).toEqual([]);
    expect(await fastCtl('uninstall --yes --without two', around())).toMatchObject({ code: 0 });
  });

  it('names nodes that are off or without an agent before it starts, and the command that leaves them', async () => {
    const { fake, have } = cluster(['two']);
    const around = { cluster: () => Promise.resolve(fake) };
    have('nodes', machine('one', 'True'), machine('two', 'Unknown'));
    const shown = await fastCtl('uninstall', around);
    expect(shown.stdout).toContain('Off, cut off or gone: two. Start them first, or --without two\n');
    expect(shown.stdout).toContain('To do it: fast-ctl uninstall --yes --without two\n');
    have('nodes', machine('one', 'True'), machine('two', 'True'));
    have('pods', agentOn('one'));
    const silent = await fastCtl('uninstall', around);
    expect(silent.stdout).toContain('Without an agent that could clean them: two. See fast-ctl status, or --without');
  });

  it('repeats --without in the command that would do it, and does not name the node once more', async () => {
    const { fake, have } = cluster(['two']);
    have('nodes', machine('one', 'True'), machine('two', 'Unknown'));
    const shown = await fastCtl('uninstall --without two', { cluster: () => Promise.resolve(fake) });
    expect(shown.stdout).toContain('To do it: fast-ctl uninstall --yes --without two\n');
    expect(shown.stdout).not.toContain('Off, cut off');
  });

  it('between two tries says which nodes are clean already, and takes none of them for off', async () => {
    const { fake, have } = cluster(['two']);
    const around = { cluster: () => Promise.resolve(fake), ...clock() };
    await fastCtl('uninstall --yes --timeout 5s', around);
    // A node without a network plugin is NotReady by its kubelet's own word.
    have('nodes', machine('one', 'False'), machine('two', 'True'));
    const shown = await fastCtl('uninstall', around);
    expect(shown.stdout).toContain('Fast is off 1 node already: one\nThis takes Fast off 1 node and deletes');
    expect(shown.stdout).toContain('To do it: fast-ctl uninstall --yes\n');
  });

  it('does not begin where it knows that a node is off: names it, and the commands with and without it', async () => {
    const { fake, done, have } = cluster(['two']);
    const around = () => ({ cluster: () => Promise.resolve(fake), ...clock() });
    have('nodes', machine('one', 'True'), machine('two', 'Unknown'));
    const refused = await fastCtl('uninstall --yes', around());
    expect(refused).toMatchObject({
      code: 1,
      stderr:
        'fast-ctl: not begun, since not every node can be cleaned now.\n' +
        'Off, cut off or gone: two. Start them first, or --without two\n' +
        'Once it is back: fast-ctl uninstall --yes. To leave it as it is: fast-ctl uninstall --yes --without two\n',
    });
    expect(refused.stdout).not.toContain('Off, cut off');
    expect(done).toEqual([]);
    expect(await fastCtl('uninstall --yes --without two', around())).toMatchObject({ code: 0, stderr: '' });
  });

  it('does not begin where a node has no agent, and goes on leaving out what it was told to', async () => {
    const { fake, done, have } = cluster(['one', 'two']);
    have('nodes', machine('one', 'Unknown'), machine('two', 'True'));
    have('pods', agentOn('one'));
    const around = { cluster: () => Promise.resolve(fake), ...clock() };
    const { code, stderr } = await fastCtl('uninstall --yes --without one', around);
    expect(code).toBe(1);
    expect(stderr).toContain('Without an agent that could clean them: two. See fast-ctl status, or --without two\n');
    expect(stderr).toContain('Once it is back: fast-ctl uninstall --yes --without one. To leave it');
    expect(stderr).toContain('fast-ctl uninstall --yes --without one two\n');
    expect(done).toEqual([]);
  });

  it('begins while an agent is being replaced, and asks nobody to leave its node as it is', async () => {
    const { fake, have } = cluster();
    have('nodes', machine('one', 'True'), machine('two', 'True'));
    const ending = { ...agentOn('two').metadata, deletionTimestamp: '2026-11-25T12:00:00Z' };
    have('pods', agentOn('one'), { ...agentOn('two'), metadata: ending });
    expect((await fastCtl('uninstall', { cluster: () => Promise.resolve(fake) })).stdout).not.toContain('--without');
    // The next one is not there yet.
    have('pods', agentOn('one'));
    const next = clock(() => have('pods', agentOn('one'), agentOn('two')));
    expect(await fastCtl('uninstall --yes', { cluster: () => Promise.resolve(fake), ...next })).toMatchObject({
      code: 0,
      stderr: '',
    });
  });

  it('is not kept by a node that never had an agent, such as one of another architecture', async () => {
    const { fake, have, done } = cluster();
    const [one] = (await fake.list({ plural: 'nodeendpoints' } as never)).items;
    have('nodeendpoints', one as KubeObject, { metadata: { name: 'arm' } });
    have('nodes', machine('one', 'True'), machine('arm', 'True'));
    have('pods', agentOn('one'));
    const around = { cluster: () => Promise.resolve(fake), ...clock() };
    const { code, stdout, stderr } = await fastCtl('uninstall --yes', around);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^No agent was ever on arm: nothing to clean there\nThis takes Fast off 1 node and deletes/);
    expect(stdout).not.toContain('Not cleaned');
    expect(done).not.toContain('patch nodeendpoints arm');
  });

  it('after Ctrl-C or its time gives the command that leaves the node that went off meanwhile', async () => {
    const { fake, have } = cluster(['two']);
    have('nodes', machine('one', 'False'), machine('two', 'True'));
    const goesOff = (): void => have('nodes', machine('one', 'False'), machine('two', 'Unknown'));
    const around = () => ({ cluster: () => Promise.resolve(fake), ...clock(goesOff) });
    const late = await fastCtl('uninstall --yes --timeout 5s', around());
    expect(late.stderr).toContain('not done after 5 s: two (its agent has not answered).\nOff, cut off or gone: two.');
    expect(late.stderr).toContain('To go on: fast-ctl uninstall --yes --without two\n');
    have('nodes', machine('one', 'False'), machine('two', 'True'));
    const stop = new AbortController();
    const pressed = { ...clock(() => [goesOff(), stop.abort()]), stopped: stop.signal };
    const stopped = await fastCtl('uninstall --yes', { ...around(), ...pressed });
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain('stopped; the nodes still to do: two');
    expect(stopped.stderr).toContain('To go on: fast-ctl uninstall --yes --without two\n');
    expect(await fastCtl('uninstall --yes --without two', around())).toMatchObject({ code: 0, stderr: '' });
  });

  it('names the node whose pod does not end, clean as it is, where it went off after it was cleaned', async () => {
    const { fake, have } = cluster(['two']);
    const clean = { conditions: [{ type: 'Removed', status: 'True', message: 'all is gone' }] };
    have('nodeendpoints', ...['one', 'two'].map((name) => ({ metadata: { name }, status: clean }) as KubeObject));
    have('nodes', machine('one', 'False'), machine('two', 'False'));
    const goesOff = (): void => have('nodes', machine('one', 'False'), machine('two', 'Unknown'));
    const around = { cluster: () => Promise.resolve(fake), ...clock(goesOff) };
    const { stderr } = await fastCtl('uninstall --yes --timeout 5s', around);
    expect(stderr).toContain('the pods of the agents are not done after 5 s: fast-agent-two on two.');
    expect(stderr).toContain('To go on: fast-ctl uninstall --yes --without two\n');
  });

  it('says what it waits for and how long still, within 10 s again and again', async () => {
    const { fake } = cluster(['two']);
    const time = clock();
    const saidAtMs: number[] = [];
    const lines: string[] = [];
    const print = (text: string): void => {
      if (!text.startsWith('waiting for')) return;
      saidAtMs.push(time.nowMs());
      lines.push(text);
    };
    await fastCtl('uninstall --yes --timeout 1m', { cluster: () => Promise.resolve(fake), ...time, print });
    expect(saidAtMs).toEqual([2_000, 12_000, 22_000, 32_000, 42_000, 52_000]);
    expect(lines[1]).toBe('waiting for the nodes, 48 s more at most: two (its agent has not answered)\n');
  });

  it('says once that a node went off while it waits for it', async () => {
    const { fake, have } = cluster(['two']);
    const around = clock(() => have('nodes', machine('one', 'False'), machine('two', 'Unknown')));
    const { stdout } = await fastCtl('uninstall --yes', { cluster: () => Promise.resolve(fake), ...around });
    expect(stdout.match(/^Off, cut off or gone: two\. Start them first, or --without two$/gm)).toHaveLength(1);
  });

  it('that is stopped while nothing is waited for begins no further step, and says how to go on', async () => {
    const { fake, done } = cluster();
    const stop = new AbortController();
    const patch: Cluster['patch'] = async (...asked) => {
      stop.abort('SIGTERM');
      return fake.patch(...asked);
    };
    const around = { cluster: () => Promise.resolve({ ...fake, patch }), ...clock(), stopped: stop.signal };
    const { code, stderr } = await fastCtl('uninstall --yes', around);
    expect(code).toBe(143);
    expect(stderr).toMatch(/^fast-ctl: stopped; the nodes still to do: two .*\.\nTo go on: fast-ctl uninstall --yes/);
    expect(done).toEqual(['patch nodeendpoints one']);
  });

  it('that is stopped after its last node was cleaned deletes nothing', async () => {
    const { fake, done } = cluster();
    const stop = new AbortController();
    const print = (text: string): void => {
      if (text.startsWith('node 2 of 2')) stop.abort('SIGINT');
    };
    const around = { cluster: () => Promise.resolve(fake), ...clock(), stopped: stop.signal, print };
    const { code, stderr } = await fastCtl('uninstall --yes', around);
    expect(code).toBe(130);
    expect(stderr).toContain('stopped before the step "controller".\nTo go on: fast-ctl uninstall --yes;');
    expect(done.filter((one) => one.startsWith('delete'))).toEqual([]);
  });

  it('names at the end the nodes that it left out, what is on them still, and how to clean them', async () => {
    const { fake, have } = cluster(['two']);
    have('nodes', machine('one', 'True'), machine('two', 'Unknown'));
    const around = { cluster: () => Promise.resolve(fake), ...clock() };
    const { stdout } = await fastCtl('uninstall --yes --without two', around);
    const [, words = ''] = stdout.split('had an address of Fast.\n');
    expect(words).toMatch(/^\nNot cleaned: two\. Fast's CNI files are still on the disk there/);
    expect(words.replaceAll('\n', ' ')).toContain('a pod that starts there gets no network');
    const { stdout: whole } = await fastCtl('uninstall --yes', {
      cluster: () => Promise.resolve(cluster().fake),
      ...clock(),
    });
    expect(whole).not.toContain('Not cleaned');
  });

  it('ends in lines that fit a terminal of 80 characters, but for the command to copy', async () => {
    const { fake } = cluster(['two']);
    const around = { cluster: () => Promise.resolve(fake), ...clock(), terminalWidth: 80 };
    const { stdout } = await fastCtl('uninstall --yes --without two', around);
    const last = stdout.slice(stdout.indexOf('Fast is gone')).split('\n');
    expect(last.filter((line) => line.length > 80)).toEqual([expect.stringMatching(/^ {2}rm -f .* && reboot$/)]);
    expect(Math.max(...last.map((line) => line.length).filter((length) => length <= 80))).toBeGreaterThan(72);
  });

  it('names at the end no node that was clean when it was left out', async () => {
    const { fake, have } = cluster(['two']);
    const clean = { conditions: [{ type: 'Removed', status: 'True', message: 'all is gone' }] };
    have('nodeendpoints', ...['one', 'two'].map((name) => ({ metadata: { name }, status: clean }) as KubeObject));
    const around = { cluster: () => Promise.resolve(fake), ...clock() };
    const { code, stdout } = await fastCtl('uninstall --yes --without two', around);
    expect({ code, isNamed: stdout.includes('Not cleaned') }).toEqual({ code: 0, isNamed: false });
  });

  it('names every file that an agent puts on the disk of its node, and no other', () => {
    const folder = mkdtempSync(join(tmpdir(), 'fast-farewell-'));
    const [source, binFolder, confFolder] = ['source', 'opt/cni/bin', 'etc/cni/net.d'].map((path) =>
      join(folder, path),
    );
    const paths = { source: source ?? '', binFolder: binFolder ?? '', confFolder: confFolder ?? '', socket: '/run/s' };
    mkdirSync(paths.source);
    for (const name of ['fast-cni', ...companions]) writeFileSync(join(paths.source, name), '');
    installCni(paths);
    const put = [paths.binFolder, paths.confFolder].flatMap((in_) =>
      readdirSync(in_).map((name) => join(in_, name).slice(folder.length)),
    );
    rmSync(folder, { recursive: true });
    const [, named = ''] = /^ {2}rm -f (.*) && reboot$/m.exec(farewell(['two'])) ?? [];
    expect(named.split(' ').toSorted()).toEqual(put.toSorted());
    expect(readFileSync(join(root, 'docs/install.md'), 'utf8')).toContain(`rm -f ${named} && reboot`);
  });

  it('waits for no pod on a node that is off and left out, and says that it deleted it without grace', async () => {
    const { fake, done } = cluster(['two']);
    const around = { cluster: () => Promise.resolve(fake), ...clock() };
    const shown = await fastCtl('uninstall --yes --without two', around);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(done.filter((one) => one.startsWith('delete pods'))).toEqual(['delete pods fast-agent-two']);
    expect(done.indexOf('delete pods fast-agent-two')).toBeGreaterThan(done.indexOf('delete daemonsets fast-agent'));
    expect(shown.stdout).toContain('pod fast-agent-two on two: deleted with gracePeriodSeconds 0');
  });

  it('says at once that no agent is left to clean the nodes, as after a bare kubectl delete, and asks nobody', async () => {
    const { fake, done, lose } = cluster(['one', 'two']);
    for (const kind of ['daemonsets', 'deployments', 'pods']) lose(kind);
    const around = () => ({ cluster: () => Promise.resolve(fake), ...clock() });
    const shown = await fastCtl('uninstall --yes', around());
    expect(shown.code).toBe(1);
    expect(shown.stderr).toContain('there are no agents, and nobody else can clean a node: one, two.');
    expect(shown.stderr).toContain('kubectl apply -k config/default');
    expect(shown.stderr).toContain('all of them by fast-ctl uninstall --yes --without one two\n');
    expect(done).toEqual([]);
    expect(await fastCtl('uninstall --yes --without one two', around())).toMatchObject({ code: 0 });
  });
});
