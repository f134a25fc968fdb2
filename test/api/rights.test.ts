// SPDX-License-Identifier: Apache-2.0
// The rights and policies of config/ on a real API server, with real bound tokens: the controller runs with its own account
// alone, an agent speaks for its own node alone, each refusal names its rule, and no rule is there that nobody needs.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import { daemonSets } from '../../src/kube/resources.ts';
import { InstallReconciler } from '../../src/operator/install.ts';
import { endpointKind, recordKind } from '../../src/operator/kinds.ts';
import { type Rule, rightOf, rightsOf } from './access-rights.ts';
import { ApiLines, type Line } from './api-lines.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';
import { OperatorProcess } from './operator-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const namespace = 'fast-system';

let cluster: HollowCluster;
let lines: ApiLines;
let line: Line;
let controller: OperatorProcess | undefined;
let agent: KubeClient;

/** A token of a ServiceAccount of Fast, bound to a pod, and so to that pod's node, if one is named. */
async function tokenOf(account: string, pod?: string): Promise<string> {
  const bound = pod === undefined ? [] : ['--bound-object-kind=Pod', `--bound-object-name=${pod}`];
  return (await cluster.kubectl(['-n', namespace, 'create', 'token', account, ...bound])).trim();
}

function clientWith(name: string, token: string): KubeClient {
  return connect({ fieldManager: name, kubeconfig: lines.add(name, token).kubeconfig });
}

beforeAll(async () => {
  cluster = await HollowCluster.start();
  lines = await ApiLines.start(cluster.server);
});

afterAll(async () => {
  controller?.kill('SIGKILL');
  await agent?.close();
  await lines?.stop();
  await cluster?.stop();
});

it('says which policy is missing or does not bite, once each, by log, event and metric', async () => {
  const said: string[] = [];
  const hear = (fields: object, message: string): void => void said.push(`${message} ${JSON.stringify(fields)}`);
  const log = { debug: hear, info: hear, warn: hear, error: hear, child: () => log };
  const [metrics, notes] = [new Metrics(), Array.of<string>()];
  const install = new InstallReconciler({
    client: cluster.client,
    namespace,
    knobs: () => undefined,
    agents: () => undefined,
    term: 'one',
    pool: () => undefined,
    events: { record: ({ note }) => void notes.push(note) },
    metrics,
    log,
  });
  const look = async (): Promise<{ said: string | undefined; note: string | undefined; problems: number }> => {
    for (const _ of ['once', 'and again']) await install.reconcile(new AbortController().signal);
    expect([said.length <= 1, notes.length <= 1]).toEqual([true, true]);
    const text = await metrics.registry.getSingleMetricAsString('fast_admission_policy_problems');
    return { said: said.shift(), note: notes.shift(), problems: Number(/\d+$/.exec(text)?.[0]) };
  };
  const before = await look();
  expect(before.problems).toBe(4);
  expect(before.said).toContain('kubectl apply -k config/policy');
  expect(before.said).toContain('ValidatingAdmissionPolicyBinding fast-records is missing');
  expect(before.note).toContain('ValidatingAdmissionPolicy fast-agents is missing; ');
  await cluster.kubectl(['apply', '-k', join(root, 'config/policy')]);
  expect(await look()).toEqual({
    said: 'the admission policies are as they should be again {}',
    note: undefined,
    problems: 0,
  });
  const binding = ['validatingadmissionpolicybinding', 'fast-agents', '--type=merge', '-p'];
  await cluster.kubectl(['patch', ...binding, '{"spec":{"validationActions":["Audit"]}}']);
  expect((await look()).note).toContain('fast-agents does not deny (validationActions Audit)');
  await cluster.kubectl(['patch', ...binding, '{"spec":{"validationActions":["Deny"]}}']);
  expect((await look()).problems).toBe(0);
});

