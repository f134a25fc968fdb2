// SPDX-License-Identifier: Apache-2.0
// What the kernel makes wait, and whom: no ADD and no DEL before its answer, and those that go at once only once together.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AgentNode, endpointOf, one, outsideDown, outsideUp, record } from './agent-node.ts';

let node: AgentNode;

beforeAll(async () => {
  await outsideUp();
  node = await AgentNode.up(one, [endpointOf(one)]);
});

afterAll(async () => {
  await node?.down();
  outsideDown();
});

afterEach(async () => {
  await node.clear();
  expect(node.veths()).toEqual([]);
});

describe('the way to an answer', () => {
  it('waits for no grace period of the kernel in any step', async () => {
    const times = new Map<string, number[]>();
    let begunMs = 0;
    const stop = node.observe({
      begins: () => {
        begunMs = performance.now();
      },
      ended: (step) => {
        // Names of interfaces, which differ from pod to pod, are no part of what the step is.
        const kind = step.replace(/fast[0-9a-f]{10}/g, 'the veth');
        times.set(kind, [...(times.get(kind) ?? []), performance.now() - begunMs]);
      },
    });
    for (let time = 0; time < 15; time += 1) {
      node.sandbox('p1');
      node.records.put(record('10.244.10.0', 'p1'));
      await node.add('p1', 'p1');
      await node.del('p1', 'p1');
      node.removeSandboxes();
    }
    stop();
    const fastest = Object.fromEntries([...times].map(([step, ms]) => [step, Math.min(...ms)]));
    const behind = Object.keys(fastest).filter((step) => /^(delete|flush)/.test(step));
    expect(behind).toEqual(['delete the veth', 'flush conntrack of 10.244.10.0']);
    // A grace period takes 8 ms at the least, whatever else the machine does.
    const slow = Object.entries(fastest).filter(([step, ms]) => ms > 4 && !behind.includes(step));
    expect(Object.keys(fastest)).toHaveLength(11);
    expect(slow).toEqual([]);
    expect(fastest['delete the veth']).toBeGreaterThan(4);
  });
});

describe('a DEL', () => {
  it('leaves its sandbox free for the next ADD, although its veth waits for those of others to go', async () => {
    for (const [pod, address] of [
      ['p1', '10.244.10.0'],
      ['p2', '10.244.10.1'],
    ] as const) {
      node.sandbox(pod);
      node.records.put(record(address, pod));
      await node.add(pod, pod);
    }
    const { attachments } = node.wiring;
    expect(await attachments.del(node.request('DEL', 'p2', 'p2'))).toEqual({ ok: true });
    // Its deletion has begun when the other one comes.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(await attachments.del(node.request('DEL', 'p1', 'p1'))).toEqual({ ok: true });
    expect((await node.add('p1', 'p1')).address).toBe('10.244.10.0');
    await node.wiring.remover.settled();
    expect(node.veths()).toHaveLength(1);
  });

  it('of many pods at once shares what the kernel waits for', async () => {
    const pods = Array.from({ length: 20 }, (_, at) => `m${at}`);
    for (const [at, pod] of pods.entries()) {
      node.sandbox(pod);
      node.records.put(record(`10.244.10.${at}`, pod));
      await node.add(pod, pod);
    }
    const deleted: number[] = [];
    const stop = node.observe({ ended: (step) => step.startsWith('delete ') && deleted.push(performance.now()) });
    await Promise.all(pods.map((pod) => node.wiring.attachments.del(node.request('DEL', pod, pod))));
    await node.wiring.remover.settled();
    stop();
    expect(node.veths()).toEqual([]);
    // One after the other they are 20 moments, at least 8 ms apart.
    const moments = deleted.filter((ms, at) => at === 0 || ms - (deleted[at - 1] ?? 0) > 4);
    expect(moments.length).toBeLessThan(6);
  });
});
