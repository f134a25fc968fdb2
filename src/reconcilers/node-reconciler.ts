// SPDX-License-Identifier: Apache-2.0
// Keeps a node's overlay address and its NodeEndpoint.
import type { Node } from '../api/workloads.ts';
import { nodePool } from '../api/names.ts';
import { allocate } from './allocation.ts';
import { decideEndpoint } from './node-endpoint.ts';
import { ENDPOINT_COALESCE_MS, type PodWorld } from './pod-reconciler.ts';
import { choosePool, type Refusal } from './pool-choice.ts';
import type { EndpointPort, Outcome } from './ports.ts';
import { done, retryAfter } from './ports.ts';
import { Unclear } from './unclear.ts';

export interface NodeWorld extends PodWorld {
  readonly endpoints: EndpointPort;
}

const STALE_RETRY_MS = 250;
/** Whoever waits is woken by events; this is the net under them. */
const BLOCKED_RECHECK_MS = 30_000;

export class NodeReconciler {
  readonly #world: NodeWorld;
  readonly #unclear: Unclear;

  constructor(world: NodeWorld) {
    this.#world = world;
    this.#unclear = new Unclear(world);
  }

  async reconcile(name: string): Promise<Outcome> {
    const node = this.#world.views.nodes.get(name);
    if (node === undefined) {
      this.#world.waiting.leave('Node', name);
      this.#unclear.giveBack(name);
    }
    const overlay = node === undefined ? done : await this.#overlay(name, node);
    const endpoint = await this.#endpoint(name, node);
    return endpoint.outcome === 'done' ? overlay : endpoint;
  }

  /** The node's own address, out of the pool for nodes. */
  async #overlay(name: string, node: Node): Promise<Outcome> {
    const { book, views, waiting, queues } = this.#world;
    const uid = node.metadata.uid ?? '';
    if (book.byOwner(uid).some(({ spec }) => spec.state === 'Bound')) {
      waiting.leave('Node', name);
      this.#unclear.giveBack(name);
      return done;
    }
    this.#unclear.giveBack(name, uid);
    const asker = { usage: 'Node' as const, uid, nodeLabels: node.metadata.labels };
    const choice = choosePool([nodePool], asker, { book, pools: views.pools });
    if ('refusal' in choice) return this.#wait(node, choice.refusal);
    const claim = { owner: { kind: 'Node' as const, name, uid }, nodeName: name, nodeUID: uid };
    this.#unclear.begin(name, uid);
    const result = await allocate(claim, choice.pool, this.#world);
    this.#unclear.end(name);
    switch (result.outcome) {
      case 'allocated':
        waiting.leave('Node', name);
        queues.pool(nodePool, ENDPOINT_COALESCE_MS);
        return done;
      case 'exhausted':
        return retryAfter(1, 'the last address was just taken');
      case 'refused':
        return this.#wait(node, { reason: 'RecordRefused', message: result.because });
      case 'crowded':
        return retryAfter(1_000, result.because);
    }
  }

  #wait(node: Node, refusal: Refusal): Outcome {
    const { waiting, events } = this.#world;
    const { name, uid = '' } = node.metadata;
    const seat = { key: name, kind: 'Node' as const, uid, namespace: '', name, nodeName: name, pools: [nodePool] };
    const news = waiting.enter({ ...seat, ...refusal });
    if (news !== 'same' && refusal.reason !== 'PoolStarting') {
      events.record({ kind: 'Node', object: node, type: 'Warning', reason: refusal.reason, note: refusal.message });
    }
    return retryAfter(BLOCKED_RECHECK_MS, refusal.message);
  }

  async #endpoint(name: string, node: Node | undefined): Promise<Outcome> {
    const { book, views, waiting, endpoints, events } = this.#world;
    const action = decideEndpoint({
      name,
      node,
      existing: views.endpoints.get(name),
      records: book.byNode(name),
      waiting: waiting.onNode(name),
    });
    switch (action.action) {
      case 'none':
        return done;
      case 'blocked':
        if (node !== undefined) {
          events.record({
            kind: 'Node',
            object: node,
            type: 'Warning',
            reason: 'NoTunnelAddress',
            note: action.because,
          });
        }
        return retryAfter(BLOCKED_RECHECK_MS, action.because);
      case 'create': {
        const created = await endpoints.create(action.endpoint);
        if (created.outcome === 'refused') return { outcome: 'giveUp', because: created.because };
        return created.outcome === 'created' ? done : retryAfter(STALE_RETRY_MS, 'it exists and the watch lags');
      }
      case 'replace': {
        const written = await endpoints.replace(action.endpoint);
        return written === 'written' ? done : retryAfter(STALE_RETRY_MS, 'it changed under the decision');
      }
      case 'delete': {
        const written = await endpoints.delete(action.endpoint);
        return written === 'stale' ? retryAfter(STALE_RETRY_MS, 'it changed under the decision') : done;
      }
    }
  }
}