describe('with the rights of config/rbac alone', () => {
  beforeAll(async () => {
    await cluster.kubectl(['apply', '-k', join(root, 'config/rbac')]);
    await cluster.kubectl(['apply', '-f', join(root, 'config/controller/config.yaml')]);
    await cluster.addNode('node-a', '10.29.15.49');
    await cluster.addNode('node-b', '10.29.15.50');
    line = lines.add('controller', await tokenOf('fast-controller-manager'));
    controller = new OperatorProcess(line.kubeconfig, 'one');
    const spec = { nodeName: 'node-a', serviceAccountName: 'fast-agent', containers: [{ name: 'a', image: 'a' }] };
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'agent-a', namespace }, spec };
    await cluster.kubectl(['create', '-f', '-'], JSON.stringify({ ...pod, spec: { ...spec, hostNetwork: true } }));
    agent = clientWith('agent-a', await tokenOf('fast-agent', 'agent-a'));
  });

  it('the controller does all that it has to: agents, pools, nodes, addresses, their end, events', async () => {
    await eventually('the DaemonSet', () => cluster.client.find(daemonSets, 'fast-agent', namespace));
    await eventually('an overlay address', async () => (await cluster.endpoint('node-a'))?.spec.overlayAddress);
    await cluster.addPool('sample-ips', ['10.244.10.0-10.244.10.1'], { coolDownSeconds: 0 });
    await cluster.addPod('gated', undefined, 'sample-ips', { schedulingGates: [{ name: 'fast.io/address' }] });
    const gates = ['get', 'pod', 'gated', '-o', 'jsonpath={.spec.schedulingGates}'];
    await eventually('the gate being lifted', async () => (await cluster.kubectl(gates)) === '');
    for (const [name, node] of [
      ['a', 'node-a'],
      ['b', 'node-b'],
    ] as const) {
      await cluster.addPod(name, node, 'sample-ips');
      await cluster.addressOf(name);
    }
    await eventually('counts', async () => (await cluster.pool('sample-ips'))?.status?.bound === 2);
    await cluster.addPod('c', 'node-a', 'sample-ips');
    await eventually('an event', async () => (await cluster.kubectl(['get', 'events'])).includes('is exhausted'));
    await cluster.removePod('b');
    await cluster.sayReleased(await cluster.addressOf('b'));
    expect(await cluster.addressOf('c')).toBe('10.244.10.1');
    await cluster.kubectl(['-n', namespace, 'delete', 'daemonset', 'fast-agent']);
    await eventually('another DaemonSet', () => cluster.client.find(daemonSets, 'fast-agent', namespace));
    await cluster.addPod('d', 'node-b', 'sample-ips');
    await eventually('a repeated event', async () => (await cluster.kubectl(['get', 'events'])).includes('pod/d'));
  });

  it("an agent writes the status of its own node's records and endpoint", async () => {
    const [own, endpoint] = [await recordOf('node-a'), await endpointOf('node-a')];
    const attached = { owner: { uid: own.spec.owner.uid }, containerID: 'c', interface: 'i' };
    const written = await agent.replaceStatus(recordKind, { ...own, status: { ...own.status, attached } });
    expect(written.status?.attached?.interface).toBe('i');
    await agent.replaceStatus(endpointKind, { ...endpoint, status: { ...endpoint.status, mtu: 1450 } });
    expect((await endpointOf('node-a')).status?.mtu).toBe(1450);
  });

  it('by a write of the status nothing else changes: no owner, no label, no finalizer', async () => {
    const own = await recordOf('node-a');
    const metadata = { ...own.metadata, labels: { a: 'b' }, finalizers: ['a.b/c'] };
    const spec = { ...own.spec, owner: { ...own.spec.owner, uid: 'mine' } };
    // The API server takes the status alone, and judges the rest by what is there.
    await agent.replaceStatus(recordKind, { ...own, metadata, spec });
    const { metadata: after, spec: specAfter } = await recordOf('node-a');
    expect([after.labels, after.finalizers, specAfter]).toEqual([undefined, undefined, own.spec]);
  });

  /** What an agent of node-a tries with a record of node-b (`other`), one of its own, and endpoints. */
  interface Prey {
    readonly own: IpAllocation;
    readonly other: IpAllocation;
    readonly endpoint: NodeEndpoint;
    readonly otherEndpoint: NodeEndpoint;
  }
  const released = (record: IpAllocation): IpAllocation => ({
    ...record,
    status: { ...record.status, released: { owner: { uid: record.spec.owner.uid } } },
  });
  const attached = (record: IpAllocation): IpAllocation => ({
    ...record,
    status: { ...record.status, attached: { owner: { uid: 'x' }, containerID: 'x', interface: 'x' } },
  });
  const ofNode = (record: IpAllocation, nodeName: string): IpAllocation => ({
    ...record,
    spec: { ...record.spec, nodeName },
  });
  const free = (record: IpAllocation): IpAllocation => {
    const [name, { resourceVersion: _, uid: __, ...metadata }] = ['10.244.10.9', record.metadata];
    return { ...record, metadata: { ...metadata, name }, spec: { ...record.spec, address: name } };
  };
  const cannot = (verb: string, plural: string): string =>
    `User "system:serviceaccount:fast-system:fast-agent" cannot ${verb} resource "${plural}" in API group "sample.fast.io"`;
  const policy = (name: string): string =>
    `ValidatingAdmissionPolicy '${name}' with binding '${name}' denied request: `;
  const notYours = `${policy('fast-agents')}the agent of node "node-a" may not write the status of `;
  const attempts: [what: string, (by: KubeClient, prey: Prey) => Promise<unknown>, refusal: string][] = [
    ["take another's address", (by, { other }) => by.replaceStatus(recordKind, attached(other)), notYours],
    ["free another's address", (by, { other }) => by.replaceStatus(recordKind, released(other)), notYours],
    [
      "free another's address as if it were its own node's",
      (by, { other }) => by.replaceStatus(recordKind, ofNode(released(other), 'node-a')),
      notYours,
    ],
    [
      "write another node's endpoint",
      (by, { otherEndpoint }) => by.replaceStatus(endpointKind, otherEndpoint),
      `${notYours}node-b, which belongs to node "node-b"`,
    ],
    ["rewrite another's record", (by, { other }) => by.replace(recordKind, other), cannot('update', 'ipallocations')],
    [
      "move another's record to itself",
      (by, { other }) => by.replace(recordKind, ofNode(other, 'node-a')),
      cannot('update', 'ipallocations'),
    ],
    [
      "delete another's record",
      (by, { other }) => by.delete(recordKind, other.metadata.name),
      cannot('delete', 'ipallocations'),
    ],
    ['create a record', (by, { own }) => by.create(recordKind, free(own)), cannot('create', 'ipallocations')],
    [
      'create a record by server-side apply',
      (by, { own }) => by.patch(recordKind, '10.244.10.9', { spec: free(own).spec }, { type: 'apply' }),
      cannot('patch', 'ipallocations'),
    ],
    ["change its own record's spec", (by, { own }) => by.replace(recordKind, own), cannot('update', 'ipallocations')],
    [
      'put a finalizer on its own record',
      (by, { own }) =>
        by.patch(recordKind, own.metadata.name, { metadata: { finalizers: ['a/b'] } }, { type: 'merge' }),
      cannot('patch', 'ipallocations'),
    ],
    [
      'patch its own status, which no resourceVersion has to fence',
      (by, { own }) => by.patch(recordKind, own.metadata.name, {}, { type: 'merge', subresource: 'status' }),
      cannot('patch', 'ipallocations/status'),
    ],
    [
      'delete its own record',
      (by, { own }) => by.delete(recordKind, own.metadata.name),
      cannot('delete', 'ipallocations'),
    ],
    ["change its own endpoint's spec", (by, { endpoint }) => by.replace(endpointKind, endpoint), 'cannot update'],
    [
      'delete an endpoint',
      (by, { otherEndpoint: { metadata } }) => by.delete(endpointKind, metadata.name),
      'cannot delete',
    ],
  ];

  it.each(attempts)('an agent of one node may not %s, and is told by which rule', async (_what, attempt, refusal) => {
    const prey = await readPrey();
    await expect(attempt(agent, prey)).rejects.toThrow(refusal);
    await expect(attempt(agent, prey)).rejects.toMatchObject({ reason: 'forbidden' });
    expect(await readPrey()).toEqual(prey);
  });

  it('a token that is bound to no node writes no status at all', async () => {
    const unbound = clientWith('unbound', await tokenOf('fast-agent'));
    const { own, endpoint } = await readPrey();
    const refusal = 'the token of the agent names no node, so it may not write the status of';
    await expect(unbound.replaceStatus(recordKind, attached(own))).rejects.toThrow(refusal);
    await expect(unbound.replaceStatus(endpointKind, endpoint)).rejects.toThrow(refusal);
    await unbound.close();
  });

  it('nobody but the controller makes, changes or deletes a record, whatever other rights he has', async () => {
    const { own } = await readPrey();
    const only = 'is written by fast-controller-manager alone, not by admin';
    await expect(cluster.client.delete(recordKind, own.metadata.name)).rejects.toThrow(
      `${policy('fast-records')}IpAllocation ${own.metadata.name} ${only}`,
    );
    await expect(cluster.client.replace(recordKind, own)).rejects.toThrow(only);
    await expect(cluster.client.create(recordKind, free(own))).rejects.toThrow(only);
    await cluster.kubectl([
      'create',
      'clusterrolebinding',
      'loose',
      '--clusterrole=cluster-admin',
      `--serviceaccount=${namespace}:fast-agent`,
    ]);
    await eventually('the looser rights', async () =>
      expect(agent.delete(recordKind, own.metadata.name))
        .rejects.toThrow(
          `${policy('fast-records')}IpAllocation ${own.metadata.name} is written by fast-controller-manager alone`,
        )
        .then(
          () => true,
          () => false,
        ),
    );
    await cluster.kubectl(['delete', 'clusterrolebinding', 'loose']);
  });

  it('the controller has no right that it does not use', async () => {
    controller?.kill('SIGTERM');
    expect(await controller?.ended()).toBe(0);
    const roles = await Promise.all(
      [
        ['clusterrole', 'fast-controller-manager'],
        ['clusterrole', 'fast-events'],
        ['role', 'fast-controller-manager', '-n', namespace],
      ].map(async (which) => {
        const text = await cluster.kubectl(['get', ...which, '-o', 'json']);
        return (JSON.parse(text) as { rules: Rule[] }).rules;
      }),
    );
    const granted = new Set(roles.flat().flatMap(rightsOf));
    const used = new Set(line.exchanges.filter(({ status }) => status !== 403).map(rightOf));
    const refused = line.exchanges.filter(({ status }) => status === 403).map(rightOf);
    expect(refused).toEqual([]);
    expect([...used].filter((right) => !granted.has(right))).toEqual([]);
    expect([...granted].filter((right) => !used.has(right) && !isForLater(right)).sort()).toEqual([]);
  });
});

