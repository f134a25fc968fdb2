// SPDX-License-Identifier: Apache-2.0
// What the agents of all nodes would say of their records, by a real API server's watch: attached once it is Bound,
// released some time after it is Releasing. No wire stands behind the words.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { Controller, done, type Outcome, retryAfter } from '../../src/kube/controller.ts';
import { isReason } from '../../src/kube/errors.ts';
import { Informer } from '../../src/kube/informer.ts';
import { recordKind } from '../../src/operator/kinds.ts';

export class HollowAgents {
  /** Nodes whose agents say nothing. */
  readonly silent = new Set<string>();
  readonly #client: KubeClient;
  readonly #records: Informer<IpAllocation>;
  readonly #controller: Controller;

  constructor(client: KubeClient) {
    this.#client = client;
    this.#records = new Informer({ client, resource: recordKind });
    this.#controller = new Controller({ name: 'agents', workers: 8, reconcile: (address) => this.#say(address) });
  }

  start(): void {
    this.#records.on(({ object }) => this.#controller.enqueue(object.metadata.name));
    this.#records.start();
    this.#controller.start();
  }

  async stop(): Promise<void> {
    await this.#controller.stop();
    await this.#records.stop();
  }

  async #say(address: string): Promise<Outcome> {
    const record = this.#records.get(address);
    if (record === undefined || this.silent.has(record.spec.nodeName)) return done;
    const status = statusOf(record);
    if (status === undefined) return done;
    try {
      await this.#client.replaceStatus(recordKind, { ...record, status });
      return done;
    } catch (error) {
      if (isReason(error, 'conflict')) return retryAfter(20, 'the record changed');
      if (isReason(error, 'notFound')) return done;
      throw error;
    }
  }
}

/** As decideRecord of src/wiring has it. */
function statusOf({ spec, status = {} }: IpAllocation): IpAllocation['status'] {
  const owner = { uid: spec.owner.uid };
  const { attached, released, ...rest } = status;
  if (spec.state === 'Releasing')
    return released?.owner.uid === owner.uid ? undefined : { ...rest, released: { owner } };
  if (spec.state !== 'Bound' || spec.owner.kind === 'Node' || attached?.owner.uid === owner.uid) return undefined;
  return { ...status, attached: { owner, containerID: `sandbox-${owner.uid}`, interface: 'fast0' } };
}
