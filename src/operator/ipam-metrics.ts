// SPDX-License-Identifier: Apache-2.0
// What the controller measures of addresses, beside what every controller measures of itself.
import { Counter, type Registry } from 'prom-client';
import type { Repair } from '../reconcilers/ports.ts';

export class IpamMetrics {
  readonly #repairs: Counter<'action'>;

  constructor(registry: Registry) {
    this.#repairs = new Counter({
      name: 'fast_collector_repairs_total',
      help: 'What the collector mended because no event had told of it',
      labelNames: ['action'],
      registers: [registry],
    });
  }

  repaired(action: Repair): void {
    this.#repairs.inc({ action });
  }
}
