// SPDX-License-Identifier: Apache-2.0
// Reads which addresses are of Services. Nothing watches them: a cluster's range changes a few times in its life, if ever.
import type { KubeClient } from '../kube/client.ts';
import { isReason } from '../kube/errors.ts';
import type { Log } from '../kube/log.ts';
import { serviceCidrs } from '../kube/resources.ts';
import type { Outcome } from '../reconcilers/ports.ts';
import { retryAfter } from '../reconcilers/ports.ts';
import { type ServiceRange, serviceRangeOf } from '../reconcilers/services.ts';

const RECHECK_MS = 300_000;

export interface ServicesReaderWorld {
  readonly client: Pick<KubeClient, 'list'>;
  /** The address of the Service `kubernetes`, as the kubelet told it to this container. */
  readonly kubernetes: string | undefined;
  readonly tell: (services: ServiceRange) => void;
  readonly log: Log;
}

export class ServicesReader {
  readonly #world: ServicesReaderWorld;
  #said = '';

  constructor(world: ServicesReaderWorld) {
    this.#world = world;
  }

  /** @throws Error where the API server gave no answer, and so nothing was told */
  async reconcile(signal: AbortSignal): Promise<Outcome> {
    const { kubernetes, tell } = this.#world;
    const cidrs = await this.#read(signal);
    this.#say(cidrs);
    tell(serviceRangeOf(cidrs, kubernetes));
    return retryAfter(RECHECK_MS, 'another range may be added');
  }

  /** Kubernetes before 1.33 has no such kind, and who has no right is told so by the condition of each pool. */
  async #read(signal: AbortSignal): Promise<readonly string[] | undefined> {
    try {
      const { items } = await this.#world.client.list(serviceCidrs, {}, { signal });
      return items.flatMap(({ spec }) => spec?.cidrs ?? []);
    } catch (error) {
      if (isReason(error, 'notFound', 'forbidden')) return undefined;
      throw error;
    }
  }

  #say(cidrs: readonly string[] | undefined): void {
    const { log, kubernetes } = this.#world;
    const text = cidrs?.join() ?? 'unknown';
    if (text === this.#said) return;
    this.#said = text;
    if (cidrs === undefined) log.info({ kubernetes }, 'the API server does not tell which addresses are of Services');
    else log.info({ cidrs }, 'no pool gives out the addresses of Services');
  }
}
