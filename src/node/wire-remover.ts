// SPDX-License-Identifier: Apache-2.0
// Takes wires away. The entry goes at once, which is what an answer waits for; the veth costs a grace period of the
// kernel and goes behind the answer, and then what conntrack remembers of the address.
import { deleteLinkAsync, findLink, SysError } from 'ebpf-native';
import type { Log } from '../kube/log.ts';
import type { Wire } from '../wiring/wire.ts';
import { type Host, runProgram } from './host.ts';
import { dropLocalPod } from './maps.ts';
import type { Datapath } from './programs.ts';
import type { WireBook } from './wire-book.ts';

export interface WireRemoverOptions {
  readonly host: Host;
  readonly datapath: Pick<Datapath, 'localPods'>;
  readonly book: WireBook;
  readonly log: Log;
  /** Told when nothing of the wire is left. */
  readonly onGone: (wire: Wire) => void;
}

export class WireRemover {
  readonly #o: WireRemoverOptions;
  readonly #running = new Map<number, Promise<void>>();

  constructor(options: WireRemoverOptions) {
    this.#o = options;
  }

  /** The fast path no longer knows the wire when this returns; the rest follows by itself. */
  remove(wire: Wire): void {
    dropLocalPod(this.#o.datapath.localPods, wire);
    this.#o.book.leave(wire);
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

  /** Resolves when no removal is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  async #finish(wire: Wire): Promise<void> {
    const { host, book, log, onGone } = this.#o;
    try {
      // Indexes are not used twice within a namespace, but a name tells surely.
      if (findLink(host.socket, { index: wire.ifindex })?.name === wire.interface) {
        await deleteLinkAsync(host.socket, wire.ifindex);
      }
    } catch (error) {
      if (!(error instanceof SysError && error.code === 'ENODEV')) {
        log.error({ err: error, wire }, 'a wire could not be removed; the next comparison tries again');
        return;
      }
    }
    const isTakenOver = book.list().some((other) => other.address === wire.address);
    if (!isTakenOver) await this.#flushConntrack(wire.address);
    book.forget(wire.ifindex);
    onGone(wire);
  }

  /** Old flows would steer the address's next pod. The reply's source finds those that came by a Service. */
  async #flushConntrack(address: string): Promise<void> {
    for (const side of ['--orig-src', '--reply-src']) {
      try {
        // Exit code 1 says that there was no such flow.
        await runProgram(this.#o.host, ['conntrack', '--delete', side, address]);
      } catch (error) {
        this.#o.log.warn({ err: error, address }, 'conntrack keeps flows of an address that was given back');
      }
    }
  }
}
