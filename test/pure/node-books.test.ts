// SPDX-License-Identifier: Apache-2.0
// What an agent keeps in memory of its pods: whose turn it is, which wires are there, whose record is whose.
import { expect, it } from 'vitest';
import { IdentityQueue } from '../../src/node/identity-queue.ts';
import { Records } from '../../src/node/records.ts';
import { WireBook } from '../../src/node/wire-book.ts';
import { WiresPart, type WiresPartOptions } from '../../src/node/wires-part.ts';
import type { Wire } from '../../src/wiring/wire.ts';
import { MemoryRecords, record } from '../kernel/memory-records.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('ADD, DEL and release of one pod run one after another, also behind one that failed', async () => {
  const queue = new IdentityQueue();
  const told: string[] = [];
  const ends: Array<() => void> = [];
  const work = (name: string) => async (): Promise<void> => {
    told.push(`${name} begins`);
    await new Promise<void>((resolve) => ends.push(resolve));
    told.push(`${name} ends`);
    if (name === 'ADD') throw new Error('planned');
  };
  const failed = expect(queue.run('a', work('ADD'))).rejects.toThrow('planned');
  const others = [queue.run('a', work('DEL'))];
  for (let waited = 0; waited < 3; waited += 1) {
    await turn();
    ends.shift()?.();
    await turn();
    // One that comes while another still waits has its turn behind that one.
    if (waited === 0) others.push(queue.run('a', work('release')));
  }
  await Promise.all([failed, ...others]);
  expect(told).toEqual(['ADD', 'DEL', 'release'].flatMap((name) => [`${name} begins`, `${name} ends`]));
  expect(queue.size).toBe(0);
});

it('a runtime that asks for one pod without end is told so at the 65th request', async () => {
  const queue = new IdentityQueue();
  const { promise, resolve } = Promise.withResolvers<void>();
  const taken = Array.from({ length: 64 }, () => queue.run('a', () => promise));
  await expect(queue.run('a', () => promise)).rejects.toThrow('64 requests for the pod a wait already');
  await queue.run('b', () => undefined);
  resolve();
  await Promise.all(taken);
});

it('a wire on its way out is nobody’s again though the kernel shows it still, and a limit once known stays known', () => {
  const wire = (ifindex: number): Wire => {
    const address = `10.244.0.${ifindex}`;
    return { identity: 'a', containerId: 'c', podInterface: 'eth0', address, interface: `fast${ifindex}`, ifindex };
  };
  const book = new WireBook();
  book.put({ ...wire(1), isLimited: true });
  book.put(wire(2));
  book.leave(wire(2));
  book.reset([wire(1), wire(2)]);
  expect(book.list()).toEqual([{ ...wire(1), isLimited: true }]);
  expect(book.leaving()).toEqual([wire(2)]);
});

it('a pod whose uid the runtime does not tell is the one whose address it may use, not a former one of its name', () => {
  const memory = new MemoryRecords();
  const owner = (uid: string) => ({ kind: 'Pod' as const, namespace: 'default', name: 'web-0', uid });
  memory.put(record('10.244.0.1', 'former', { state: 'Releasing', owner: owner('former') }));
  memory.put(record('10.244.0.2', 'now', { owner: owner('now') }));
  expect(new Records(memory).ofPod({ namespace: 'default', name: 'web-0', uid: '' }).identity).toBe('now');
});

it('no program is hung on a wire while the map that it asks is not filled: it would know no pod', () => {
  const part = new WiresPart({} as WiresPartOptions);
  expect(part.mend(false)).toBe(0);
  expect(() => part.mend(true)).toThrow('not looked at while local_pod_ips is not as it should be');
});
