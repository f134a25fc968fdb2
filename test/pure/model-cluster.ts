// SPDX-License-Identifier: Apache-2.0
// The reconcilers' ports on a model: objects in maps with resourceVersions and fences, changes told to the router at
// once or held back, queues that are worked off by hand. What the model claims about the API server is proved by the
// tests of the API tier; here only the order of events is the subject.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { apiVersion, poolAnnotation } from '../../src/api/names.ts';
import type { KubeObject } from '../../src/api/object.ts';
import type { Namespace, Node, Pod } from '../../src/api/workloads.ts';
import { COLLECT_MS } from '../../src/reconcilers/collector.ts';
import { Core } from '../../src/reconcilers/core.ts';
import type { Created, EventNote, Outcome, Queues, Repair, Written } from '../../src/reconcilers/ports.ts';
import { ModelEndpoints } from './model-endpoints.ts';
import { Shelf } from './model-shelf.ts';

const startMs = Date.UTC(2026, 0, 1);
/** More steps than any story needs: a queue that never empties is a failure, not a wait. */
const MAX_STEPS = 10_000;

export class ModelCluster {
  nowMs = startMs;
  readonly events: EventNote[] = [];
  readonly repairs: Repair[] = [];
  readonly failedRepairs: string[] = [];
  /** Lists of everything that were asked for. */
  lists = 0;
  readonly pods = new Shelf<Pod>('Pod', (change) => this.core.router.onPod(change));
  readonly namespaces = new Shelf<Namespace>('Namespace', (change) => this.core.router.onNamespace(change));
  readonly nodes = new Shelf<Node>('Node', (change) => this.core.router.onNode(change));
  readonly pools = new Shelf<Ips>('Ips', (change) => this.core.router.onPool(change));
  readonly records = new Shelf<IpAllocation>('IpAllocation', (change) => this.core.router.onRecord(change));
  readonly endpoints = new Shelf<NodeEndpoint>('NodeEndpoint', (change) => this.core.router.onEndpoint(change));
  readonly endpointWrites = new ModelEndpoints(this.endpoints);
  readonly statefulSets = new Map<string, KubeObject>();
  /** Thrown by the next create of a record, after it took effect: an answer that never came. */
  nextCreateError: Error | undefined;
  /** Thrown by the next create of a record, which never reached the API server. */
  nextCreateLoss: Error | undefined;
  /** Why creates of records are refused from now on, as by a webhook; '' where they are not. */
  refuseCreates = '';
  /** Updates of records that were asked for. */
  updates = 0;
  /** Thrown by the next update of a record, after it took effect. */
  nextReplaceError: Error | undefined;
  /** What happens while a patch of a pod is on its way. */
  duringPatch: () => void = () => undefined;
  /** Thrown by the next patch of a pod, which never reached the API server. */
  nextPatchLoss: Error | undefined;
  /** Wakes are lost: what happens is told to the views and the book, and nobody looks. */
  isDeaf = false;
  /** So many reads of records fail from now on. */
  failReads = 0;
  /** Fresh lists bring nothing that the views do not show. */
  areListsEmpty = false;
  readonly #waiting = new Set<string>();
  readonly #later = new Map<string, number>();
  core: Core;

  constructor() {
    this.core = this.#lead();
    this.namespaces.put({ metadata: { name: 'default' } });
  }

  /** Another process leads from now on: it knows what the API server holds, and nothing else. */
  changeLeader(): void {
    this.core = this.#lead();
    this.#later.clear();
    for (const shelf of [this.pods, this.namespaces, this.nodes, this.pools, this.records, this.endpoints])
      shelf.retell();
    this.core.router.wakeAll();
  }

