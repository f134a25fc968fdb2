// SPDX-License-Identifier: Apache-2.0
// What `fast-ctl uninstall` does to a cluster, in which order, and what it says when something stands in the way.
import { describe, expect, it } from 'vitest';
import { installed } from '../../src/cli/installed.ts';
import type { Cluster } from '../../src/cli/surroundings.ts';
import type { DeleteOptions } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/errors.ts';
import type { KubeObject, Resource } from '../../src/kube/object.ts';
import { manifestsOf } from '../../scripts/manifests.ts';
import { fastCtl } from './cli-shell.ts';

const missing = (plural: string): KubeError =>
  new KubeError('notFound', { verb: 'get', target: plural }, 'it is not there', { status: 404 });

const agentOn = (name: string): KubeObject =>
  ({
    metadata: { name: `fast-agent-${name}`, uid: name, labels: { 'app.kubernetes.io/name': 'fast-agent' } },
    spec: { nodeName: name },
  }) as KubeObject;

/**
 * An install on two nodes, as objects by kind. Agents answer at once, but those of `deaf` nodes: these are off, and their pods
 * stay Terminating until they are deleted without grace.
 */
function cluster(deaf: readonly string[] = []) {
  const done: string[] = [];
  const objects = new Map<string, KubeObject[]>([
    ['nodeendpoints', ['one', 'two'].map((name) => ({ metadata: { name } }))],
    ['pods', ['one', 'two'].map(agentOn)],
    ['ipses', [{ metadata: { name: 'sample-ips', finalizers: ['sample.fast.io/in-use'] } }]],
    [
      'ipallocations',
      [{ metadata: { name: '10.244.10.0' }, spec: { owner: { kind: 'Pod' }, state: 'Bound' } } as KubeObject],
    ],
  ]);
  for (const { resource, name } of installed) {
    objects.set(resource.plural, [...(objects.get(resource.plural) ?? []), { metadata: { name } }]);
  }
  const list = (of: Resource<KubeObject>, { labelSelector = '' }: { labelSelector?: string } = {}) => {
    const [label = '', value] = labelSelector.split('=');
    const items = objects.get(of.plural)?.filter(({ metadata }) => metadata.labels?.[label] === value);
    return items === undefined ? Promise.reject(missing(of.plural)) : Promise.resolve({ items, resourceVersion: '1' });
  };
  const patch = (of: Resource<KubeObject>, name: string) => {
    done.push(`patch ${of.plural} ${name}`);
    if (of.plural === 'nodeendpoints' && !deaf.includes(name)) {
      const conditions = [{ type: 'Removed', status: 'True', message: 'all is gone' }];
      const rest = (objects.get(of.plural) ?? []).filter((one) => one.metadata.name !== name);
      objects.set(of.plural, [...rest, { metadata: { name }, status: { conditions } } as KubeObject]);
    }
    return Promise.resolve({ metadata: { name } });
  };
  /** What the garbage collector and the kubelets do once the agents' owner is gone. */
  const endPods = (): void => {
    const off = (objects.get('pods') ?? []).filter((pod) => deaf.some((node) => pod.metadata.name?.endsWith(node)));
    const deletionTimestamp = '2026-11-25T12:00:00Z';
    objects.set(
      'pods',
      off.map((pod) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp } })),
    );
  };
  const remove = (of: Resource<KubeObject>, name: string, { gracePeriodSeconds }: DeleteOptions = {}) => {
    if (of.plural === 'pods' && gracePeriodSeconds !== 0) return Promise.resolve();
    const before = objects.get(of.plural) ?? [];
    const after = before.filter((one) => one.metadata.name !== name);
    if (after.length === before.length) return Promise.reject(missing(of.plural));
    if (of.plural === 'namespaces' && (objects.get('pods') ?? []).length > 0) return Promise.resolve();
    objects.set(of.plural, after);
    if (of.plural === 'daemonsets') endPods();
    // The API server takes a kind's objects with it.
    if (of.plural === 'customresourcedefinitions') objects.delete(name.split('.')[0] ?? '');
    done.push(`delete ${of.plural} ${name}`);
    return Promise.resolve();
  };
  const find = (of: Resource<KubeObject>, name: string) =>
    Promise.resolve(objects.get(of.plural)?.find((one) => one.metadata.name === name));
  const fake = { list, patch, delete: remove, find } as unknown as Cluster;
  const lose = (plural: string): void => void objects.set(plural, []);
  const have = (plural: string, ...some: KubeObject[]): void => void objects.set(plural, some);
  return { done, fake, lose, have };
}

/** The Nodes of that install, each with the status of its condition Ready. */
const machine = (name: string, status: string): KubeObject =>
  ({ metadata: { name }, status: { conditions: [{ type: 'Ready', status }] } }) as KubeObject;

/** A clock that every wait moves. `meanwhile` is what happens during the first wait. */
function clock(meanwhile: () => void = () => undefined) {
  let ms = 0;
  return {
    nowMs: () => ms,
    sleep: (delayMs: number) => {
      if (ms === 0) meanwhile();
      ms += delayMs;
      return Promise.resolve();
    },
  };
}

describe('fast-ctl uninstall', () => {
  it('without --yes says what would go and touches nothing', async () => {
    const { fake, done } = cluster();
    const shown = await fastCtl('uninstall', { cluster: () => Promise.resolve(fake) });
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toBe(
      'This takes Fast off 2 nodes and deletes 1 pools; 1 pods have an address of it and lose their network.\n' +
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
    expect(shown.stdout).toContain('Fast is off 1 nodes already: one\nThis takes Fast off 1 nodes and deletes');
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
    expect(shown.stdout).toContain('This takes Fast off 1 nodes, leaves two as it is and deletes 1 pools');
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

  it.each([
    ['90s', '90 s'],
    ['2m', '120 s'],
    ['1m30s', '90 s'],
    ['5', '5 s'],
  ])('takes a duration as kubectl does: --timeout %s is %s', async (text, said) => {
    const { fake } = cluster(['two']);
    const around = { cluster: () => Promise.resolve(fake), ...clock() };
    const { stderr } = await fastCtl(`uninstall --yes --timeout ${text}`, around);
    expect(stderr).toContain(`the nodes are not done after ${said}: two`);
  });

  it.each(['soon', '2x', '0s', '-1m', '48h', ''])(
    'takes no time that is none (%j), and says the form',
    async (text) => {
      const { stderr } = await fastCtl(['uninstall', `--timeout=${text}`]);
      expect(stderr).toContain('Write a duration from 1s to 24h, such as 90s, 5m or 1h30m.');
    },
  );
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
