// SPDX-License-Identifier: Apache-2.0
// What the kernel's conntrack remembers of a pod's address. Old flows would steer the address's next pod.
import { deleteFlows, type FlowSide, RouteSocket } from 'ebpf-native';
import type { Host } from './host.ts';

/** The reply's source finds the flows that came by a Service. */
const sides: readonly FlowSide[] = ['original', 'reply'];

export class Flows {
  readonly #host: Host;
  #socket: RouteSocket | undefined;
  /** One dump at a time: each is a walk through the whole table, on a thread of its own. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(host: Host) {
    this.#host = host;
  }

  /** Makes conntrack forget an address that was given back. @throws NetlinkError, where the kernel has no conntrack too */
  forget(address: string): Promise<void> {
    const forgotten = this.#last.then(async () => {
      this.#socket ??= RouteSocket.open(this.#host.netns, 'netfilter');
      for (const side of sides) await deleteFlows(this.#socket, side, address);
    });
    this.#last = forgotten.catch(() => undefined);
    return forgotten;
  }
}
