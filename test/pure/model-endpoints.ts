// SPDX-License-Identifier: Apache-2.0
// The writes of NodeEndpoints on a model, with answers that never come, and the look at all of them after each one: at
// no moment do two list one address. What does not fit the schema is refused, as the API server does.
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { conform, type Problem, readCustomKind } from '../simulator/schema.ts';
import type { Created, EndpointPort, Refused, Written } from '../../src/reconcilers/ports.ts';

const { schema } = readCustomKind('nodeendpoints');

/** What an agent says as soon as its endpoint is there. */
const firstWord = {
  conditions: [
    {
      type: 'DatapathReady',
      status: 'True' as const,
      reason: 'AsDesired',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    },
  ],
};

interface Writes {
  readonly live: ReadonlyMap<string, NodeEndpoint>;
  create(endpoint: NodeEndpoint): Created<NodeEndpoint>;
  replace(endpoint: NodeEndpoint, change: (live: NodeEndpoint) => NodeEndpoint): Written;
  delete(endpoint: NodeEndpoint): Written;
}

/** What becomes of a write whose answer does not come: it took effect, it never arrived, or it is still on its way. */
export type Unanswered = 'done' | 'lost' | 'late';

export class ModelEndpoints implements EndpointPort {
  /** `10.0.0.1 of node-a and node-b`, as soon as it was so. */
  readonly doubled: string[] = [];
  /** The fates of the next writes. */
  readonly fates: Unanswered[] = [];
  /** The fate of all writes behind these; undefined: they are answered. */
  fate: Unanswered | undefined;
  /** The names of the nodes that no agent runs on. */
  readonly agentless = new Set<string>();
  /** Whether the API server refuses all of them, as without the right. */
  isBarred = false;
  readonly #late: Array<() => void> = [];
  readonly #writes: Writes;

  constructor(writes: Writes) {
    this.#writes = writes;
  }

  async create(endpoint: NodeEndpoint): Promise<Created<NodeEndpoint>> {
    const spoken = this.agentless.has(endpoint.metadata.name) ? endpoint : { ...endpoint, status: firstWord };
    return this.#write(() => this.#refusal(endpoint) ?? this.#writes.create(spoken));
  }

  async replace(endpoint: NodeEndpoint): Promise<{ outcome: Written } | Refused> {
    const replace = (): Written => this.#writes.replace(endpoint, (live) => ({ ...live, spec: endpoint.spec }));
    return this.#write(() => this.#refusal(endpoint) ?? { outcome: replace() });
  }

  async replaceStatus({ status = {}, ...endpoint }: NodeEndpoint): Promise<Written> {
    return this.#write(() => this.#writes.replace(endpoint, (live) => ({ ...live, status })));
  }

  async delete(endpoint: NodeEndpoint): Promise<Written> {
    return this.#write(() => this.#writes.delete(endpoint));
  }

  /** What was on its way arrives. */
  arrive(): void {
    for (const write of this.#late.splice(0)) this.#look(write);
  }

  #write<T>(write: () => T): T {
    const fate = this.fates.shift() ?? this.fate;
    if (fate === undefined) return this.#look(write);
    if (fate === 'done') this.#look(write);
    if (fate === 'late') this.#late.push(write);
    throw new Error('the connection broke');
  }

  #refusal(endpoint: NodeEndpoint): Refused | undefined {
    const problems: Problem[] = [];
    conform(schema, endpoint, problems);
    if (this.isBarred) problems.push({ field: '', message: 'forbidden' });
    const because = problems.map(({ field, message }) => `${field}: ${message}`).join(', ');
    return because === '' ? undefined : { outcome: 'refused', because };
  }

  #look<T>(write: () => T): T {
    const result = write();
    const holders = new Map<string, string>();
    for (const { metadata, spec } of this.#writes.live.values()) {
      for (const address of [spec.overlayAddress ?? '', ...(spec.podAddresses ?? [])].filter((each) => each !== '')) {
        const other = holders.get(address);
        if (other !== undefined) this.doubled.push(`${address} of ${other} and ${metadata.name}`);
        holders.set(address, metadata.name);
      }
    }
    return result;
  }
}
