// SPDX-License-Identifier: Apache-2.0
// What the kernel's conntrack remembers of a pod's address. Old flows would steer the address's next pod.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { countFlows, deleteFlows, RouteSocket } from 'ebpf-native';
import type { Log } from '../kube/log.ts';
import type { Wire } from '../wiring/wire.ts';
import type { Host } from './host.ts';

/**
 * Has conntrack be there: where it is a module, the kernel loads it for whoever asks it something. Programs that are loaded
 * before it have no fast path until the agent's next start.
 */
export function wakeConntrack(host: Host, log: Log): void {
  try {
    const socket = RouteSocket.open(host.netns, 'netfilter');
    try {
      countFlows(socket);
    } finally {
      socket.close();
    }
  } catch (error) {
    log.warn({ err: error }, 'the kernel has no conntrack that could be asked');
  }
}

/** An address that was given back, and by whom. */
type Former = Pick<Wire, 'address' | 'identity'>;

export class Flows {
  readonly #host: Host;
  readonly #isInUse: (former: Former) => boolean;
  #socket: RouteSocket | undefined;
  /** One search at a time: each walks through the whole table, on a thread of its own. */
  #last: Promise<unknown> = Promise.resolve();
  /** The search that has not begun, and what it is for: many pods that go at once share it. */
  #next: { readonly formers: Former[]; readonly done: Promise<void> } | undefined;

  /** A pod whose address is in use again when its flows are found keeps them: they may be those of its next sandbox. */
  constructor(host: Host, isInUse: (former: Former) => boolean) {
    this.#host = host;
    this.#isInUse = isInUse;
  }

  /** Makes conntrack forget what a pod had with its address. @throws NetlinkError, where the kernel has no conntrack too */
  forget(former: Former): Promise<void> {
    this.#next ??= this.#search([]);
    this.#next.formers.push(former);
    return this.#next.done;
  }

  #search(formers: Former[]): { formers: Former[]; done: Promise<void> } {
    const done = this.#last.then(async () => {
      // Whoever was told of the same deletion is here by then.
      await nextTurn();
      this.#next = undefined;
      this.#socket ??= RouteSocket.open(this.#host.netns, 'netfilter');
      const byAddress = Map.groupBy(formers, ({ address }) => address);
      const isIdle = (address: string): boolean =>
        byAddress.get(address)?.some((each) => !this.#isInUse(each)) ?? false;
      await deleteFlows(this.#socket, [...byAddress.keys()], isIdle);
    });
    this.#last = done.catch(() => undefined);
    return { formers, done };
  }
}
