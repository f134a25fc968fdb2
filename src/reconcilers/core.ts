// SPDX-License-Identifier: Apache-2.0
// All reconcilers on one book and one waiting room. The operator runs this core against an API server; a test or a
// simulator runs the same core against a model.
import { AddressBook } from './address-book.ts';
import { Collector } from './collector.ts';
import { NodeReconciler } from './node-reconciler.ts';
import { PodReconciler } from './pod-reconciler.ts';
import { PoolReconciler } from './pool-reconciler.ts';
import type {
  Clock,
  CollectorPort,
  EndpointPort,
  EventPort,
  OwnerReader,
  PodPort,
  PoolPort,
  Queues,
  RecordPort,
  Views,
} from './ports.ts';
import { RecordReconciler } from './record-reconciler.ts';
import { Router } from './router.ts';
import { WaitingRoom } from './waiting-room.ts';

export interface CorePorts {
  readonly views: Views;
  readonly records: RecordPort;
  readonly podWrites: PodPort;
  readonly poolWrites: PoolPort;
  readonly endpoints: EndpointPort;
  readonly liveOwners: OwnerReader;
  readonly collector: CollectorPort;
  readonly events: EventPort;
  readonly queues: Queues;
  readonly clock: Clock;
}

/** How long the watch may take to show a record of ours before the API server is asked. */
const WATCH_PATIENCE_MS = 10_000;

export class Core {
  readonly book = new AddressBook();
  readonly waiting = new WaitingRoom();
  readonly router: Router;
  readonly pods: PodReconciler;
  readonly records: RecordReconciler;
  readonly nodes: NodeReconciler;
  readonly pools: PoolReconciler;
  readonly collector: Collector;
  readonly #ports: CorePorts;

  constructor(ports: CorePorts) {
    this.#ports = ports;
    const world = { ...ports, book: this.book, waiting: this.waiting };
    this.router = new Router(world);
    this.pods = new PodReconciler(world);
    this.records = new RecordReconciler(world);
    this.nodes = new NodeReconciler(world);
    this.pools = new PoolReconciler(world);
    this.collector = new Collector(world);
  }

  /**
   * Settles records that we saw ahead of a watch which never showed them, since they were deleted before it could. To
   * be called every few seconds; without it such an address would stay taken until a restart.
   */
  async sweep(): Promise<void> {
    for (const record of this.book.overdue(this.#ports.clock.monotonicMs(), WATCH_PATIENCE_MS)) {
      const live = await this.#ports.records.read(record.metadata.name);
      if (live?.metadata.uid === record.metadata.uid) continue;
      this.router.wakePools(this.book.recant(record));
      this.#ports.queues.record(record.metadata.name);
      this.#ports.queues.node(record.spec.nodeName);
      // Also where the pool gains nothing by it, because it does not hold the address any more.
      this.#ports.queues.pool(record.spec.ips);
    }
  }
}
