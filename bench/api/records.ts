// SPDX-License-Identifier: Apache-2.0
// Records as the controller writes them, as many as are asked for, no two with one address.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { apiVersion } from '../../src/api/names.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { boundRecord } from '../../src/reconcilers/allocation.ts';
import { type Pool, parsePool } from '../../src/reconcilers/pool.ts';

const nodeCount = 5000;
const sinceMs = Date.UTC(2026, 0, 1);

function examplePool(): Pool {
  const spec = { subnet: '10.244.0.1/32', ips: ['10.0.0.0/8'] };
  const parsed = parsePool({ apiVersion, kind: 'Ips', metadata: { name: 'sample-ips' }, spec });
  if (parsed.kind === 'problem') throw new Error(parsed.problem.message);
  return parsed.pool;
}

/** An identity of the right length; what it says matters to nobody here. */
const uid = (kind: number, at: number): string =>
  `${kind.toString(16).padStart(8, '0')}-7a1c-4a44-9d0c-${at.toString(16).padStart(12, '0')}`;

export class Records {
  readonly #pool = examplePool();
  readonly #first = parseAddress('10.0.0.1');
  #made = 0;

  /** How many were taken so far. */
  get made(): number {
    return this.#made;
  }

  take(count: number): IpAllocation[] {
    return Array.from({ length: count }, () => this.#next());
  }

  #next(): IpAllocation {
    const at = this.#made;
    this.#made += 1;
    const node = at % nodeCount;
    const nodeName = `10-29-${node >> 8}-${node & 255}`;
    const owner = { kind: 'Pod' as const, namespace: 'default', name: `web-7d4b9c6f5d-${at}`, uid: uid(1, at) };
    return boundRecord({ owner, nodeName, nodeUID: uid(2, node) }, this.#pool, this.#first + at, sinceMs);
  }
}
