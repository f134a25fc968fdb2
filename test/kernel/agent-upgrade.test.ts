// SPDX-License-Identifier: Apache-2.0
// Agents replaced while pods of two nodes speak: by builds with another layout of the maps, and by another mode.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BpfMap, Netns, tcxChain } from 'ebpf-native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileBpf } from '../../scripts/build-bpf.ts';
import { buildFolder, root } from '../../scripts/steps.ts';
import { decodeCounters } from '../../src/datapath/codecs.ts';
import { mapPins } from '../../src/datapath/pins.ts';
import { endpointStatus } from '../../src/wiring/endpoint-status.ts';
import { withoutConntrack } from './datapath-object.ts';
import {
  AgentNode,
  endpointOf,
  inside,
  insideArguments,
  netnsPath,
  one,
  outsideDown,
  outsideUp,
  ping,
  two,
} from './agent-node.ts';
import { record } from './memory-records.ts';

let nodes: [AgentNode, AgentNode];

beforeAll(async () => {
  await outsideUp();
  const endpoints = [endpointOf(one, ['10.244.10.0', '10.244.10.2']), endpointOf(two, ['10.244.10.1'])];
  nodes = [await AgentNode.up(one, endpoints), await AgentNode.up(two, endpoints)];
  await wire(nodes[0], 'p1', '10.244.10.0', 'one');
  await wire(nodes[0], 'p2', '10.244.10.2', 'one');
  await wire(nodes[1], 'q1', '10.244.10.1', 'two');
});

afterAll(async () => {
  for (const node of nodes ?? []) await node.down();
  outsideDown();
});

async function wire(node: AgentNode, pod: string, address: string, nodeName: string): Promise<void> {
  node.sandbox(pod);
  node.records.put(record(address, pod, { nodeName }));
  await node.add(pod, pod);
}

/** Pings at 100 Hz while `work` goes on; answers what ping says in its last line but one. */
async function whilePinging(to: string, work: () => Promise<void>): Promise<string> {
  const pinging = spawn('ip', insideArguments('p1', 'busybox', 'ping', '-q', '-c', '200', '-i', '0.01', '-W', '1', to));
  let text = '';
  pinging.stdout.on('data', (part: Buffer) => {
    text += part.toString();
  });
  const ended = once(pinging, 'close');
  await work();
  await ended;
  return /.*packet loss/.exec(text)?.[0] ?? text;
}

const noneLost = '200 packets transmitted, 200 packets received, 0% packet loss';

async function restart(node: AgentNode, options: AgentNode['options']): Promise<void> {
  await node.stop();
  Object.assign(node.options, options);
  await node.start();
}

/** Writes what the agent says of its node where the other agents see it. */
function publish(node: AgentNode): void {
  const at = nodes.indexOf(node);
  const endpoint = node.endpoints[at];
  const fastPath = { isTrue: true, reason: 'Conntrack', message: '' };
  const status = endpointStatus({}, node.wiring.report(fastPath), '2026-01-01T00:00:00Z');
  if (endpoint !== undefined && status !== undefined) node.endpoints[at] = { ...endpoint, status };
}

/** Packets by counter, from the maps that are pinned now. */
function counted(node: AgentNode): Record<string, number> {
  const map = BpfMap.openPinned(mapPins(node.pinFolder, node.options.layout)['counters'] ?? '');
  const readings = decodeCounters(map.entries());
  map.close();
  return Object.fromEntries(readings.map(({ name, packets }) => [name, Number(packets)]));
}

function programsOn(device: string): number[] {
  const [{ ifindex }] = JSON.parse(inside('one', 'ip', '-j', 'link', 'show', device)) as [{ ifindex: number }];
  const netns = Netns.open(netnsPath('one'));
  const chain = netns.run(() => tcxChain(ifindex, 'ingress').programs.map(({ programId }) => programId));
  netns.close();
  return chain;
}

