// SPDX-License-Identifier: Apache-2.0
// Writes the own NodeEndpoint's status, one write at a time and only for a change.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { nodeEndpointResource } from '../api/generated/node-endpoint.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Clock, realClock } from '../kube/clock.ts';
import { Controller, done, type Outcome, retryAfter } from '../kube/controller.ts';
import { isReason } from '../kube/errors.ts';
import type { Log } from '../kube/log.ts';
import { endpointStatus, isFillAlone, type NodeReport } from '../wiring/endpoint-status.ts';

const retryMs = 500;
/** Every agent hears of every status, and while pods come a map's fill doubles again and again. */
const fillEveryMs = 30_000;
const maxBackoffMs = 60_000;

export class EndpointReport {
  readonly #client: Pick<KubeClient, 'replaceStatus'>;
  readonly #own: () => NodeEndpoint | undefined;
  readonly #clock: Clock;
  readonly #controller: Controller<'own'>;
  #report: NodeReport | undefined;
  /** When a status was written last; monotonic milliseconds. */
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(options: {
    client: Pick<KubeClient, 'replaceStatus'>;
    own: () => NodeEndpoint | undefined;
    log: Log;
    clock?: Clock | undefined;
  }) {
    this.#client = options.client;
    this.#own = options.own;
    this.#clock = options.clock ?? realClock;
    this.#controller = new Controller<'own'>({
      name: 'endpoint',
      maxBackoffMs,
      log: options.log,
      clock: this.#clock,
      reconcile: () => this.#write(),
    });
  }

  start(): void {
    this.#controller.start();
  }

  stop(): Promise<void> {
    return this.#controller.stop();
  }

  /** What is true now; it replaces what was said before. */
  say(report: NodeReport): void {
    this.#report = report;
    this.#controller.enqueue('own');
  }

  async #write(): Promise<Outcome> {
    const own = this.#own();
    if (own === undefined || this.#report === undefined) return done;
    const status = endpointStatus(own.status ?? {}, this.#report, new Date(this.#clock.now()).toISOString());
    if (status === undefined) return done;
    const waitMs = this.#writtenMs + fillEveryMs - this.#clock.monotonicMs();
    if (waitMs > 0 && isFillAlone(own.status ?? {}, status)) return retryAfter(waitMs, 'only a fill has moved');
    try {
      await this.#client.replaceStatus(nodeEndpointResource, { ...own, status });
      this.#writtenMs = this.#clock.monotonicMs();
      return done;
    } catch (error) {
      if (isReason(error, 'conflict')) return retryAfter(retryMs, 'the NodeEndpoint changed meanwhile');
      if (isReason(error, 'notFound')) return done;
      throw error;
    }
  }
}
