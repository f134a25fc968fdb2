// SPDX-License-Identifier: Apache-2.0
// What the agent measures of the runtime's requests.
import { Counter, type Registry } from 'prom-client';

/** How an ADD met its pod's record: it was there first, it came while the ADD waited, or it did not come. */
export type RecordMet = 'found' | 'awaited' | 'missing';

export class CniMetrics {
  readonly #adds: Counter<'record'>;

  constructor(registry: Registry) {
    this.#adds = new Counter({
      name: 'fast_cni_adds_total',
      help: "ADD requests by how they met their pod's record: found waiting, awaited, or missing at the deadline",
      labelNames: ['record'],
      registers: [registry],
    });
    for (const record of ['found', 'awaited', 'missing'] as const) this.#adds.inc({ record }, 0);
  }

  added(record: RecordMet): void {
    this.#adds.inc({ record });
  }
}
