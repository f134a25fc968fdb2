// SPDX-License-Identifier: Apache-2.0
// What the kernel's conntrack remembers of a pod's address. Old flows would steer the address's next pod.
import { countFlows, deleteFlows, type FlowSide, RouteSocket } from 'ebpf-native';
import type { Log } from '../kube/log.ts';
import type { Host } from './host.ts';

/** The reply's source finds the flows that came by a Service. */
const sides: readonly FlowSide[] = ['original', 'reply'];

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
