// SPDX-License-Identifier: Apache-2.0
// Keeps the status of this node's records true: which wire is attached, and that a released pod's wire is gone. It runs
// behind the answers and by level: whatever was missed, the next look at a record makes up for it.
import type { IpAllocation, IpAllocationStatus } from '../api/generated/ip-allocation.ts';
import { ipAllocationResource } from '../api/generated/ip-allocation.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Clock, realClock } from '../kube/clock.ts';
import { Controller, done, type Outcome, retryAfter } from '../kube/controller.ts';
import { isReason } from '../kube/errors.ts';
import type { Log } from '../kube/log.ts';
import { decideRecord } from '../wiring/record-report.ts';
import type { Attachments } from './attachments.ts';
import type { Records } from './records.ts';
import type { WireBook } from './wire-book.ts';

export interface RecordReportsOptions {
  readonly client: Pick<KubeClient, 'replaceStatus'>;
  readonly records: Records;
  readonly book: WireBook;
  readonly attachments: Pick<Attachments, 'cut'>;
  /** Whether the tunnel's device has the address, by the kernel's own word. */
  readonly hasOverlayAddress: (address: string) => boolean;
  readonly log: Log;
  readonly clock?: Clock | undefined;
}

const conflictRetryMs = 250;
/**
 * The word that a wire is there waits until no other wire was made for so long, or at most so long in all: no pod waits for
 * it, and while a node is given many pods at once the API server and both machines have better things to do. Behind the last
 * wire of many their containers are still being started; of a few wires people want to see it. That a wire is gone frees an
 * address, and is said at once.
 */
const calmMs = { ofFew: 1000, ofMany: 3000 };
const few = 4;
const mostDelayMs = 10_000;
const maxBackoffMs = 30_000;
/** Status writes at once; the API server serves some hundreds per second. */
const workers = 4;

export class RecordReports {
  readonly #o: RecordReportsOptions;
  readonly #clock: Clock;
  readonly #controller: Controller;
  /** When this agent first saw a record as Releasing, by the record's uid; monotonic milliseconds. */
  readonly #releasingSinceMs = new Map<string, number>();
  /** When it first saw the wire gone that a record tells of. */
  readonly #detachedSinceMs = new Map<string, number>();
  /** When it first wanted to say that a wire is there. */
  readonly #attachedSinceMs = new Map<string, number>();
  /** When a wire was made last; monotonic milliseconds. */
  #newestWireMs = Number.NEGATIVE_INFINITY;

  constructor(options: RecordReportsOptions) {
    this.#o = options;
    this.#clock = options.clock ?? realClock;
    this.#controller = new Controller({
      name: 'records',
      workers,
      maxBackoffMs,
      log: options.log,
      clock: this.#clock,
      reconcile: (address) => this.#reconcile(address),
    });
  }

  start(): void {
    this.#o.records.source.on(({ type, object }) => {
      if (type === 'deleted') {
        const uid = object.metadata.uid ?? '';
        for (const since of [this.#releasingSinceMs, this.#detachedSinceMs, this.#attachedSinceMs]) since.delete(uid);
      }
      this.#controller.enqueue(object.metadata.name);
    });
    this.#controller.start();
  }

  stop(): Promise<void> {
    return this.#controller.stop();
  }

  /** The wires of this address changed. */
  look(address: string): void {
    const isWired = this.#o.book.list().some((wire) => wire.address === address);
    if (isWired) this.#newestWireMs = this.#clock.monotonicMs();
    this.#controller.enqueue(address);
  }

  /** How long the word that a wire is there has to wait still; 0 where there is another to say, or none. */
  #attachedWaitMs(record: IpAllocation, status: IpAllocationStatus = {}): number {
    const uid = record.spec.owner.uid;
    const isAttached = status.attached?.owner.uid === uid;
    const leftMs = mostDelayMs - this.#age(this.#attachedSinceMs, record, isAttached);
    const patienceMs = this.#attachedSinceMs.size > few ? calmMs.ofMany : calmMs.ofFew;
    const untilCalmMs = this.#newestWireMs + patienceMs - this.#clock.monotonicMs();
    return isAttached ? Math.max(0, Math.min(leftMs, untilCalmMs)) : 0;
  }

  /** How long the record has been so, as this agent has seen it. */
  #age(since: Map<string, number>, record: IpAllocation, isSo: boolean): number {
    const uid = record.metadata.uid ?? '';
    if (!isSo) {
      since.delete(uid);
      return 0;
    }
    const sinceMs = since.get(uid) ?? this.#clock.monotonicMs();
    since.set(uid, sinceMs);
    return this.#clock.monotonicMs() - sinceMs;
  }

  async #reconcile(address: string): Promise<Outcome> {
    const { records, book, attachments, hasOverlayAddress } = this.#o;
    const record = records.get(address);
    if (record === undefined) return done;
    const wires = book.list().filter((wire) => wire.address === address);
    const isDetached = record.spec.state === 'Bound' && wires.every((wire) => wire.identity !== record.spec.owner.uid);
    const decision = decideRecord({
      record,
      wires,
      leaving: book.leaving().filter((wire) => wire.address === address),
      releasingForMs: this.#age(this.#releasingSinceMs, record, record.spec.state === 'Releasing'),
      detachedForMs: this.#age(this.#detachedSinceMs, record, isDetached),
      isOverlayAddress: record.spec.owner.kind === 'Node' && hasOverlayAddress(address),
    });
    // Asked whatever was decided: a wire that goes before it was told of leaves nothing to the next.
    const waitMs = this.#attachedWaitMs(record, decision.decision === 'write' ? decision.status : undefined);
    switch (decision.decision) {
      case 'nothing':
        return done;
      case 'wait':
        return retryAfter(decision.ms, 'the wire may be on its way');
      case 'cut':
        for (const wire of decision.wires) {
          attachments.cut(wire, 'its pod was released and no DEL has come');
        }
        return retryAfter(conflictRetryMs, 'the wire is being removed');
      case 'write':
        break;
    }
    if (waitMs > 0) return retryAfter(waitMs, 'more wires are being made');
    this.#attachedSinceMs.delete(record.metadata.uid ?? '');
    return await this.#write({ ...record, status: decision.status });
  }

  async #write(record: IpAllocation): Promise<Outcome> {
    try {
      // The resourceVersion in it is what was decided on: a record that changed hands meanwhile refuses the write.
      await this.#o.client.replaceStatus(ipAllocationResource, record);
      return done;
    } catch (error) {
      if (isReason(error, 'conflict')) return retryAfter(conflictRetryMs, 'the record changed meanwhile');
      if (isReason(error, 'notFound')) return done;
      throw error;
    }
  }
}