describe('an agent of a build with another layout', () => {
  it.each([
    ['up', 7, 8, '10.244.10.1'],
    ['down', 8, 7, '10.244.10.1'],
    ['up, between pods of one node', 7, 8, '10.244.10.2'],
  ])('takes over without a lost ping: %s', async (_, from, to, address) => {
    const [node] = nodes;
    await restart(node, { layout: from });
    const before = programsOn('fast_vxlan');
    expect(await whilePinging(address, () => restart(node, { layout: to }))).toBe(noneLost);
    const after = programsOn('fast_vxlan');
    expect([before.length, after.length]).toEqual([1, 1]);
    expect(after).not.toEqual(before);
    expect(readdirSync(node.pinFolder)).toEqual([`v${to}`]);
    expect(inside('one', 'tc', 'filter', 'show', 'dev', node.veths()[0] ?? '', 'ingress')).toContain('fast_from_pod');
    const received = counted(node)['from_overlay_local'] ?? 0;
    ping('p1', '10.244.10.1');
    expect(counted(node)['from_overlay_local']).toBe(received + 5);
  });

  it('keeps the former build’s pins while its own programs are not everywhere', async () => {
    const [node] = nodes;
    await restart(node, { layout: 7 });
    await node.stop();
    Object.assign(node.options, { layout: 8 });
    // An ingress qdisc in the place of clsact: from_pod cannot be attached.
    const veth = node.veths()[0] ?? '';
    inside('one', 'tc', 'qdisc', 'del', 'dev', veth, 'clsact');
    inside('one', 'tc', 'qdisc', 'add', 'dev', veth, 'ingress');
    await expect(node.start()).rejects.toThrow('ingress');
    expect(readdirSync(node.pinFolder).toSorted()).toEqual(['v7', 'v8']);
    inside('one', 'tc', 'qdisc', 'del', 'dev', veth, 'ingress');
    await node.compare();
    expect(readdirSync(node.pinFolder)).toEqual(['v8']);
    await restart(node, {});
  });
});

describe('a kernel without the conntrack functions', () => {
  it('has all pod traffic go through the stack, on one node and across', async () => {
    const bpfObject = join(buildFolder, 'test/agent-no-conntrack.bpf.o');
    await compileBpf(join(root, 'bpf/fast.bpf.c'), bpfObject, withoutConntrack);
    const [node] = nodes;
    await restart(node, { bpfObject });
    const before = counted(node);
    expect(ping('p1', '10.244.10.2')).toEqual({ received: 5, ttls: [63] });
    expect(ping('p1', '10.244.10.1').received).toBe(5);
    const after = counted(node);
    const by = (name: string): number => (after[name] ?? 0) - (before[name] ?? 0);
    expect([by('from_pod_local'), by('from_pod_tunnel'), by('from_overlay_local')]).toEqual([0, 0, 0]);
    expect(by('from_pod_fast_path_off')).toBe(15);
    delete node.options.bpfObject;
    await restart(node, {});
  });
});

describe('mode direct', () => {
  const [p1ToQ1, q1ToP1] = ['10.244.10.1', '10.244.10.0'];

  async function everybody(mode: 'tunnel' | 'direct'): Promise<void> {
    for (const node of nodes) {
      await restart(node, { mode });
      publish(node);
    }
    for (const node of nodes) await node.compare();
  }

  it('loses no ping on the way there, and sends without a tunnel', async () => {
    expect(await whilePinging(p1ToQ1, () => everybody('direct'))).toBe(noneLost);
    const before = counted(nodes[0]);
    expect(ping('p1', p1ToQ1)).toEqual({ received: 5, ttls: [64] });
    expect(ping('q1', q1ToP1)).toEqual({ received: 5, ttls: [64] });
    const after = counted(nodes[0]);
    const moved = Object.entries(after).filter(([name, packets]) => packets !== before[name]);
    expect(moved.map(([name]) => name).filter((name) => name !== 'from_uplink_other')).toEqual([
      'from_pod_direct',
      'from_uplink_local',
    ]);
  });

  it('joins nodes and pods both ways', () => {
    expect(ping('one', p1ToQ1).received).toBe(5);
    expect(ping('p1', two.nodeAddress).received).toBe(5);
    expect(ping('p1', two.overlayAddress).received).toBe(5);
    expect(ping('one', two.overlayAddress).received).toBe(5);
  });

  it('sends nothing directly to a node that does not say that it listens', async () => {
    const endpoint = nodes[0].endpoints[1];
    if (endpoint?.status === undefined) throw new Error('node two has not spoken');
    nodes[0].endpoints[1] = { ...endpoint, status: {} };
    await nodes[0].compare();
    const before = counted(nodes[0])['from_pod_tunnel'] ?? 0;
    expect(ping('p1', p1ToQ1).received).toBe(5);
    expect(counted(nodes[0])['from_pod_tunnel']).toBe(before + 5);
    nodes[0].endpoints[1] = endpoint;
    await nodes[0].compare();
  });

  it('loses no ping on the way back, and listens on until the others know', async () => {
    expect(await whilePinging(p1ToQ1, () => everybody('tunnel'))).toBe(noneLost);
    expect(programsOn('up0')).toHaveLength(1);
    const before = counted(nodes[0])['from_pod_tunnel'] ?? 0;
    ping('p1', p1ToQ1);
    expect(counted(nodes[0])['from_pod_tunnel']).toBe(before + 5);
  });
});