  #lead(): Core {
    const { pods, namespaces, nodes, pools, records, endpoints } = this;
    return new Core({
      views: { pods, namespaces, nodes, pools, endpoints },
      records: {
        create: async (record) => this.#createRecord(record),
        read: async (address) => this.#readRecord(address),
        replace: async (record) => this.#replaceRecord(record),
        replaceStatus: async (record) => records.replace(record, (live) => ({ ...live, ...statusOf(record) })),
        delete: async (record) => records.delete(record),
      },
      podWrites: { patch: async (pod, patch) => this.#patchPod(pod, patch) },
      poolWrites: {
        replace: async (pool) => this.#replacePool(pool),
        replaceStatus: async (pool) => pools.replace(pool, (live) => ({ ...live, ...statusOf(pool) })),
      },
      endpoints: this.endpointWrites,
      liveOwners: {
        pod: async (namespace, name) => pods.live.get(`${namespace}/${name}`),
        node: async (name) => nodes.live.get(name),
        statefulSet: async (namespace, name) => this.statefulSets.get(`${namespace}/${name}`),
      },
      collector: {
        refresh: async () => {
          this.lists += 1;
          if (this.areListsEmpty) return;
          for (const shelf of [pods, namespaces, nodes, pools, records, endpoints]) shelf.refresh();
        },
        repaired: (repair) => this.repairs.push(repair),
        failed: (suspect) => this.failedRepairs.push(suspect),
      },
      events: { record: (event) => this.events.push(event) },
      queues: this.#queues(),
      clock: { now: () => this.nowMs, monotonicMs: () => this.nowMs - startMs },
    });
  }

  addNode(name: string, address = '10.29.15.49', more: Partial<Node> = {}): Node {
    return this.nodes.put({ ...more, metadata: { name }, status: { addresses: [{ type: 'InternalIP', address }] } });
  }

  /** Addresses do not cool down in it unless `more` says so: stories about other things are shorter that way. */
  addPool(name: string, ips: string[], more: Partial<Ips['spec']> = {}): Ips {
    const spec = { subnet: '10.244.0.1/32', ips, coolDownSeconds: 0, ...more };
    return this.pools.put({ apiVersion, kind: 'Ips', metadata: { name, generation: 1 }, spec });
  }

  addPod(name: string, nodeName: string, pool?: string, more: Partial<Pod> = {}): Pod {
    const annotations = pool === undefined ? {} : { [poolAnnotation]: pool };
    return this.pods.put({
      spec: { nodeName },
      ...more,
      metadata: { name, namespace: 'default', annotations, ...more.metadata },
    });
  }

  removePod(name: string): void {
    this.pods.remove(name, 'default');
  }

  /** What the agent says once the owner's wire is gone. */
  sayReleased(address: string): void {
    const record = this.record(address);
    this.records.put({ ...record, status: { ...record.status, released: { owner: { uid: record.spec.owner.uid } } } });
  }

  /** What the agent says once the owner's wire is there. */
  sayAttached(address: string): void {
    const record = this.record(address);
    const attached = { owner: { uid: record.spec.owner.uid }, containerID: 'c', interface: 'i' };
    this.records.put({ ...record, status: { ...record.status, attached } });
  }

  /** What the agent reports: wires that no record explains. */
  sayOrphans(node: string, orphans: Array<{ address: string; ownerUID: string }>): void {
    const endpoint = this.endpoints.live.get(node);
    if (endpoint === undefined) throw new Error(`the model has no endpoint ${node}`);
    const wires = orphans.map((each, index) => ({ ...each, interface: `fast${index}` }));
    this.endpoints.put({ ...endpoint, status: { ...endpoint.status, orphans: wires } });
  }

  editPool(name: string, edit: Partial<Ips['spec']>): void {
    const live = this.pools.live.get(name);
    if (live === undefined) throw new Error(`the model has no pool ${name}`);
    const generation = (live.metadata.generation ?? 0) + 1;
    this.pools.put({ ...live, spec: { ...live.spec, ...edit }, metadata: { ...live.metadata, generation } });
  }

  /** `10.0.0.1 Bound pod-a`, in the order of their making. */
  held(): string[] {
    return [...this.records.live.values()].map(({ spec }) => `${spec.address} ${spec.state} ${spec.owner.name}`);
  }

  /** The same without the nodes' own, which are of 10.9.0.0/16 in the stories. */
  podRecords(): string[] {
    return this.held().filter((line) => !line.startsWith('10.9.'));
  }

  record(address: string): IpAllocation {
    const record = this.records.live.get(address);
    if (record === undefined) throw new Error(`the model has no record ${address}`);
    return record;
  }

