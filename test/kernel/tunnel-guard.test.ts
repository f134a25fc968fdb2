// SPDX-License-Identifier: Apache-2.0
// A pod that wraps packets itself and sends them to another node's end of the tunnel, as its neighbours would.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeCounters } from '../../src/datapath/codecs.ts';
import { AgentNode, endpointOf, inside, one, outsideDown, outsideUp, two } from './agent-node.ts';
import { frame, ipv4 } from './packets.ts';

const [sender, neighbour, target] = ['10.244.10.0', '10.244.10.1', '10.244.10.9'];
let nodes: AgentNode[] = [];

beforeAll(async () => {
  await outsideUp();
  const endpoints = [endpointOf(one, [sender, neighbour]), endpointOf(two, [target])];
  nodes = [await AgentNode.up(one, endpoints), await AgentNode.up(two, endpoints)];
  await nodes[0]?.addPod('p1', sender);
  await nodes[1]?.addPod('p9', target, { nodeName: 'two', nodeUID: 'node-two' });
});

afterAll(async () => {
  for (const node of nodes) await node.down();
  outsideDown();
});

/** RFC 7348 section 5: the flag that there is a network number, and the number 1. */
const vxlanHeader = Buffer.from('0800000000000100', 'hex');

/** Sends it as an ordinary datagram, which takes no right at all. */
function sendWrapped(source: string): void {
  const inner = frame('0800', ipv4({ source, destination: target, protocol: 'udp' }));
  const hex = Buffer.concat([vxlanHeader, inner]).toString('hex');
  const script = `const s = require('node:dgram').createSocket('udp4');
    s.send(Buffer.from('${hex}', 'hex'), 4789, '${two.nodeAddress}', () => s.close());`;
  inside('p1', process.execPath, '-e', script);
}

/** How many packets from_overlay of the other node has brought to its pod. */
function brought(): bigint {
  const counters = nodes[1]?.wiring.counters;
  if (counters === undefined) throw new Error('there is no second node');
  return decodeCounters(counters.entries()).find(({ name }) => name === 'from_overlay_local')?.packets ?? 0n;
}

it('does not pass for its neighbour on another node', async () => {
  const before = brought();
  sendWrapped(neighbour);
  sendWrapped(one.overlayAddress);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(brought() - before).toBe(0n);
});

it('would without the rule, which is mended when somebody takes it away', async () => {
  inside('one', 'nft', 'flush', 'chain', 'ip', 'fast', 'forward');
  const before = brought();
  sendWrapped(neighbour);
  await expect.poll(() => brought() - before).toBe(1n);
  await nodes[0]?.compare();
  sendWrapped(neighbour);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(brought() - before).toBe(1n);
});
