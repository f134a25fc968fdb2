// SPDX-License-Identifier: Apache-2.0
// Adopts the wires that no record explains, or has them taken away. The create of the record is the lock: if somebody
// else has the address by then, the wire's node cuts it.
import type { Pod } from '../api/workloads.ts';
import { parseAddress } from '../ip/address.ts';
import { candidatePools } from './candidates.ts';
import type { CollectorWorld } from './collector.ts';
import type { Orphan } from './collector-suspects.ts';
import { decideOrphan } from './orphan.ts';
import { identityOf, isOutOfService, isStaticIdentity } from './pod.ts';
import type { Pool } from './pool.ts';
import type { EventNote, Repair } from './ports.ts';
import { FENCE_MS } from './release.ts';
import { Since } from './since.ts';

export interface OrphanRepair {
  readonly repair: Repair;
  readonly event: EventNote;
}

/** Static pods that are remembered; beyond it the wait of the oldest is counted anew. */
const MAX_REMEMBERED = 10_000;

export class OrphanCollector {
  readonly #world: CollectorWorld;
  /** Identities of static pods whose wires have no record, whose mirrors are away, and whose nodes have no say any more. */
  readonly #wordless = new Since(MAX_REMEMBERED);

  constructor(world: CollectorWorld) {
    this.#world = world;
  }

  async repair(orphan: Orphan): Promise<OrphanRepair | undefined> {
    const { views, book, records, clock } = this.#world;
    const endpoint = views.endpoints.get(orphan.node);
    const shown = views.pods.list().find((each) => identityOf(each) === orphan.ownerUid);
    if (endpoint === undefined || this.#isUndecided(orphan, shown)) return undefined;
    const pod = shown === undefined ? undefined : await this.#live(shown, orphan.ownerUid);
    const action = decideOrphan({
      orphan,
      pod,
      own: book.byOwner(orphan.ownerUid),
      nodeUID: endpoint.spec.nodeUID,
      pools: this.#poolsFor(orphan, pod),
      nowMs: clock.now(),
    });
    if (action.action === 'tell') {
      if (pod === undefined) return undefined;
      const event = { kind: 'Pod' as const, object: pod, type: 'Warning' as const, reason: 'AddressUnknown' };
      return { repair: 'personTold', event: { ...event, note: action.note } };
    }
    const created = await records.create(action.record);
    if (created.outcome === 'refused') throw new Error(`wire of ${orphan.address}: ${created.because}`);
    // Its watch will show it, or the address was somebody else's.
    if (created.outcome !== 'created') return undefined;
    book.observeAhead(created.object, clock.monotonicMs());
    return action.action === 'adopt' ? adopted(orphan, pod) : this.#released(orphan);
  }

  /**
   * A list without any pod is no list. A static pod without its mirror runs on by its file, and that its wire is there says
   * its node: docs/adr/0004.
   */
  #isUndecided({ node: name, ownerUid }: Orphan, shown: Pod | undefined): boolean {
    const { views, clock } = this.#world;
    const node = views.nodes.get(name);
    const hasWord = node !== undefined && !isOutOfService(node);
    if (shown !== undefined || hasWord) this.#wordless.forget(ownerUid);
    if (shown !== undefined) return false;
    if (views.pods.list().length === 0) return true;
    if (!isStaticIdentity(ownerUid)) return false;
    return hasWord || this.#wordless.age(ownerUid, clock.monotonicMs()) < FENCE_MS;
  }

  async #live({ metadata }: Pod, ownerUid: string): Promise<Pod | undefined> {
    const pod = await this.#world.liveOwners.pod(metadata.namespace ?? '', metadata.name);
    return pod !== undefined && identityOf(pod) === ownerUid ? pod : undefined;
  }

  /** The pools that hold the address, those that the pod would choose first. A gate that was shut later cuts nobody off. */
  #poolsFor({ address, node: nodeName }: Orphan, pod: Pod | undefined): Pool[] {
    const { views, book } = this.#world;
    const holding = book
      .pools()
      .filter((pool) => pool.usage === 'Pod' && pool.declared.contains(parseAddress(address)));
    const node = views.nodes.get(nodeName);
    const namespace = views.namespaces.get(pod?.metadata.namespace ?? '');
    if (pod === undefined || node === undefined || namespace === undefined) return holding;
    const chosen = candidatePools(pod, namespace, node, this.#world);
    return holding.toSorted((a, b) => rank(chosen, a) - rank(chosen, b));
  }

  #released({ node, address, ownerUid, interface: device }: Orphan): OrphanRepair | undefined {
    const object = this.#world.views.nodes.get(node) ?? { metadata: { name: node } };
    const text = `the wire ${device} has ${address} of a pod that is gone (${ownerUid}); the node takes it away`;
    const event = { kind: 'Node' as const, object, type: 'Normal' as const, reason: 'WireReleased', note: text };
    return { repair: 'wireReleased', event };
  }
}

function rank(chosen: readonly string[], pool: Pool): number {
  const index = chosen.indexOf(pool.name);
  return index < 0 ? chosen.length : index;
}

function adopted({ address }: Orphan, pod: Pod | undefined): OrphanRepair | undefined {
  if (pod === undefined) return undefined;
  const text = `${address}, with which the pod runs, has its record again`;
  const event = { kind: 'Pod' as const, object: pod, type: 'Normal' as const, reason: 'AddressAdopted', note: text };
  return { repair: 'wireAdopted', event };
}
