// SPDX-License-Identifier: Apache-2.0
// Every agent hears of every write of a NodeEndpoint and of an Ips. How many of them some changes cost, by the product's
// own queues on a clock that is moved by hand.
import { describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import type { KubeObject } from '../../src/api/object.ts';
import type { Namespace, Node, Pod } from '../../src/api/workloads.ts';
import { formatAddress, parseAddress } from '../../src/ip/address.ts';
import { FakeClock } from '../../src/kube/clock.ts';
import { Controller } from '../../src/kube/controller.ts';
import { boundRecord } from '../../src/reconcilers/allocation.ts';
import { Core } from '../../src/reconcilers/core.ts';
import { parsePool } from '../../src/reconcilers/pool.ts';
import type { View } from '../../src/reconcilers/ports.ts';

/** Until a watch shows a write. */
const WATCH_LAG_MS = 15;

class Shelf<T extends KubeObject> extends Map<string, T> implements View<T> {
  override get(name: string): T | undefined {
    return super.get(name);
  }
  list(): T[] {
    return [...this.values()];
  }
}

function unasked(): never {
  throw new Error('nobody asks for this here');
}

/** A node and a pool; records come and go as a watch shows them, and the writes of views are noted. */
class Stage {
  readonly clock = new FakeClock();
  /** As long as the list of addresses in each write. */
  readonly endpointWrites: number[] = [];
  poolWrites = 0;
  readonly #endpoints = new Shelf<NodeEndpoint>();
  readonly #pools = new Shelf<Ips>();
  readonly #nodes = new Shelf<Node>();
  readonly #shown = new Map<string, IpAllocation>();
  readonly #core: Core = this.#newCore();
  readonly #nodeQueue = this.#queue('node', (key) => this.#core.nodes.reconcile(key));
  readonly #poolQueue = this.#queue('pool', (key) => this.#core.pools.reconcile(key));
  #version = 0;

  async start(): Promise<void> {
    const node: Node = {
      metadata: { name: 'node-a', uid: 'node-uid' },
      status: { addresses: [{ type: 'InternalIP', address: '10.29.0.1' }] },
    };
    this.#nodes.set('node-a', node);
    this.#core.router.onNode({ type: 'added', object: node });
    const spec = { subnet: '10.244.0.1/32', ips: ['10.32.0.0/24'] };
    this.#showPool({ metadata: { name: 'sample-ips', uid: 'pool-uid', generation: 1 }, spec });
    this.#nodeQueue.start();
    this.#poolQueue.start();
    await this.clock.advance(10_000);
    this.endpointWrites.length = 0;
    this.poolWrites = 0;
  }

  /** The watch shows a record of a new pod on the node. */
  bind(at: number): void {
    const parsed = parsePool(this.#pools.get('sample-ips') as Ips);
    if (parsed.kind === 'problem') throw new Error(parsed.problem.message);
    const owner = { kind: 'Pod' as const, namespace: 'default', name: `pod-${at}`, uid: `uid-${at}` };
    const claim = { owner, nodeName: 'node-a', nodeUID: 'node-uid' };
    const record = boundRecord(claim, parsed.pool, parseAddress('10.32.0.0') + at, this.clock.now());
    const object = { ...record, metadata: { ...record.metadata, ...this.#newMeta(`record-${at}`) } };
    this.#shown.set(object.metadata.name, object);
    this.#core.router.onRecord({ type: 'added', object });
  }

  /** The watch shows that the node has released the record. */
  release(at: number): void {
    const name = formatAddress(parseAddress('10.32.0.0') + at);
    const old = this.#shown.get(name) as IpAllocation;
    const object: IpAllocation = {
      ...old,
      metadata: { ...old.metadata, ...this.#newMeta(`record-${at}`) },
      spec: { ...old.spec, state: 'Releasing' },
      status: { released: { owner: { uid: old.spec.owner.uid } } },
    };
    this.#shown.set(name, object);
    this.#core.router.onRecord({ type: 'updated', object, old });
  }

  #newMeta(uid: string) {
    this.#version += 1;
    return { uid, resourceVersion: `${this.#version}`, generation: this.#version };
  }

  #queue(name: string, reconcile: (key: string) => ReturnType<Core['nodes']['reconcile']>): Controller {
    return new Controller({ name, reconcile, clock: this.clock });
  }

  #showPool(pool: Ips): void {
    const old = this.#pools.get(pool.metadata.name);
    this.#pools.set(pool.metadata.name, pool);
    this.#core.router.onPool(
      old === undefined ? { type: 'added', object: pool } : { type: 'updated', object: pool, old },
    );
  }

  #showEndpoint(endpoint: NodeEndpoint): void {
    const type = this.#endpoints.has('node-a') ? 'updated' : 'added';
    const object = { ...endpoint, metadata: { ...endpoint.metadata, ...this.#newMeta('endpoint-uid') } };
    this.#endpoints.set('node-a', object);
    this.endpointWrites.push(endpoint.spec.podAddresses?.length ?? 0);
    this.#core.router.onEndpoint({ type, object });
  }

  #newCore(): Core {
    const nothing = { pods: new Shelf<Pod>(), namespaces: new Shelf<Namespace>() };
    return new Core({
      views: { ...nothing, nodes: this.#nodes, pools: this.#pools, endpoints: this.#endpoints },
      records: { create: unasked, read: unasked, replace: unasked, replaceStatus: unasked, delete: unasked },
      podWrites: { patch: unasked },
      poolWrites: {
        replace: async (pool) => {
          this.#showPool(pool);
          return 'written';
        },
        replaceStatus: async (pool) => {
          this.poolWrites += 1;
          this.clock.after(WATCH_LAG_MS, () => this.#showPool(pool));
          return 'written';
        },
      },
      endpoints: {
        create: async (object) => {
          this.#showEndpoint(object);
          return { outcome: 'created', object };
        },
        replace: async (endpoint) => {
          this.#showEndpoint(endpoint);
          return { outcome: 'written' };
        },
        replaceStatus: unasked,
        delete: unasked,
      },
      liveOwners: { pod: unasked, node: unasked, statefulSet: unasked },
      collector: { refresh: unasked, repaired: unasked, failed: unasked },
      events: { record: () => undefined },
      queues: {
        pod: () => undefined,
        record: () => undefined,
        node: (name, delayMs = 0) => this.#nodeQueue.enqueueAfter(name, delayMs),
        pool: (name, delayMs = 0) => this.#poolQueue.enqueueAfter(name, delayMs),
      },
      clock: this.clock,
    });
  }
}

describe('what all agents hear of changes', () => {
  it('is one write of an endpoint for all that changed on its node within 150 ms', async () => {
    const stage = new Stage();
    await stage.start();
    for (let at = 0; at < 20; at += 1) {
      stage.bind(at);
      await stage.clock.advance(7);
    }
    expect(stage.endpointWrites).toEqual([]);
    await stage.clock.advance(1000);
    expect(stage.endpointWrites).toEqual([20]);
    for (let at = 0; at < 5; at += 1) stage.release(at);
    for (let at = 20; at < 22; at += 1) stage.bind(at);
    await stage.clock.advance(1000);
    expect(stage.endpointWrites).toEqual([20, 17]);
  });

  it('is told no later than 150 ms after the first change, however many follow', async () => {
    const stage = new Stage();
    await stage.start();
    for (let at = 0; at < 60; at += 1) {
      stage.bind(at);
      await stage.clock.advance(10);
    }
    expect(stage.endpointWrites).toEqual([15, 30, 45, 60]);
  });

  it('is one count of a pool a second, though each count is shown to the one who wrote it', async () => {
    const stage = new Stage();
    await stage.start();
    for (let at = 0; at < 200; at += 1) {
      stage.bind(at);
      await stage.clock.advance(10);
    }
    await stage.clock.advance(1000);
    expect(stage.poolWrites).toBe(2);
  });
});
