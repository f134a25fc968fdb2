// SPDX-License-Identifier: Apache-2.0
// When the agent says what: the word that frees an address at once, the word that a wire is there in calm moments.
import { expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { silentLog } from '../../src/kube/log.ts';
import { RecordReports } from '../../src/node/record-reports.ts';
import { Records } from '../../src/node/records.ts';
import { WireBook } from '../../src/node/wire-book.ts';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { MemoryRecords, record } from '../kernel/memory-records.ts';

interface Said {
  atMs: number;
  address: string;
  word: 'attached' | 'released';
}

class Agent {
  readonly clock = new FakeClock();
  readonly said: Said[] = [];
  /** What becomes of the next writes. */
  readonly refusals: KubeError['reason'][] = [];
  readonly #memory = new MemoryRecords();
  readonly #book = new WireBook();
  readonly #reports: RecordReports;

  constructor() {
    this.#reports = new RecordReports({
      client: { replaceStatus: async (_, object) => this.#take(object as unknown as IpAllocation) as never },
      records: new Records(this.#memory, this.clock),
      book: this.#book,
      attachments: { cut: () => undefined },
      hasOverlayAddress: () => false,
      log: silentLog,
      clock: this.clock,
    });
    this.#reports.start();
  }

  #take(object: IpAllocation): IpAllocation {
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw new KubeError(refusal, { verb: 'replace', target: 'status' }, 'planned');
    const word = object.status?.released === undefined ? 'attached' : 'released';
    this.said.push({ atMs: this.clock.monotonicMs(), address: object.metadata.name, word });
    return this.#memory.put(object);
  }

  /** A pod with its record, and a wire of it. */
  add(at: number): void {
    const [address, identity] = [`10.244.0.${at}`, `pod-${at}`];
    this.#memory.put(record(address, identity));
    const containerId = `container-${at}`;
    this.#book.put({ identity, containerId, podInterface: 'eth0', address, interface: `fast${at}`, ifindex: at });
    this.#reports.look(address);
  }

  /** Its record is gone, and its wire with it. */
  vanish(at: number): void {
    this.#book.forget(at);
    this.#memory.remove(`10.244.0.${at}`);
  }

  /** A wire of another pod has the address. */
  stray(at: number): void {
    const wire = {
      identity: 'stray',
      containerId: 'stray',
      podInterface: 'eth0',
      interface: 'faststray',
      ifindex: 999,
    };
    this.#book.put({ ...wire, address: `10.244.0.${at}` });
    this.#reports.look(`10.244.0.${at}`);
  }

  /** Its sandbox is gone, and its pod waits for the next. */
  detach(at: number): void {
    this.#book.forget(at);
    this.#reports.look(`10.244.0.${at}`);
  }

  /** Its pod is gone, and so is its wire. */
  release(at: number): void {
    const [address, identity] = [`10.244.0.${at}`, `pod-${at}`];
    this.#book.forget(at);
    this.#memory.put(record(address, identity, { state: 'Releasing' }));
    this.#reports.look(address);
  }
}

it.each([
  ['a second', 4, 1000],
  ['three seconds', 5, 3000],
])('a wire is told of %s after the newest of %d', async (_title, wires, calmMs) => {
  const agent = new Agent();
  const added = Array.from({ length: wires }, (_, at) => 11 + at);
  for (const at of added) {
    await agent.clock.advance(600);
    agent.add(at);
  }
  await agent.clock.advance(calmMs - 1);
  expect(agent.said).toEqual([]);
  await agent.clock.advance(1);
  const said = agent.said.map(({ address, word }) => `${address} ${word}`);
  expect(said.toSorted()).toEqual(added.map((at) => `10.244.0.${at} attached`));
});

it('a wire is told of after ten seconds though more wires are made all the time', async () => {
  const agent = new Agent();
  for (let at = 10; at < 60; at += 1) {
    agent.add(at);
    await agent.clock.advance(400);
  }
  const latest = Math.max(...agent.said.map(({ atMs, address }) => atMs - 400 * (Number(address.split('.')[3]) - 10)));
  expect(agent.said.length).toBeGreaterThan(20);
  expect(latest).toBeLessThanOrEqual(10_000);
});

it('a freed address is told of at once though wires are being made', async () => {
  const agent = new Agent();
  agent.add(11);
  await agent.clock.advance(2000);
  agent.add(12);
  agent.release(11);
  await agent.clock.advance(0);
  expect(agent.said.at(-1)).toEqual({ atMs: 2000, address: '10.244.0.11', word: 'released' });
});

it('each wire is told of once', async () => {
  const agent = new Agent();
  agent.add(11);
  await agent.clock.advance(60_000);
  expect(agent.said).toHaveLength(1);
});

it('a wire waits for its calm second though one of its pod went before it was told of', async () => {
  const agent = new Agent();
  agent.add(11);
  await agent.clock.advance(500);
  agent.detach(11);
  await agent.clock.advance(20_000);
  agent.add(11);
  await agent.clock.advance(999);
  expect(agent.said).toEqual([]);
  await agent.clock.advance(1);
  expect(agent.said).toMatchObject([{ atMs: 21_500, word: 'attached' }]);
});

it('a wire is told of within a second again when many were made whose pods went before they were told of', async () => {
  const agent = new Agent();
  for (let at = 11; at < 19; at += 1) agent.add(at);
  await agent.clock.advance(0);
  for (let at = 11; at < 19; at += 1) agent.vanish(at);
  await agent.clock.advance(20_000);
  agent.add(30);
  await agent.clock.advance(1000);
  expect(agent.said).toMatchObject([{ address: '10.244.0.30', word: 'attached' }]);
});

it('a word that met a change of its record is said again a moment later, and one about a record that is gone is not', async () => {
  const agent = new Agent();
  agent.refusals.push('conflict');
  agent.add(11);
  await agent.clock.advance(1000);
  expect(agent.said).toEqual([]);
  await agent.clock.advance(2000);
  expect(agent.said).toMatchObject([{ address: '10.244.0.11', word: 'attached' }]);
  agent.refusals.push(...Array<'notFound'>(20).fill('notFound'));
  agent.release(11);
  await agent.clock.advance(60_000);
  expect(agent.refusals.length).toBeGreaterThan(17);
});

it('a wire that is gone is said to be, though a wire of another pod has the address', async () => {
  const agent = new Agent();
  agent.add(11);
  await agent.clock.advance(2000);
  agent.detach(11);
  agent.stray(11);
  await agent.clock.advance(11_000);
  expect(agent.said).toHaveLength(2);
});
