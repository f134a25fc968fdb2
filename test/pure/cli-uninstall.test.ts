// SPDX-License-Identifier: Apache-2.0
// What `fast-ctl uninstall` does to a cluster, in which order, and what it says when something stands in the way.
import { describe, expect, it } from 'vitest';
import { installed } from '../../src/cli/installed.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { manifestsOf } from '../../scripts/manifests.ts';
import { clock, cluster } from './cli-installed-cluster.ts';
import { fastCtl } from './cli-shell.ts';

describe('fast-ctl uninstall', () => {
  it('without --yes says what would go and touches nothing', async () => {
    const { fake, done } = cluster();
    const shown = await fastCtl('uninstall', { cluster: () => Promise.resolve(fake) });
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toBe(
      'This takes Fast off 2 nodes and deletes 1 pool; 1 pod has an address of Fast and loses its network.\n' +
        'Nothing was done. To do it: fast-ctl uninstall --yes\n',
    );
    expect(done).toEqual([]);
  });

  it('asks the agents, then takes controller, guards, agents, finalizers, kinds and the rest, in this order', async () => {
    const { fake, done } = cluster();
    const shown = await fastCtl('uninstall --yes', { cluster: () => Promise.resolve(fake), ...clock() });
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    const at = (what: string): number => done.indexOf(what);
    const order = [
      'patch nodeendpoints two',
      'delete deployments fast-controller-manager',
      'delete validatingadmissionpolicybindings fast-agents',
      'delete validatingadmissionpolicies fast-records',
      'delete daemonsets fast-agent',
      'patch ipses sample-ips',
      'delete customresourcedefinitions ipses.sample.fast.io',
      'delete namespaces fast-system',
    ].map(at);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).not.toContain(-1);
    expect(shown.stdout).toContain('one: all is gone');
    expect(shown.stdout).toContain('Fast is gone.');
  });

  it('says that nodes stay as they are where their NodeEndpoints were deleted with their kind', async () => {
    const { fake, lose } = cluster();
    lose('nodeendpoints');
    const shown = await fastCtl('uninstall', { cluster: () => Promise.resolve(fake) });
    expect(shown.stdout).toContain('No NodeEndpoint is left, so no node is cleaned');
    expect(shown.stdout).toContain('kubectl apply -k config/default');
  });

  it('knows the nodes that it is to leave, and names them before it does anything', async () => {
    const { fake, done } = cluster();
    const wrong = await fastCtl('uninstall --yes --without nosuch', { cluster: () => Promise.resolve(fake) });
    expect(wrong.stderr).toContain('--without nosuch: there is no such node; the nodes are one, two');
    expect(done).toEqual([]);
    const shown = await fastCtl('uninstall --without two', { cluster: () => Promise.resolve(fake) });
    expect(shown.stdout).toContain('This takes Fast off 1 node, leaves two as it is and deletes 1 pool;');
  });

  it('can be run again wherever it was stopped', async () => {
    const { fake, lose } = cluster();
    for (const kind of ['deployments', 'validatingadmissionpolicies']) lose(kind);
    const again = await fastCtl('uninstall --yes', { cluster: () => Promise.resolve(fake), ...clock() });
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('controller: none left');
    expect(again.stdout).toContain('Fast is gone.');
  });

  it.each(['uninstall', 'uninstall --yes'])('says that nothing is there where nothing is: %s', async (line) => {
    const { fake, done } = cluster();
    const around = () => ({ cluster: () => Promise.resolve(fake), ...clock() });
    await fastCtl('uninstall --yes', around());
    const before = done.length;
    const again = await fastCtl(line, around());
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toMatch(/^Nothing of Fast was found in this cluster: .* --context or\n--kubeconfig\.\n$/);
    expect(done.length).toBe(before);
  });

  it('takes what OLM would make it again from for a part of it', async () => {
    const { fake, done, have } = cluster();
    await fastCtl('uninstall --yes', { cluster: () => Promise.resolve(fake), ...clock() });
    have('subscriptions', { metadata: { name: 'fast', namespace: 'operators' }, spec: { name: 'fast' } } as KubeObject);
    await fastCtl('uninstall --yes', { cluster: () => Promise.resolve(fake), ...clock() });
    expect(done.at(-1)).toBe('delete subscriptions fast');
  });
});

describe('the list of what an install consists of', () => {
  it('has every object of config/default but what goes with the namespace', () => {
    const wanted = manifestsOf('config/default')
      .filter(({ kind, metadata }) => metadata.namespace === undefined || kind === 'Deployment')
      .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const listed = installed.map(({ resource, name }) => `${resource.kind} ${name}`);
    expect(listed.filter((one) => one !== 'DaemonSet fast-agent').toSorted()).toEqual(wanted.toSorted());
  });
});
