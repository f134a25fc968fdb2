// SPDX-License-Identifier: Apache-2.0
// What the control plane says of nodes: a kubelet that it hears makes its node Ready, and of one that is silent Ready is
// Unknown. A kubelet may be silent on a machine that runs, with its agent.
import type { Node } from '../../src/api/workloads.ts';
import { nodeKind } from '../../src/operator/kinds.ts';
import type { ApiServer } from './api-server.ts';
import type { Machine } from './machine.ts';
import type { Random } from './random.ts';

const admin = { is: 'admin' } as const;

export interface NodeLifecycleParts {
  readonly server: ApiServer;
  readonly machines: readonly Machine[];
  /** The machines that are cut off. */
  readonly cut: ReadonlySet<string>;
  readonly random: Random;
  /** RFC 3339, whole seconds as the API server's are. */
  readonly now: () => string;
}

export class NodeLifecycle {
  readonly #o: NodeLifecycleParts;
  /** Machines whose kubelet alone is silent. */
  readonly #silent = new Set<Machine>();

  constructor(parts: NodeLifecycleParts) {
    this.#o = parts;
  }

  /** A kubelet falls silent, or speaks again; and then the control plane looks. */
  act(): void {
    const { random, machines } = this.#o;
    const machine = random.pick(machines);
    if (machine !== undefined && !this.#silent.delete(machine) && random.chance(0.3)) this.#silent.add(machine);
    this.look();
  }

  mend(): void {
    this.#silent.clear();
    this.look();
  }

  look(): void {
    const { server, machines, cut } = this.#o;
    for (const machine of machines) {
      const node = server.objects(nodeKind).find(({ metadata }) => metadata.name === machine.name);
      const isHeard = machine.isOn && !cut.has(machine.name) && !this.#silent.has(machine);
      if (node !== undefined) this.#say(node, isHeard ? 'True' : 'Unknown');
    }
  }

  #say(node: Node, status: 'True' | 'Unknown'): void {
    const before = node.status?.conditions?.[0]?.status;
    // Of a node that has never been heard nothing is known, and nothing lost.
    if (before === status || (before === undefined && status === 'Unknown')) return;
    const conditions = [{ type: 'Ready', status, lastTransitionTime: this.#o.now() }];
    this.#o.server.replace(nodeKind, { ...node, status: { ...node.status, conditions } }, admin, 'status');
  }
}
