// SPDX-License-Identifier: Apache-2.0
// `fast-ctl status` where pods outlived their wires, as an uninstall and a new install under them leave it.
import { describe, expect, it } from 'vitest';
import { fastCtl } from './cli-shell.ts';
import { amiss, clusterOf, endpoint, now } from './cluster-view.ts';

const before = '2026-11-25T11:58:00Z';
const justNow = '2026-11-25T11:59:50Z';

const bound = (name: string, more: object = {}, status: object = {}) => ({
  metadata: { name: '10.244.10.0' },
  spec: {
    state: 'Bound',
    stateSince: before,
    nodeName: 'one',
    owner: { kind: 'Pod', namespace: 'default', name, uid: name },
    ...more,
  },
  status,
});
const runs = (name: string, status: object = {}, metadata: object = {}) => ({
  metadata: { name, namespace: 'default', uid: name, ...metadata },
  spec: { nodeName: 'one' },
  status: { phase: 'Running', ...status },
});

describe('pods that run without a wire', () => {
  it('are wrong, named up to three, with the command that starts them anew', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const cluster = clusterOf({ records: names.map((name) => bound(name)), running: names.map((name) => runs(name)) });
    const { code, stdout } = await fastCtl('status', { cluster: () => Promise.resolve(cluster) });
    expect(stdout).toContain(
      [
        '!!  wires       4 pods run without a network',
        '                default/a, default/b, default/c and 1 more: runs without a network, until it is deleted and starts anew',
        '                each by name: fast-ctl status -o wide',
      ].join('\n'),
    );
    expect(stdout).toContain('To do:\n    wires: kubectl delete pod -n default a b c\n');
    expect(code).toBe(1);
  });

  it('are told beside wires without a record', () => {
    const orphan = endpoint('one', { status: { ...endpoint('one').status, orphans: [{ address: '10.244.10.9' }] } });
    const endpoints = [orphan, endpoint('two')];
    expect(amiss({ endpoints, records: [bound('a')], running: [runs('a')] })).toEqual([
      expect.stringMatching(
        /^bad wires: 1 pod runs without a network, 1 without a record \| default\/a: .* \| 10\.244/,
      ),
    ]);
  });

  it('are restarted on their node where they are static: deleting a mirror restarts nothing', () => {
    const uid = '3b5d5c3712955042212316173ccf37be';
    const owner = { kind: 'Pod', namespace: 'default', name: 'a', uid };
    const mirror = runs('a', {}, { annotations: { 'kubernetes.io/config.mirror': uid } });
    expect(amiss({ records: [bound('a', { owner })], running: [mirror] }).join()).toMatch(
      /default\/a: a static pod that runs without a network -> on node one, .*: crictl stopp /,
    );
  });

  const sandboxSince = (lastTransitionTime: string) => ({
    conditions: [{ type: 'PodReadyToStartContainers', status: 'True', lastTransitionTime }],
  });

  it('are wrong when their sandbox is as old', () => {
    expect(amiss({ records: [bound('a')], running: [runs('a', sandboxSince(before))] })).toHaveLength(1);
  });

  it.each<[string, object, object[]]>([
    ['that waits to start, such as for a volume', bound('a'), [runs('a', { phase: 'Pending' })]],
    ['whose agent has told of the wire', bound('a', {}, { attached: { owner: { uid: 'a' } } }), [runs('a')]],
    ['whose address is new', bound('a', { stateSince: justNow }), [runs('a')]],
    ['that waited long and runs for a moment', bound('a'), [runs('a', sandboxSince(justNow))]],
    ['that is on its way out', bound('a'), [runs('a', {}, { deletionTimestamp: now })]],
    ['of the same name that the record is not of', bound('a'), [runs('a', {}, { uid: 'other' })]],
    ['that gives its address back', bound('a', { state: 'Releasing' }), [runs('a')]],
  ])('are not a pod %s', (_, record, running) => {
    expect(amiss({ records: [record], running })).toEqual([]);
  });

  it('and ran before they had their address are told before the minute is over, as after a new install under them', async () => {
    const records = [bound('a', { stateSince: '2026-11-25T11:59:40Z' })];
    const running = [runs('a', sandboxSince(before))];
    const said = 'default/a: ran before it had its address, and its agent tells of no wire yet';
    expect(amiss({ records, running })).toEqual([
      `doubtful wires: 1 perhaps without a network | ${said} -> fast-ctl ipam check`,
    ]);
    const { stdout, code } = await fastCtl('status', { cluster: async () => clusterOf({ records, running }) });
    expect(stdout).not.toContain('Fast is well');
    expect(code).toBe(0);
  });

  it('are known by their containers where the kubelet tells of no sandbox', () => {
    const startedAt = (time: string) => ({ containerStatuses: [{ state: { running: { startedAt: time } } }] });
    const records = [bound('a', { stateSince: '2026-11-25T11:59:40Z' })];
    expect(amiss({ records, running: [runs('a', startedAt(before))] }).join()).toContain('ran before it had');
    expect(amiss({ records, running: [runs('a', startedAt(justNow))] })).toEqual([]);
  });

  it.each<[string, object, object]>([
    ['whose record is so new that no agent can have told', { stateSince: justNow }, sandboxSince(before)],
    [
      'whose kubelet has a clock that is 9 s slow',
      { stateSince: '2026-11-25T11:59:40Z' },
      sandboxSince('2026-11-25T11:59:31Z'),
    ],
    ['of which nobody tells since when it runs', { stateSince: '2026-11-25T11:59:40Z' }, {}],
    [
      'whose sandbox is gone, as after a power cut',
      { stateSince: '2026-11-25T11:59:40Z' },
      { conditions: [{ type: 'PodReadyToStartContainers', status: 'False', lastTransitionTime: before }] },
    ],
  ])('are not told early of a pod %s', (_, spec, status) => {
    expect(amiss({ records: [bound('a', spec)], running: [runs('a', status)] })).toEqual([]);
  });

  const waits = (name: string) => ({
    uid: name,
    namespace: 'default',
    name,
    reason: 'R',
    message: 'pool web does not exist',
  });
  const waitsOnOne = (name: string, status: object = {}) => [
    endpoint('one', { spec: { waiting: [waits(name)] }, status: { ...endpoint('one').status, ...status } }),
    endpoint('two'),
  ];
  const ready = { podIP: '10.244.10.0', ...sandboxSince(before) };

  it('are not said to wait for an address, where a new install finds no pool for them', async () => {
    const view = { endpoints: waitsOnOne('a'), running: [runs('a', ready)] };
    expect(amiss(view)).toEqual([
      'bad wires: 1 pod runs without a network | default/a: runs without a network, until it is deleted and starts anew, which waits for an address: pool web does not exist -> kubectl delete pod -n default a',
    ]);
    const { stdout } = await fastCtl('status', { cluster: async () => clusterOf(view) });
    expect(stdout).toContain('ok  pods        none waits for an address\n');
  });

  it.each<[string, object, object]>([
    ['whose wire is there without a record', ready, { orphans: [{ address: '10.244.10.0' }] }],
    ['whose sandbox is gone', { ...ready, conditions: [] }, {}],
    ['that has no address', sandboxSince(before), {}],
  ])('are not a pod that waits, %s', (_, status, ofNode) => {
    const view = { endpoints: waitsOnOne('a', ofNode), running: [runs('a', status)] };
    expect(amiss(view).join()).toContain('bad pods: 1 waits for an address | default/a: pool web does not exist');
    expect(amiss(view).join()).not.toContain('without a network');
  });

  it('are said to be unseen where an account may not look', () => {
    expect(amiss({ records: [bound('a')], running: 'hidden' }).join()).toMatch(
      /^doubtful wires: this account may not see whether 1 pods without a wire run -> run it by/,
    );
  });
});
