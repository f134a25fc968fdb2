// SPDX-License-Identifier: Apache-2.0
// Takes wires away. Entry and label go at once, which is what an answer waits for; the veth costs a grace period of the
// kernel and goes behind the answer, and then what conntrack remembers of the address.
import { deleteGroupAsync, deleteLinkAsync, findLink, setLink } from 'ebpf-native';
import { type Clock, realClock } from '../kube/clock.ts';
import type { Log } from '../kube/log.ts';
import type { Wire } from '../wiring/wire.ts';
import { leavingGroup } from './constants.ts';
import { Flows } from './flows.ts';
import { type Host, isGone } from './host.ts';
import { dropLocalPod } from './maps.ts';
import type { Datapath } from './programs.ts';
import { observed, type StepObserver } from './steps.ts';
import type { WireBook } from './wire-book.ts';
import { forgetLimited } from './wire-program.ts';

export interface WireRemoverOptions {
  readonly host: Host;
  readonly datapath: Pick<Datapath, 'localPods' | 'wirePins'>;
  readonly book: WireBook;
  readonly log: Log;
  /** Told when nothing of the wire is left. */
  readonly onGone: (wire: Wire) => void;
  readonly observer?: StepObserver | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * How long a deletion waits for others to join it. It holds the kernel's routing lock for some 20 ms, which every ADD and
 * DEL needs too: right behind the first of many DELs it would come between all of them.
 */
const gatherMs = 100;

export class WireRemover {
  readonly #o: WireRemoverOptions;
  readonly #flows: Flows;
  readonly #running = new Map<number, Promise<void>>();
  #deleting: Promise<void> = Promise.resolve();
  /** The deletion that has not begun: whoever joins it shares its grace periods. */
  #nextDeletion: Promise<void> | undefined;

  constructor(options: WireRemoverOptions) {
    this.#o = options;
    this.#flows = new Flows(options.host, (address) => !this.#isInUse(address));
  }

  /**
   * When this returns the fast path does not know the wire any more and no agent will take it for one, this one dead
   * or alive: a veth of ours without a label is what a start clears away. The rest follows by itself.
   */
  remove(wire: Wire): void {
    const { datapath, book } = this.#o;
    this.#step(`take ${wire.address} out of local_pod_ips`, () => dropLocalPod(datapath.localPods, wire));
    this.#step(`take the label off ${wire.interface}`, () => this.#unlabel(wire));
    book.leave(wire);
    if (this.#running.has(wire.ifindex)) return;
    const running = this.#finish(wire).finally(() => {
      this.#running.delete(wire.ifindex);
    });
    this.#running.set(wire.ifindex, running);
  }

  /** Takes up removals that failed. */
  retry(): void {
    for (const wire of this.#o.book.leaving()) this.remove(wire);
  }

  /** Waits for the wires of a pod whose removal is under way; answers false where there is none. One that failed is not. */
  async hasWaitedFor(identity: string): Promise<boolean> {
    const leaving = this.#o.book.leaving().filter((wire) => wire.identity === identity);
    const running = leaving.flatMap((wire) => this.#running.get(wire.ifindex) ?? []);
    await Promise.all(running);
    return running.length > 0;
  }

  /** Resolves when no removal is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  #step(name: string, work: () => void): void {
    this.#o.observer?.begins(name);
    work();
    this.#o.observer?.ended(name);
  }

  #unlabel(wire: Wire): void {
    const { host, log } = this.#o;
    try {
      // Indexes are not used twice within a namespace, but a name tells surely.
      if (this.#isThere(wire)) setLink(host.socket, wire.ifindex, { alias: '', group: leavingGroup });
    } catch (error) {
      if (!isGone(error)) log.warn({ err: error, wire }, 'a wire keeps its label until it is deleted');
    }
  }

  #isThere(wire: Wire): boolean {
    return findLink(this.#o.host.socket, { index: wire.ifindex })?.name === wire.interface;
  }

  async #finish(wire: Wire): Promise<void> {
    const { datapath, book, log, onGone, observer } = this.#o;
    try {
      await observed(observer, `delete ${wire.interface}`, () => this.#delete(wire));
    } catch (error) {
      if (!isGone(error)) {
        log.error({ err: error, wire }, 'a wire could not be removed; the next comparison tries again');
        return;
      }
    }
    forgetLimited(datapath, wire.interface, book.list());
    if (!this.#isInUse(wire.address)) {
      await observed(observer, `flush conntrack of ${wire.address}`, () => this.#flushConntrack(wire.address));
    }
    book.forget(wire.ifindex);
    onGone(wire);
  }

  #isInUse(address: string): boolean {
    return this.#o.book.list().some((wire) => wire.address === address);
  }

  async #delete(wire: Wire): Promise<void> {
    if (this.#isThere(wire)) await this.#deleteLeaving();
    // One that could not join the group.
    if (this.#isThere(wire)) await deleteLinkAsync(this.#o.host.socket, wire.ifindex);
  }

  #deleteLeaving(): Promise<void> {
    this.#nextDeletion ??= this.#deleting.then(async () => {
      await (this.#o.clock ?? realClock).sleep(gatherMs);
      this.#nextDeletion = undefined;
      try {
        await deleteGroupAsync(this.#o.host.socket, leavingGroup);
      } catch (error) {
        if (!isGone(error)) this.#o.log.warn({ err: error }, 'wires are deleted one by one');
      }
    });
    this.#deleting = this.#nextDeletion;
    return this.#nextDeletion;
  }

  async #flushConntrack(address: string): Promise<void> {
    try {
      await this.#flows.forget(address);
    } catch (error) {
      this.#o.log.warn({ err: error, address }, 'conntrack keeps flows of an address that was given back');
    }
  }
}
