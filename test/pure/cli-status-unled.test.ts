// SPDX-License-Identifier: Apache-2.0
// `fast-ctl status` and `fast-ctl ipam check` while no controller leads, and where no agent is left.
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/api/object.ts';
import { fastCtl } from './cli-shell.ts';
import { now, run, sound } from './cli-ipam-world.ts';
import { amiss, clusterOf, endpoint, record, well } from './cluster-view.ts';

const creating = (name: string, spec: object = {}) => ({
  metadata: { name, namespace: 'default', uid: name },
  spec: { nodeName: 'one', ...spec },
  status: { phase: 'Pending' },
});
const podsLine = (change: object): string[] => amiss(change).filter((line) => / pods: /.test(line));

describe('pods that wait while no controller leads', () => {
  const unled = { lease: undefined };

  it('are told by status, not that none waits', async () => {
    const change = { ...unled, pending: [creating('a'), creating('b')] };
    const says = 'no controller leads that could give it an address';
    expect(podsLine(change)).toEqual([
      `doubtful pods: nobody decides: 2 pods without an address | default/a: ${says} | default/b: ${says}`,
    ]);
    const { stdout } = await fastCtl('status', { cluster: async () => clusterOf(change) });
    expect(stdout).toContain('??  pods        nobody decides: 2 pods without an address\n');
    expect(stdout).not.toContain('none waits');
  });

  it('are told beside those of whom the last leader said so', () => {
    const waiting = [{ uid: 'b', namespace: 'default', name: 'b', message: 'no pool' }];
    const endpoints = [endpoint('one', { spec: { waiting } }), endpoint('two')];
    expect(podsLine({ ...unled, endpoints, pending: [creating('a'), creating('b')] }).join()).toMatch(
      /^bad pods: 1 waits for an address; nobody decides: 1 pod without an address \| default\/b: .* \| default\/a: /,
    );
  });

  const { spec, ...rest } = record('Bound');
  it.each<[string, object]>([
    ['who have their record', { records: [{ ...rest, spec: { ...spec, owner: { kind: 'Pod', uid: 'a' } } }] }],
    ["of the host's network", { pending: [creating('a', { hostNetwork: true })] }],
    ['of no node yet', { pending: [creating('a', { nodeName: undefined })] }],
    ['under a controller that leads', { lease: well.lease }],
  ])('are not those %s', (_, change) => {
    expect(podsLine({ ...unled, pending: [creating('a')], ...change })).toEqual([]);
  });

  it('are said to be unseen where an account may not look', () => {
    expect(podsLine({ ...unled, pending: 'hidden' })).toEqual([
      'doubtful pods: none waits for an address; this account may not see who else waits',
    ]);
  });
});

describe('ipam check', () => {
  const broken = () => {
    const world = sound();
    world.objects['ipallocations']?.shift();
    return world;
  };
  const lease = (renewTime: string): KubeObject =>
    ({ metadata: { name: 'fast-controller-manager' }, spec: { holderIdentity: 'a_x', renewTime } }) as KubeObject;

  it('promises no repair while no controller leads', async () => {
    const { stdout } = await run('ipam check', broken());
    expect(stdout).toContain('podWithoutRecord: ');
    expect(stdout).toContain('cure: no controller leads, so nobody repairs it; fast-ctl status says what to do\n');
    expect(stdout).not.toMatch(/repairs it within|counts each second|writes it within/);
  });

  it('promises it while one leads', async () => {
    const world = broken();
    world.objects['workloads'] = [lease(now)];
    const { stdout } = await run('ipam check', world);
    expect(stdout).toContain('cure: the collector repairs it within five minutes');
    expect(stdout).not.toContain('nobody repairs it');
  });
});

describe('datapaths of which no agent is left to tell', () => {
  it('are not simply ready, as after a bare delete of the install', () => {
    expect(amiss({ agents: undefined, agentPods: [] }).filter((line) => / nodes: /.test(line))).toEqual([
      'doubtful nodes: 2 of 2 datapaths ready, as their agents said last: there is none that tells',
    ]);
  });
});
