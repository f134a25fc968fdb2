// SPDX-License-Identifier: Apache-2.0
// What is left by a runtime that sends no DEL and knows no GC (containerd 1.6): the agent takes it away by its own
// comparison, as soon as it is sure whose it is no longer.
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { delGraceMs } from '../../src/wiring/record-report.ts';
import { endpointOf, ping, two } from './agent-node.ts';
import { leaveNothing, node, useNode } from './bench.ts';
import { eventually } from './eventually.ts';
import { record } from './memory-records.ts';
import { tracesOf } from './traces.ts';

const address = '10.244.10.0';
const clock = new FakeClock();

useNode({ clock });
leaveNothing();

beforeEach(async () => {
  await node.addPod('p1', address);
  expect(tracesOf(node, address)).toHaveLength(4);
});

const traces = (): string[] => tracesOf(node, address);

/** The kernel ends a namespace and the wire in it behind the last reference. */
async function loseSandbox(): Promise<void> {
  node.removeSandbox('p1');
  await eventually(() => (node.veths().length === 0 ? true : undefined));
}

async function compared(): Promise<string[]> {
  await node.compare();
  await node.wiring.remover.settled();
  return traces();
}

describe('a sandbox that ended without a DEL', () => {
  it('leaves no entry and no wire in the book', async () => {
    await loseSandbox();
    expect(traces()).toEqual(['entry 10.244.10.0']);
    expect(await compared()).toEqual([]);
    expect(node.wiring.book.list()).toEqual([]);
  });

  it('leaves none when no agent was there to see it', async () => {
    await node.stop();
    await loseSandbox();
    await node.start();
    expect(traces()).toEqual([]);
    expect(node.wiring.book.list()).toEqual([]);
  });

  it('of a pod that was released is told to the controller as gone', async () => {
    const bound = node.records.get(address) ?? record(address, 'p1');
    await loseSandbox();
    node.records.put({ ...bound, spec: { ...bound.spec, state: 'Releasing' } });
    await node.compare();
    await clock.advance(1_000);
    expect(node.records.get(address)?.status?.released).toEqual({ owner: { uid: 'p1' } });
  });
});

describe('a namespace that outlives its pod', () => {
  const release = (): void => {
    const bound = node.records.get(address) ?? record(address, 'p1');
    node.records.put({ ...bound, spec: { ...bound.spec, state: 'Releasing' } });
  };

  it('loses its wire half a minute after the pod, and not before', async () => {
    release();
    await clock.advance(delGraceMs - 1_000);
    expect(await compared()).toHaveLength(4);
    expect(node.records.get(address)?.status?.released).toBeUndefined();
    await clock.advance(2_000);
    await node.wiring.remover.settled();
    expect(traces()).toEqual([]);
    await clock.advance(1_000);
    expect(node.records.get(address)?.status?.released).toEqual({ owner: { uid: 'p1' } });
  });

  it('loses its wire too when the agent begins anew meanwhile', async () => {
    await node.stop();
    release();
    await node.start();
    expect(traces()).toHaveLength(4);
    await clock.advance(delGraceMs + 1_000);
    await node.wiring.remover.settled();
    expect(traces()).toEqual([]);
  });

  it('loses its wire when the address was given to another pod of the node', async () => {
    await node.stop();
    node.records.remove(address);
    node.records.put(record(address, 'p2'));
    await node.start();
    await node.wiring.remover.settled();
    expect(traces()).toEqual([]);
  });

  it('loses its wire when the address was given to another node', async () => {
    await node.stop();
    node.records.remove(address);
    node.endpoints.push(endpointOf(two, [address]));
    await node.start();
    await node.wiring.remover.settled();
    node.endpoints.pop();
    expect(traces()).toEqual([]);
  });

  it('keeps it while nobody says whose the address is now', async () => {
    node.records.remove(address);
    expect(await compared()).toHaveLength(4);
    expect(ping('one', address, 1).received).toBe(1);
  });
});

describe('a wire that the kernel did not let go', () => {
  it('is taken away by the next comparison', async () => {
    const [veth] = node.veths();
    const mend = node.failing(`delete ${veth}`);
    await node.del('p1', 'p1');
    mend();
    expect(node.veths()).toEqual([veth]);
    expect(await compared()).toEqual([]);
    expect(node.wiring.book.leaving()).toEqual([]);
  });
});
