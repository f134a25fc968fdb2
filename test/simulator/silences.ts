// SPDX-License-Identifier: Apache-2.0
// What controllers say in the place of agents: that a node is silent, once for each time that the control plane loses it,
// and never over what its agent has said since.
import { isDeepStrictEqual } from 'node:util';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import type { Node } from '../../src/api/workloads.ts';
import type { WriteObserver } from './api-server.ts';

export type Condition = NonNullable<NonNullable<NodeEndpoint['status']>['conditions']>[number];

export function datapathOf(endpoint: NodeEndpoint | undefined): Condition | undefined {
  return endpoint?.status?.conditions?.find(({ type }) => type === 'DatapathReady');
}

export class Silences {
  /** Node → when the control plane lost it last, as its Node said. */
  readonly #lost = new Map<string, string>();
  readonly #told = new Set<string>();

  /** What is wrong about a write; undefined for nothing. */
  onWrite(...[kind, caller, old, now]: Parameters<WriteObserver>): string | undefined {
    if (old === undefined || now === undefined) return undefined;
    if (kind.plural === 'nodes') this.#follow(now as Node);
    if (kind.plural !== 'nodeendpoints' || caller.is !== 'controller') return undefined;
    const because = this.#whyNotSaid(old as NodeEndpoint, now as NodeEndpoint);
    return because === undefined ? undefined : `${caller.name} wrote of the node ${now.metadata.name}: ${because}`;
  }

  #follow(node: Node): void {
    const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
    if (ready?.status === 'Unknown') this.#lost.set(node.metadata.name, ready.lastTransitionTime ?? '');
  }

  #whyNotSaid(old: NodeEndpoint, now: NodeEndpoint): string | undefined {
    if (isDeepStrictEqual(old.status, now.status)) return undefined;
    const { name } = now.metadata;
    const [before, after] = [datapathOf(old), datapathOf(now)];
    const others = ({ status }: NodeEndpoint): object => {
      return { ...status, conditions: status?.conditions?.filter(({ type }) => type !== 'DatapathReady') };
    };
    if (!isDeepStrictEqual(others(old), others(now))) return "that is its agent's to say";
    if (before?.status !== 'True' || after?.status !== 'Unknown') return `${before?.status} was its agent's word`;
    const lost = this.#lost.get(name);
    if (lost === undefined) return 'nobody has lost it';
    if (Date.parse(before.lastTransitionTime) > Date.parse(lost)) return 'its agent has spoken since it was lost';
    const said = `${name}: ${after.message}`;
    if (this.#told.has(said)) return 'it was said before';
    this.#told.add(said);
    return undefined;
  }
}
