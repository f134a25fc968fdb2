// SPDX-License-Identifier: Apache-2.0
// Two nodes with their own addresses, and the few words that a story of an address between two pods is told in.
import { beforeEach } from 'vitest';
import { ModelCluster } from './model-cluster.ts';

export interface AddressStory {
  /** Anew before each test. */
  readonly cluster: ModelCluster;
  /** Those of pods, ascending. */
  readonly records: () => string[];
  readonly waiting: (node?: string) => string[];
  readonly pod: (name: string, node: string, pool: string) => Promise<void>;
  /** The pod goes, and its node lets go of its address. */
  readonly release: (name: string, address: string) => Promise<void>;
}

export function tellStory(): AddressStory {
  let cluster: ModelCluster;
  beforeEach(async () => {
    cluster = new ModelCluster();
    cluster.addNode('node-a');
    cluster.addNode('node-b', '10.29.15.50');
    cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
    await cluster.settle();
  });
  return {
    get cluster() {
      return cluster;
    },
    records: () =>
      cluster
        .held()
        .filter((line) => !line.startsWith('10.9.'))
        .sort(),
    waiting: (node = 'node-a') =>
      (cluster.endpoints.live.get(node)?.spec.waiting ?? []).map((each) => `${each.name}: ${each.message}`),
    pod: (name, node, pool) => {
      cluster.addPod(name, node, pool);
      return cluster.settle();
    },
    release: async (name, address) => {
      cluster.removePod(name);
      await cluster.settle();
      cluster.sayReleased(address);
      await cluster.settle();
    },
  };
}
