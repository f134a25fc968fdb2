// SPDX-License-Identifier: Apache-2.0
// A node that is off: what its NodeEndpoint says of its datapath, which its agent cannot say any more.
import { beforeEach, describe, expect, it } from 'vitest';
import { stripNode } from '../../src/operator/kinds.ts';
import { endpointStatus } from '../../src/wiring/endpoint-status.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

beforeEach(async () => {
  cluster = new ModelCluster();
  cluster.addNode('node-a');
  cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
  await cluster.settle();
});

const at = (ms: number): string => new Date(ms).toISOString();
const say = async (status: string, sinceMs: number): Promise<void> => {
  const node = cluster.nodes.live.get('node-a');
  if (node === undefined) throw new Error('no node-a');
  const conditions = [{ type: 'Ready', status, lastTransitionTime: at(sinceMs) }];
  cluster.nodes.put({ ...node, status: { ...node.status, conditions } });
  await cluster.settle();
};
const datapath = () => {
  const conditions = cluster.endpoints.live.get('node-a')?.status?.conditions ?? [];
  return conditions.find(({ type }) => type === 'DatapathReady');
};
/** As its agent, which speaks for a node whose kubelet alone is silent. */
const agentSays = async (): Promise<void> => {
  const endpoint = cluster.endpoints.live.get('node-a');
  if (endpoint === undefined) throw new Error('no endpoint');
  const said = { type: 'DatapathReady', status: 'True' as const, reason: 'AsDesired', message: '' };
  const conditions = [{ ...said, lastTransitionTime: at(cluster.nowMs) }];
  cluster.endpoints.put({ ...endpoint, status: { ...endpoint.status, conditions } });
  await cluster.settle();
};

describe('a node that the control plane has lost', () => {
  it('does not stay READY: its datapath is Unknown, with since when', async () => {
    const since = cluster.nowMs;
    await say('Unknown', since);
    expect(datapath()).toMatchObject({ status: 'Unknown', reason: 'NodeSilent' });
    expect(datapath()?.message).toContain(`lost the node at ${at(since)}`);
  });

  it('has the word of an agent that has spoken since, though the kubelet stays silent: also to a leader that is new', async () => {
    await cluster.pass(10_000);
    await agentSays();
    await say('Unknown', cluster.nowMs - 5_000);
    expect(datapath()?.status).toBe('True');
  });

  it('is written once, whatever the clocks of machines say', async () => {
    await say('Unknown', cluster.nowMs + 60_000);
    expect(datapath()?.status).toBe('Unknown');
    await agentSays();
    expect(datapath()?.status).toBe('True');
  });

  it('is told from one whose kubelet says that it is not ready, and from one that is well', async () => {
    for (const status of ['False', 'True']) await say(status, cluster.nowMs);
    expect(datapath()?.status).toBe('True');
  });

  it('and whose agent has never spoken is left so: nobody else may take its silence for a word', async () => {
    cluster.endpointWrites.agentless.add('node-b');
    cluster.addNode('node-b', '10.29.15.50');
    await cluster.settle();
    const node = cluster.nodes.live.get('node-b');
    if (node === undefined) throw new Error('no node-b');
    const conditions = [{ type: 'Ready', status: 'Unknown', lastTransitionTime: at(cluster.nowMs) }];
    cluster.nodes.put({ ...node, status: { ...node.status, conditions } });
    await cluster.settle();
    expect(cluster.endpoints.live.get('node-b')?.status?.conditions ?? []).toEqual([]);
  });
});

it('an agent that comes back finds it in its endpoint and says how it is', () => {
  const facts = { isTrue: true, reason: 'AsDesired', message: '' };
  const report = { mtu: 1450, maps: [], orphans: [], conditions: { DatapathReady: facts } };
  const before = endpointStatus({}, report, at(0)) ?? {};
  const silent = (before.conditions ?? []).map((each) => ({
    ...each,
    status: 'Unknown' as const,
    reason: 'NodeSilent',
  }));
  expect(endpointStatus({ ...before, conditions: silent }, report, at(9))?.conditions).toEqual([
    { type: 'DatapathReady', status: 'True', reason: 'AsDesired', message: '', lastTransitionTime: at(9) },
  ]);
});

it('a heartbeat changes nothing of what the controller keeps of a node', () => {
  const node = (lastHeartbeatTime: string) => {
    const ready = { type: 'Ready', status: 'True', lastTransitionTime: at(0), lastHeartbeatTime };
    const disk = { type: 'DiskPressure', status: 'False', lastTransitionTime: at(0) };
    return stripNode({ metadata: { name: 'a' }, status: { conditions: [ready, disk] } });
  };
  expect(node('x')).toEqual(node('y'));
  expect(node('x').status?.conditions).toEqual([{ type: 'Ready', status: 'True', lastTransitionTime: at(0) }]);
});
