// SPDX-License-Identifier: Apache-2.0
// What the kernel makes wait, and whom: no ADD and no DEL before its answer, and those that go at once only once together.
import { RouteSocket } from 'ebpf-native';
import { describe, expect, it, vi } from 'vitest';
import { inside, one } from './agent-node.ts';
import { leaveNothing, node, useNode } from './bench.ts';
import { eventually } from './eventually.ts';
import { record } from './memory-records.ts';
import { udpSocketIn } from './udp-socket.ts';

useNode();
leaveNothing();

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
      await node.addPod('p1', '10.244.10.0');
      await node.del('p1', 'p1');
      node.removeSandboxes();
    }
    stop();
    const fastest = Object.fromEntries([...times].map(([step, ms]) => [step, Math.min(...ms)]));
    const behind = Object.keys(fastest).filter((step) => /^(delete|flush)/.test(step));
    expect(behind).toEqual(['delete the veth', 'flush conntrack of 10.244.10.0']);
    // A grace period takes 8 ms at the least, whatever else the machine does.
    const slow = Object.entries(fastest).filter(([step, ms]) => ms > 4 && !behind.includes(step));
    expect(Object.keys(fastest)).toHaveLength(12);
    expect(slow).toEqual([]);
    expect(fastest['delete the veth']).toBeGreaterThan(4);
  });

  it('ends with a network that loses not the first packet, from the pod or to it', async () => {
    const heard = new Set<string>();
    const hear = (text: Buffer): void => void heard.add(text.toString());
    const host = udpSocketIn('one', 9000).on('message', hear);
    const lost: string[] = [];
    for (let at = 0; at < 30; at += 1) {
      node.pod(`p${at}`, `10.244.10.${at}`);
      const pod = udpSocketIn(`p${at}`, 9000).on('message', hear);
      await node.add(`p${at}`, `p${at}`);
      pod.send(`from ${at}`, 9000, one.nodeAddress);
      host.send(`to ${at}`, 9000, `10.244.10.${at}`);
      const missing = (): string[] => [`from ${at}`, `to ${at}`].filter((text) => !heard.has(text));
      await eventually(() => missing().length === 0 || undefined, 200).catch(() => lost.push(...missing()));
      pod.close();
    }
    host.close();
    expect(lost).toEqual([]);
  });
});

describe('an ADD that waits for its record', () => {
  it('is refused when Fast is to leave the node, and wires nothing when the record comes after all', async () => {
    node.sandbox('p1');
    const { attachments } = node.wiring;
    const waiting = attachments.add(node.request('ADD', 'p1', 'p1'));
    const startMs = performance.now();
    attachments.refuse('the node is to be without Fast');
    const refused = { ok: false, code: 11, msg: 'the node is to be without Fast' };
    expect(await waiting).toEqual(refused);
    expect(performance.now() - startMs).toBeLessThan(1000);
    node.records.put(record('10.244.10.0', 'p1'));
    expect(await attachments.add(node.request('ADD', 'p1', 'p1'))).toEqual(refused);
    expect(node.veths()).toEqual([]);
    await node.stop();
    await node.start();
  });
});

describe('a DEL', () => {
  /** The first of two deletions has begun when the second comes, so that the second has to wait for it. */
  async function deleteBoth(): Promise<void> {
    await node.addPod('p1', '10.244.10.0');
    await node.addPod('p2', '10.244.10.1');
    const { attachments } = node.wiring;
    expect(await attachments.del(node.request('DEL', 'p2', 'p2'))).toEqual({ ok: true });
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(await attachments.del(node.request('DEL', 'p1', 'p1'))).toEqual({ ok: true });
  }

  it('leaves its sandbox free for the next ADD, although its veth waits for those of others to go', async () => {
    await deleteBoth();
    expect((await node.add('p1', 'p1')).address).toBe('10.244.10.0');
    await node.wiring.remover.settled();
    expect(node.veths()).toHaveLength(1);
  });

  it('leaves its namespace free for an ADD by another container id, which waits for the interface to go', async () => {
    await deleteBoth();
    const again = node.request('ADD', 'p1', 'p1', { containerId: 'another' });
    expect(await node.wiring.attachments.add(again)).toMatchObject({ ok: true });
    expect(node.wiring.book.list()).toMatchObject([{ containerId: 'another', podInterface: 'eth0' }]);
    await node.wiring.remover.settled();
    expect(node.veths()).toHaveLength(1);
  });

  it('whose veth the kernel keeps has the next ADD told so at once', async () => {
    const { hostInterface } = await node.addPod('p1', '10.244.10.0');
    const mend = node.failing(`delete ${hostInterface}`);
    await node.wiring.attachments.del(node.request('DEL', 'p1', 'p1'));
    const startMs = performance.now();
    const again = node.request('ADD', 'p1', 'p1', { containerId: 'another', deadlineMs: 5000 });
    const response = await node.wiring.attachments.add(again);
    mend();
    expect(response).toMatchObject({ ok: false, code: 104, msg: expect.stringContaining('eth0') });
    expect(performance.now() - startMs).toBeLessThan(2000);
    node.wiring.remover.retry();
    await node.wiring.remover.settled();
  });

  it("takes no flow from the pod's next sandbox, which is there before the search for the former's has ended", async () => {
    await node.addPod('p1', '10.244.10.0');
    const tuples = ['-s', '10.244.10.0', '-d', '10.9.9.9', '-r', '10.9.9.9', '-q', '10.244.10.0'];
    const ports = ['--sport', '4000', '--dport', '53', '--reply-port-src', '53', '--reply-port-dst', '4000'];
    inside('one', 'conntrack', '-I', '-p', 'udp', ...tuples, ...ports, '-t', '60');
    const { dumpAside } = Object.getOwnPropertyDescriptors(RouteSocket.prototype);
    const late = vi.spyOn(RouteSocket.prototype, 'dumpAside').mockImplementation(async function (
      this: RouteSocket,
      ...o
    ) {
      const found = (await dumpAside.value?.apply(this, o)) ?? [];
      if (node.wiring.book.list().length === 0) await node.add('p1', 'p1');
      return found;
    });
    await node.wiring.attachments.del(node.request('DEL', 'p1', 'p1'));
    await node.wiring.remover.settled();
    late.mockRestore();
    expect(node.wiring.book.list()).toMatchObject([{ address: '10.244.10.0' }]);
    expect(inside('one', 'conntrack', '-L', '-s', '10.244.10.0')).toContain('dst=10.9.9.9');
    inside('one', 'conntrack', '-D', '-s', '10.244.10.0');
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
    const lists = vi.spyOn(RouteSocket.prototype, 'dumpAside');
    await Promise.all(pods.map((pod) => node.wiring.attachments.del(node.request('DEL', pod, pod))));
    await node.wiring.remover.settled();
    stop();
    expect(node.veths()).toEqual([]);
    // One after the other they are 20 moments, at least 8 ms apart.
    const moments = deleted.filter((ms, at) => at === 0 || ms - (deleted[at - 1] ?? 0) > 4);
    expect(moments.length).toBeLessThan(6);
    // Each list of flows is a walk through the whole table, of which a pod of its own would need two.
    const walks = lists.mock.calls.filter(([{ purpose }]) => purpose.startsWith('list flows'));
    lists.mockRestore();
    expect(walks.length).toBeGreaterThan(0);
    expect(walks.length).toBeLessThan(6);
  });
});
