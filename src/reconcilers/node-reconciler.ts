// SPDX-License-Identifier: Apache-2.0
// Keeps a node's overlay address and its NodeEndpoint.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import type { Node } from '../api/workloads.ts';
import { nodePool } from '../api/names.ts';
import { allocate } from './allocation.ts';
import { decideEndpoint } from './node-endpoint.ts';
import { ENDPOINT_COALESCE_MS, type PodWorld } from './pod-reconciler.ts';
import { choosePool, type Refusal } from './pool-choice.ts';
import type { EndpointPort, Outcome } from './ports.ts';
import { done, retryAfter } from './ports.ts';
import { Since } from './since.ts';
import { silenceOf } from './silent-node.ts';
import { Unclear } from './unclear.ts';
import { wakeUnlisted } from './waiting-room.ts';

export interface NodeWorld extends PodWorld {
  readonly endpoints: EndpointPort;
}

const STALE_RETRY_MS = 250;
/** Whoever waits is woken by events; this is the net under them. */
const BLOCKED_RECHECK_MS = 30_000;
/** On a fresh install the controller sees the nodes before it has made their pool out of the ConfigMap. */
const POOL_ON_ITS_WAY_MS = 10_000;

export class NodeReconciler {
  readonly #world: NodeWorld;
  readonly #unclear: Unclear;
  /** Node → since when it is silent, as its endpoint was told: once, since an agent may answer that it is not. */
  readonly #silences = new Map<string, string>();
  /** Whether the nodes' pool is missing. */
  readonly #poolless = new Since(1);

  constructor(world: NodeWorld) {
    this.#world = world;
    this.#unclear = new Unclear(world);
  }

  async reconcile(name: string): Promise<Outcome> {
    const node = this.#world.views.nodes.get(name);
    if (node === undefined) {
      this.#world.waiting.leave('Node', name);
      await this.#unclear.giveBack(name);
      this.#silences.delete(name);
    }
    const overlay = node === undefined ? done : await this.#overlay(name, node);
    const endpoint = await this.#endpoint(name, node);
    return endpoint.outcome === 'done' ? overlay : endpoint;
  }

  /** The node's own address, out of the pool for nodes. */
  async #overlay(name: string, node: Node): Promise<Outcome> {
    const { book, waiting, queues } = this.#world;
    const uid = node.metadata.uid ?? '';
    await this.#unclear.dropLost(uid);
    if (book.changesHandsFor(uid) || book.byOwner(uid).some(({ spec }) => spec.state === 'Bound')) {
      waiting.leave('Node', name);
      await this.#unclear.giveBack(name);
      return done;
    }
    await this.#unclear.giveBack(name, uid);
    const wish = { owner: { kind: 'Node' as const, name, uid } };
    const asker = { usage: 'Node' as const, wish, nodeLabels: node.metadata.labels };
    const choice = choosePool([nodePool], asker, this.#world);
    if ('refusal' in choice) {
      await this.#unclear.findOut(uid);
      return this.#waitForPool(node, choice.refusal);
    }
    this.#poolless.forget(nodePool);
    const claim = { ...wish, nodeName: name, nodeUID: uid };
    this.#unclear.begin(name, uid);
    const result = await allocate(claim, choice.pool, this.#world);
    this.#unclear.end(name);
    switch (result.outcome) {
      case 'allocated':
        waiting.leave('Node', name);
        queues.pool(nodePool, ENDPOINT_COALESCE_MS);
        return done;
      case 'exhausted':
      case 'overtaken':
        return retryAfter(1, 'the last address was just taken');
      case 'refused':
        return this.#wait(node, { reason: 'RecordRefused', message: result.because });
      case 'crowded':
        return retryAfter(1_000, result.because);
    }
  }

  #waitForPool(node: Node, refusal: Refusal): Outcome {
    if (refusal.reason !== 'PoolNotFound') {
      this.#poolless.forget(nodePool);
      return this.#wait(node, refusal);
    }
    const leftMs = POOL_ON_ITS_WAY_MS - this.#poolless.age(nodePool, this.#world.clock.monotonicMs());
    if (leftMs <= 0) return this.#wait(node, refusal);
    this.#wait(node, { reason: 'PoolStarting', message: `pool ${nodePool} is not there yet` });
    return retryAfter(leftMs, refusal.message);
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
    const { book, views, waiting, events } = this.#world;
    const existing = views.endpoints.get(name);
    const facts = { name, node, existing, records: book.byNode(name), waiting: waiting.onNode(name) };
    const action = decideEndpoint(facts);
    switch (action.action) {
      case 'none': {
        const asked = await this.#askAgain(name);
        return asked.outcome === 'done' ? await this.#saySilence(name, node, existing) : asked;
      }
      case 'blocked':
        if (node !== undefined) {
          const reason = 'NoTunnelAddress';
          events.record({ kind: 'Node', object: node, type: 'Warning', reason, note: action.because });
        }
        await this.#askAgain(name);
        return retryAfter(BLOCKED_RECHECK_MS, action.because);
      case 'create':
      case 'replace':
        return await this.#publish(action.endpoint, existing?.metadata.resourceVersion ?? '');
      case 'delete': {
        const written = await this.#world.endpoints.delete(action.endpoint);
        return written === 'stale' ? retryAfter(STALE_RETRY_MS, 'it changed under the decision') : done;
      }
    }
  }

  async #saySilence(name: string, node: Node | undefined, existing: NodeEndpoint | undefined): Promise<Outcome> {
    const { clock, endpoints } = this.#world;
    const silence = silenceOf(existing, node, clock.now());
    if (silence === undefined || this.#silences.get(name) === silence.since) return done;
    const written = await endpoints.replaceStatus(silence.endpoint);
    if (written === 'stale') return retryAfter(STALE_RETRY_MS, 'it changed under the decision');
    this.#silences.set(name, silence.since);
    return done;
  }

  /** A write that got no answer may still take effect: it is sent once more, or what it lists would never be free. */
  async #askAgain(name: string): Promise<Outcome> {
    const publication = this.#world.book.published.unanswered(name);
    return publication === undefined ? done : await this.#publish(publication.endpoint, publication.base);
  }

  async #publish(endpoint: NodeEndpoint, base: string): Promise<Outcome> {
    const { book, endpoints } = this.#world;
    const publication = book.published.begin(endpoint, base);
    const written = base === '' ? await endpoints.create(endpoint) : await endpoints.replace(endpoint);
    publication.isAnswered = true;
    if (written.outcome === 'created' || written.outcome === 'written') return done;
    wakeUnlisted(book.published.fail(publication), this.#world);
    // With back-off, and as an error in the log: a right or a webhook may be mended at any moment.
    if (written.outcome === 'refused') throw new Error(written.because);
    return retryAfter(STALE_RETRY_MS, 'it changed under the decision, or the watch lags');
  }
}
