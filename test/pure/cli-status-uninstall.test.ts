// SPDX-License-Identifier: Apache-2.0
// `fast-ctl status` and `fast-ctl ipam check` behind an uninstall that was stopped after nodes were cleaned.
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/api/object.ts';
import { fastCtl } from './cli-shell.ts';
import { agentPod, amiss, clusterOf, condition, endpoint, machine } from './cluster-view.ts';
import { run, sound } from './cli-ipam-world.ts';

const clean = { status: { conditions: [condition('Removed', 'True')] } };
const asked = (name: string, more: object = {}) =>
  endpoint(name, { metadata: { name, annotations: { 'sample.fast.io/remove': 'true' } }, ...more });
const attached = (name: string, address: string, nodeName = 'one') => ({
  metadata: { name: address },
  spec: {
    state: 'Bound',
    address,
    stateSince: '2026-11-25T11:00:00Z',
    nodeName,
    owner: { kind: 'Pod', namespace: 'default', name, uid: name },
  },
  status: { attached: { owner: { uid: name } } },
});
const runs = (name: string, podIP: string, metadata: object = {}) => ({
  metadata: { name, namespace: 'default', uid: name, ...metadata },
  spec: { nodeName: 'one' },
  status: { phase: 'Running', podIP },
});
const linesOf = (change: object, what: string): string[] =>
  amiss(change).filter((line) => line.startsWith(`bad ${what}:`));

describe('a node that an uninstall has cleaned', () => {
  const endpoints = [asked('one', clean), endpoint('two')];

  it('leaves its running pods without a network, though their records still tell of wires', async () => {
    const records = [attached('a', '10.244.10.0'), attached('b', '10.244.10.1', 'two')];
    const change = { endpoints, records, running: [runs('a', '10.244.10.0'), runs('b', '10.244.10.1')] };
    const said = 'default/a: runs without a network: Fast was taken off one';
    expect(linesOf(change, 'wires')).toEqual([`bad wires: 1 pod runs without a network | ${said}`]);
    // The command reads the pods that run, although no record waits for a wire.
    const { stdout } = await fastCtl('status', { cluster: () => Promise.resolve(clusterOf(change)) });
    expect(stdout).toContain(said);
  });

  it.each<[string, object[]]>([
    ['whose next sandbox another plugin has made', [runs('a', '10.9.9.9')]],
    ['that is on its way out', [runs('a', '10.244.10.0', { deletionTimestamp: '2026-11-25T11:59:00Z' })]],
    ['that does not run', []],
  ])('says so of no pod %s', (_, running) => {
    expect(linesOf({ endpoints, records: [attached('a', '10.244.10.0')], running }, 'wires')).toEqual([]);
  });

  it('is said to be without Fast, not to have an agent whose pods go on', () => {
    const unready = { conditions: [condition('Ready', 'False')] };
    expect(linesOf({ endpoints, agentPods: [agentPod('one', unready), agentPod('two')] }, 'agents')).toEqual([
      'bad agents: 2 of 2 ready | one: Fast was taken off it: its pods have no network',
    ]);
  });

  it('is not asked by ipam check for maps that are not there, and its pods are named', async () => {
    const world = sound();
    const removed = { ...(world.objects['nodeendpoints']?.[0] as KubeObject), ...clean };
    world.objects['nodeendpoints']?.splice(0, 1, removed);
    const { code, stdout, stderr } = await run('ipam check', world);
    expect(stdout).toContain(
      'podWithoutWire: pod default/a runs with 10.0.0.0, and Fast was taken off one: it has no network\n  cure: fast-ctl status',
    );
    expect(stderr).toMatch(/^fast-ctl: node one was not asked: fast-ctl uninstall has cleaned it: /);
    expect(code).toBe(1);
  });
});

describe('an uninstall that was stopped when controller and agents were gone', () => {
  const off = machine('two', { status: 'Unknown', lastTransitionTime: '2026-11-25T11:55:00Z' });
  const gone = {
    deployment: undefined,
    agents: undefined,
    agentPods: [],
    lease: undefined,
    missingPolicies: ['fast-agents'],
  };

  it('has one choice, and no cure of another line decides for one side of it', async () => {
    const change = { ...gone, endpoints: [asked('one', clean), asked('two')], nodes: [machine('one'), off], pools: [] };
    const { stdout } = await fastCtl('status', { cluster: () => Promise.resolve(clusterOf(change)) });
    const [, toDo = ''] = stdout.split('To do:\n');
    expect(toDo.match(/kubectl apply -k/g)).toHaveLength(1);
    expect(toDo).toContain(
      'nodes: an uninstall was begun. To go on: fast-ctl uninstall --yes --without two, or start two first; to keep Fast: kubectl apply -k config/default && kubectl annotate nodeendpoints --all sample.fast.io/remove-\n',
    );
  });

  it.each<[string, object]>([
    ['that nobody has asked yet', { endpoints: [asked('one', clean), endpoint('two')] }],
    [
      'that is clean, but on which an agent is awaited',
      { endpoints: [asked('one'), asked('two', clean)], agentPods: [agentPod('one'), agentPod('two')] },
    ],
  ])('goes on without a node that is off, %s', (_, change) => {
    expect(linesOf({ nodes: [machine('one'), off], ...change }, 'nodes').join()).toContain(
      'To go on: fast-ctl uninstall --yes --without two, or start two first;',
    );
  });

  it('goes on without a node that nobody is left to clean', () => {
    const change = { ...gone, endpoints: [asked('one', clean), asked('two')] };
    expect(linesOf(change, 'nodes').join()).toContain('To go on: fast-ctl uninstall --yes --without two;');
  });
});