/** Rights for what does not happen in these few seconds, each with the code that asks for them. */
const forLater = [
  // Informers stream their lists by a watch; a server that cannot is asked for pages.
  /^list /,
  // src/reconcilers: confirmed by a live read before an address is taken away, or after a watch that never showed it.
  'get ipallocations.sample.fast.io',
  'get pods',
  'get nodes',
  'get statefulsets.apps',
  // Server-side apply asks for it where the object is absent, beside the right to patch.
  'create daemonsets.apps',
  // An event that is repeated within minutes is a series.
  'patch events.events.k8s.io',
  // release.ts: the word of a node that is gone, after 60 s of fence.
  'update ipallocations.sample.fast.io/status',
  // silent-node.ts: when the control plane has lost a node.
  'update nodeendpoints.sample.fast.io/status',
  // node-reconciler.ts: when the last record of a node that is gone has gone.
  'delete nodeendpoints.sample.fast.io',
];

function isForLater(right: string): boolean {
  return forLater.some((each) => (typeof each === 'string' ? each === right : each.test(right)));
}

async function recordOf(node: string): Promise<IpAllocation> {
  const found = (await cluster.records()).find(({ spec }) => spec.nodeName === node && spec.owner.kind === 'Pod');
  if (found === undefined) throw new Error(`no record of ${node}`);
  return found;
}

async function endpointOf(node: string): Promise<NodeEndpoint> {
  const found = await cluster.endpoint(node);
  if (found === undefined) throw new Error(`no endpoint of ${node}`);
  return found;
}

async function readPrey() {
  const all = (await cluster.records()).filter(({ spec }) => spec.owner.kind === 'Node');
  const [own, other] = ['node-a', 'node-b'].map((node) => all.find(({ spec }) => spec.nodeName === node));
  if (own === undefined || other === undefined) throw new Error('no records');
  return { own, other, endpoint: await endpointOf('node-a'), otherEndpoint: await endpointOf('node-b') };
}
