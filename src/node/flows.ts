// SPDX-License-Identifier: Apache-2.0
// What the kernel's conntrack remembers of a pod's address. Old flows would steer the address's next pod.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { countFlows, deleteFlows, RouteSocket } from 'ebpf-native';
import type { Log } from '../kube/log.ts';
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

export class Flows {
  readonly #host: Host;
  readonly #isIdle: (address: string) => boolean;
  #socket: RouteSocket | undefined;
  /** One search at a time: each walks through the whole table, on a thread of its own. */
  #last: Promise<unknown> = Promise.resolve();
  /** The search that has not begun, and what it is for: many pods that go at once share it. */
  #next: { readonly addresses: Set<string>; readonly done: Promise<void> } | undefined;

  /** An address that is in use again when its flows are found keeps them: they may be those of its pod's next sandbox. */
  constructor(host: Host, isIdle: (address: string) => boolean) {
    this.#host = host;
    this.#isIdle = isIdle;
  }

  /** Makes conntrack forget an address that was given back. @throws NetlinkError, where the kernel has no conntrack too */
  forget(address: string): Promise<void> {
    this.#next ??= this.#search(new Set());
    this.#next.addresses.add(address);
    return this.#next.done;
  }

  #search(addresses: Set<string>): { addresses: Set<string>; done: Promise<void> } {
    const done = this.#last.then(async () => {
      // Whoever was told of the same deletion is here by then.
      await nextTurn();
      this.#next = undefined;
      this.#socket ??= RouteSocket.open(this.#host.netns, 'netfilter');
      await deleteFlows(this.#socket, [...addresses], this.#isIdle);
    });
    this.#last = done.catch(() => undefined);
    return { addresses, done };
  }
}