  /** Works until nothing is queued; what is to be looked at later waits for `pass`. */
  async settle(): Promise<void> {
    for (let step = 0; step < MAX_STEPS; step += 1) {
      const [id] = this.#waiting;
      if (this.endpointWrites.doubled.length > 0) throw new Error(this.endpointWrites.doubled.join(', '));
      if (id === undefined) return;
      this.#waiting.delete(id);
      const outcome = await this.#reconcile(id).catch(
        (): Outcome => ({ outcome: 'retryAfter', ms: 5, because: 'error' }),
      );
      if (outcome.outcome === 'retryAfter') this.#later.set(id, this.nowMs + outcome.ms);
    }
    throw new Error(`not settled after ${MAX_STEPS} steps`);
  }

  /** Time passes; what has fallen due is looked at. */
  async pass(ms: number): Promise<void> {
    this.nowMs += ms;
    for (const [id, dueMs] of this.#later) {
      if (dueMs > this.nowMs) continue;
      this.#later.delete(id);
      this.#waiting.add(id);
    }
    await this.settle();
  }

  /** One round of the collector, as long as its steps need; `between` is what happens between its two looks. */
  async collect(between: () => void = () => undefined): Promise<void> {
    for (let step = 0; step < MAX_STEPS; step += 1) {
      const outcome = await this.core.collector.reconcile();
      await this.settle();
      if (outcome.outcome !== 'retryAfter' || outcome.ms >= COLLECT_MS) return;
      if (outcome.ms > 0) between();
      await this.pass(outcome.ms);
    }
    throw new Error(`the collector has not ended after ${MAX_STEPS} steps`);
  }

  #queues(): Queues {
    const add = (kind: string) => (key: string) => {
      if (!this.isDeaf) this.#waiting.add(`${kind} ${key}`);
    };
    return { pod: add('pod'), record: add('record'), node: add('node'), pool: add('pool') };
  }

  async #reconcile(id: string): Promise<Outcome> {
    const [kind = '', key = ''] = id.split(' ');
    const { pods, records, nodes, pools } = this.core;
    const reconciler = { pod: pods, record: records, node: nodes, pool: pools }[kind];
    if (reconciler === undefined) throw new Error(`no reconciler for ${id}`);
    return await reconciler.reconcile(key);
  }

  #readRecord(address: string): IpAllocation | undefined {
    if (this.failReads > 0) {
      this.failReads -= 1;
      throw new Error('the API server is away');
    }
    return this.records.live.get(address);
  }

  #createRecord(record: IpAllocation): Created<IpAllocation> {
    const loss = this.nextCreateLoss;
    this.nextCreateLoss = undefined;
    if (loss !== undefined) throw loss;
    if (this.refuseCreates !== '') return { outcome: 'refused', because: this.refuseCreates };
    const created = this.records.create(record);
    const error = this.nextCreateError;
    this.nextCreateError = undefined;
    if (error !== undefined) throw error;
    return created;
  }

  #replaceRecord(record: IpAllocation): Written {
    this.updates += 1;
    const written = this.records.replace(record, (live) => ({ ...live, spec: record.spec }));
    const error = this.nextReplaceError;
    this.nextReplaceError = undefined;
    if (error !== undefined) throw error;
    return written;
  }

  #patchPod(pod: Pod, patch: Partial<Pod>): Written {
    const loss = this.nextPatchLoss;
    this.nextPatchLoss = undefined;
    if (loss !== undefined) throw loss;
    this.duringPatch();
    return this.pods.replace(pod, (live) => ({
      ...live,
      metadata: {
        ...live.metadata,
        annotations: { ...live.metadata.annotations, ...patch.metadata?.annotations },
      },
      spec: { ...live.spec, ...patch.spec },
    }));
  }

  /** An object whose last finalizer goes while it is being deleted is gone. */
  #replacePool(pool: Ips): Written {
    const written = this.pools.replace(pool, (live) => ({ ...live, metadata: pool.metadata, spec: pool.spec }));
    const isDone = pool.metadata.deletionTimestamp !== undefined && pool.metadata.finalizers?.length === 0;
    if (written === 'written' && isDone) this.pools.remove(pool.metadata.name);
    return written;
  }
}

function statusOf<S>(object: { status?: S }): { status: S } | object {
  return object.status === undefined ? {} : { status: object.status };
}
