// SPDX-License-Identifier: Apache-2.0
// Pods that hold an address and can neither start nor end, as containerd leaves those whose bandwidth limit it cannot read:
// no plugin is called for them, so nothing of Fast knows.
import { describe, expect, it } from 'vitest';
import { troublesOf } from '../../src/cli/sandbox-troubles.ts';
import type { KubeObject } from '../../src/api/object.ts';
import { fastCtl } from './cli-shell.ts';
import { counts, record, run, sound } from './cli-ipam-world.ts';
import { amiss, clusterOf, machine } from './cluster-view.ts';

/** The clock of these tests is 12:00. */
const [fourMinutesAgo, twoMinutesAgo] = ['2026-11-25T11:56:00Z', '2026-11-25T11:58:00Z'];

const bound = (name: string, stateSince = fourMinutesAgo, status: object = {}) => ({
  metadata: { name: '10.244.10.0' },
  spec: { state: 'Bound', stateSince, nodeName: 'one', owner: { kind: 'Pod', namespace: 'default', name, uid: name } },
  status,
});
const sandbox = (status: 'True' | 'False') => ({ conditions: [{ type: 'PodReadyToStartContainers', status }] });
const waits = (name: string, status: object = sandbox('False'), metadata: object = {}) => ({
  metadata: { name, namespace: 'default', uid: name, ...metadata },
  spec: { nodeName: 'one' },
  status: { phase: 'Pending', ...status },
});
const troubles = new Map([['a', 'unreasonably small']]);
const deleted = (deletionTimestamp: string) => waits('a', sandbox('False'), { deletionTimestamp });

describe('a pod that holds an address and gets no sandbox for minutes', () => {
  it('is doubtful, with what its runtime says and where to look', () => {
    expect(amiss({ records: [bound('a')], pending: [waits('a')], troubles })).toEqual([
      'doubtful wires: 1 pod is stuck | default/a: has an address for 4 min and gets no sandbox: unreasonably small -> kubectl describe pod -n default a',
    ]);
  });

  it.each<[string, object, object, object]>([
    ['that waits for a volume: its runtime was not asked', bound('a'), waits('a'), { troubles: new Map() }],
    ['whose image is pulled', bound('a'), waits('a', sandbox('True')), {}],
    ['that has waited for two minutes', bound('a', twoMinutesAgo), waits('a'), {}],
    ['that has its wire', bound('a', fourMinutesAgo, { attached: { owner: { uid: 'a' } } }), waits('a'), {}],
    ['that came to its end', bound('a'), waits('a', { phase: 'Failed' }), {}],
    ['of the same name that the record is not of', bound('a'), waits('a', sandbox('False'), { uid: 'b' }), {}],
  ])('is not one %s', (_, held, pod, more) => {
    expect(amiss({ records: [held], pending: [pod], troubles, ...more })).toEqual([]);
  });

  it('is said of its node where that is off', () => {
    const nodes = [machine('one', { status: 'Unknown' }), machine('two')];
    expect(amiss({ records: [bound('a')], pending: [waits('a')], troubles, nodes }).join()).not.toContain('wires');
  });

  it('is found by status in pods and events', async () => {
    const because = 'resource is unreasonably small (< 1kbit)';
    const podEvents = [
      { reason: 'SandboxChanged', involvedObject: { uid: 'a' }, message: 'Pod sandbox changed' },
      { reason: 'FailedCreatePodSandBox', involvedObject: { uid: 'a' }, message: because },
      { reason: 'Scheduled', involvedObject: { uid: 'a' }, message: 'assigned' },
    ];
    const cluster = clusterOf({ records: [bound('a')], pending: [waits('a')], podEvents });
    const { stdout, code } = await fastCtl('status', { cluster: () => Promise.resolve(cluster) });
    expect(stdout).toContain(`default/a: has an address for 4 min and gets no sandbox: ${because}\n`);
    expect(stdout).toContain('wires: kubectl describe pod -n default a\n');
    expect(code).toBe(0);
  });
});

describe('a pod that is Terminating for minutes past its grace', () => {
  it('is doubtful, with its runtime’s words if there are any', () => {
    const says = 'default/a: Terminating for 4 min past its grace, and keeps its address';
    expect(amiss({ records: [bound('a')], pending: [deleted(fourMinutesAgo)] }).join()).toContain(`${says} -> kubectl`);
    expect(amiss({ records: [bound('a')], pending: [deleted(fourMinutesAgo)], troubles }).join()).toContain(
      `${says}: unreasonably small -> kubectl`,
    );
  });

  it('is not one whose grace has just ended', () => {
    expect(amiss({ records: [bound('a')], pending: [deleted(twoMinutesAgo)], troubles })).toEqual([]);
  });
});

describe('ipam check', () => {
  const late = { stateSince: fourMinutesAgo };
  const world = (pod: object, events: object[]) => {
    const { objects, maps } = sound();
    objects['ipallocations']?.push({ ...record('10.0.0.2', 'c', late), status: {} } as KubeObject);
    objects['pods']?.push(pod as KubeObject);
    objects['ipses'] = [
      { ...objects['ipses']?.[0], status: { ...counts, bound: 3, free: 1 } } as unknown as KubeObject,
    ];
    const [first] = objects['nodeendpoints'] as Array<KubeObject & { spec: { podAddresses: string[] } }>;
    first?.spec.podAddresses.push('10.0.0.2');
    const [, two] = [maps['one'], maps['two'] as { cluster_pod_ips: object[] }];
    two.cluster_pod_ips.push({ address: '10.0.0.2', nodeAddress: '10.29.0.1', direct: false, adjacent: false });
    return { objects: { ...objects, events: events as KubeObject[] }, maps };
  };
  const failed = { reason: 'FailedCreatePodSandBox', involvedObject: { uid: 'c-uid' }, message: 'unreasonably small' };

  it('does not say that all holds while a pod holds an address that it can do nothing with', async () => {
    const { code, stdout } = await run('ipam check', world(waits('c', {}, { uid: 'c-uid' }), [failed]));
    expect(stdout).toContain(
      'podStuck: pod default/c with 10.0.0.2: has an address for minutes and gets no sandbox: unreasonably small\n  cure: kubectl describe pod -n default c\n',
    );
    expect(code).toBe(1);
  });

  it('says so of one that does not end', async () => {
    const metadata = { uid: 'c-uid', deletionTimestamp: fourMinutesAgo };
    const { stdout } = await run('ipam check', world(waits('c', {}, metadata), []));
    expect(stdout).toContain('podStuck: pod default/c with 10.0.0.2: Terminating for minutes past its grace');
  });

  it('has nothing against one that waits for a volume', async () => {
    const { code, stdout } = await run('ipam check', world(waits('c', {}, { uid: 'c-uid' }), []));
    expect(stdout).toMatch(/^All holds: /);
    expect(code).toBe(0);
  });
});

it('what a runtime says is told without codes and 64 digits', () => {
  const digits = '92499fc57cf0f62d61af9748063018777245d8012fb0c00d680f08da682e9f28';
  const uid = 'e26ec172-7763-426a-affe-4fd6ce3878e0';
  const message = `error killing pod: failed to "KillPodSandbox" for "${uid}" with KillPodSandboxError: "rpc error: code = Unknown desc = failed to destroy network for sandbox \\"${digits}\\": resource is unreasonably small (< 1kbit)"`;
  expect(troublesOf([[{ metadata: {}, involvedObject: { uid }, message }]]).get(uid)).toBe(
    'failed to destroy network for sandbox: resource is unreasonably small (< 1kbit)',
  );
});
