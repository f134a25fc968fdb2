// SPDX-License-Identifier: Apache-2.0
// A control plane for benchmarks: a real API server, the real controller as its own process, hollow nodes, and the fleet
// of their agents as a third process. No kubelet, no machine, no kernel.
import { nodePool } from '../../src/api/names.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { eventually, HollowCluster } from '../../test/api/hollow-cluster.ts';
import type { ApiServer } from '../../test/cluster/api-server.ts';
import { formatAddress, parseAddress } from '../../src/ip/address.ts';
import { Child } from './child.ts';
import { ControllerProcess } from './controller.ts';
import type { FleetMethods } from './fleet.ts';
import { atOnce } from '../api/at-once.ts';

/** Calls at once where the benchmark itself prepares things. */
export const width = 64;

export interface PoolOrder {
  readonly name: string;
  readonly ips: readonly string[];
  readonly coolDownSeconds?: number;
}

export class HollowBench {
  readonly cluster: HollowCluster;
  readonly nodes: readonly string[];
  controller: ControllerProcess | undefined;
  readonly fleet: Child<FleetMethods>;

  private constructor(cluster: HollowCluster, nodes: readonly string[], fleet: Child<FleetMethods>) {
    this.cluster = cluster;
    this.nodes = nodes;
    this.fleet = fleet;
  }

  get server(): ApiServer {
    return this.cluster.server;
  }

  get client(): KubeClient {
    return this.cluster.client;
  }

  /** Comes back when the controller leads and every node has its endpoint, ready and said so by its agent. */
  static async start(order: {
    nodes: number;
    pools: readonly PoolOrder[];
    say: (line: string) => void;
  }): Promise<HollowBench> {
    const { say } = order;
    say('starting the API server');
    const cluster = await HollowCluster.start();
    const nodes = Array.from({ length: order.nodes }, (_, at) => `node-${String(at).padStart(4, '0')}`);
    const fleet = new Child<FleetMethods>(new URL('fleet.ts', import.meta.url).pathname);
    const bench = new HollowBench(cluster, nodes, fleet);
    try {
      const { client, server } = bench;
      await cluster.addPool(nodePool, ['10.244.224.0-10.244.255.255'], { usage: 'Node' });
      for (const { name, ips, ...more } of order.pools) await cluster.addPool(name, [...ips], more);
      say(`making ${nodes.length} nodes`);
      const first = parseAddress('10.29.0.1');
      await atOnce(nodes, width, (name, at) => cluster.addNode(name, formatAddress(first + at)));
      bench.controller = await ControllerProcess.start(
        server.kubeconfig,
        client,
        (process.env['G_PROF'] ?? '').split(' ').filter(Boolean),
      );
      await fleet.ask('start', server.kubeconfig);
      await eventually('an endpoint for every node', () => bench.#areEndpointsReady(), 120_000);
      return bench;
    } catch (error) {
      await bench.stop();
      throw error;
    }
  }

  async #areEndpointsReady(): Promise<boolean> {
    const { endpointsReady } = await this.fleet.ask('seen', undefined);
    return endpointsReady === this.nodes.length;
  }

  async stop(): Promise<void> {
    this.fleet.end();
    await this.controller?.stop();
    await this.cluster.stop();
  }

  /** Makes pods; those for which `nodeOf` names a node are bound at birth. */
  async makePods(names: readonly string[], pool: string, nodeOf?: (at: number) => string): Promise<void> {
    await atOnce(names, width, (name, at) => this.cluster.addPod(name, nodeOf?.(at), pool));
  }

  /** Gone at once, as when the kubelet has confirmed. */
  async removePods(names: readonly string[]): Promise<void> {
    await atOnce(names, width, (name) => this.cluster.removePod(name));
  }
}
