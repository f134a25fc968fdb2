// SPDX-License-Identifier: Apache-2.0
// A cluster without machines for the controller's tests: a real API server with Fast's CRDs, Node objects that no
// kubelet stands behind, pods bound to them by hand, and the words that an agent would say.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { apiVersion, poolAnnotation } from '../../src/api/names.ts';
import type { Node, Pod } from '../../src/api/workloads.ts';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { endpointKind, nodeKind, podKind, poolKind, recordKind } from '../../src/operator/kinds.ts';
import { type ApiServer, startApiServer } from '../cluster/api-server.ts';

const crds = join(fileURLToPath(new URL('../..', import.meta.url)), 'crds');

/** Looks every 50 ms until `look` answers with something, for at most `timeoutMs`. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const endMs = Date.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > endMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export class HollowCluster {
  readonly server: ApiServer;
  readonly client: KubeClient;

  private constructor(server: ApiServer) {
    this.server = server;
    this.client = connect({ fieldManager: 'hollow-cluster', kubeconfig: server.kubeconfig });
  }

  static async start(): Promise<HollowCluster> {
    const server = await startApiServer();
    const cluster = new HollowCluster(server);
    await cluster.kubectl(['apply', '-k', crds]);
    await cluster.kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all']);
    await cluster.kubectl(['create', 'namespace', 'fast-system']);
    return cluster;
  }

  async stop(): Promise<void> {
    await this.client.close();
    await this.server.stop();
  }

  async kubectl(argv: string[], stdin?: string): Promise<string> {
    const result = await this.server.kubectl(argv, stdin);
    if (result.code !== 0) throw new Error(`kubectl ${argv.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }

  async addNode(name: string, address: string): Promise<Node> {
    await this.client.create(nodeKind, { metadata: { name } });
    const status = { addresses: [{ type: 'InternalIP', address }] };
    return await this.client.patch(nodeKind, name, { status }, { type: 'merge', subresource: 'status' });
  }

  async addPool(name: string, ips: string[], more: Partial<Ips['spec']> = {}): Promise<Ips> {
    const spec = { subnet: '10.244.0.1/32', ips, ...more };
    return await this.client.create(poolKind, { apiVersion, kind: 'Ips', metadata: { name }, spec });
  }

  /** A pod as the scheduler leaves it: bound to a node. */
  async addPod(name: string, nodeName: string | undefined, pool?: string, more: object = {}): Promise<Pod> {
    const pod = {
      metadata: {
        name,
        namespace: 'default',
        ...(pool === undefined ? {} : { annotations: { [poolAnnotation]: pool } }),
      },
      spec: { ...(nodeName === undefined ? {} : { nodeName }), containers: [{ name: 'c', image: 'busybox' }], ...more },
    };
    return await this.client.create(podKind, pod);
  }

  /** Gone from the API at once, as when the kubelet has confirmed. */
  async removePod(name: string): Promise<void> {
    await this.client.delete(podKind, name, { namespace: 'default', gracePeriodSeconds: 0 });
  }

  async recordOf(pod: string): Promise<IpAllocation | undefined> {
    return (await this.records()).find(({ spec }) => spec.owner.kind === 'Pod' && spec.owner.name === pod);
  }

  async records(): Promise<IpAllocation[]> {
    return (await this.client.list(recordKind)).items;
  }

  /** The pod's address, once it has one. */
  async addressOf(pod: string): Promise<string> {
    const record = await eventually(`an address for ${pod}`, () => this.recordOf(pod));
    return record.spec.address;
  }

  /** What the node's agent says when it has taken the wire away. */
  async sayReleased(address: string): Promise<void> {
    const releasing = await eventually(`${address} Releasing`, async () => {
      const record = await this.client.find(recordKind, address);
      return record?.spec.state === 'Releasing' ? record : undefined;
    });
    const status = { ...releasing.status, released: { owner: { uid: releasing.spec.owner.uid } } };
    await this.client.replaceStatus(recordKind, { ...releasing, status });
  }

  async endpoint(node: string): Promise<NodeEndpoint | undefined> {
    return await this.client.find(endpointKind, node);
  }

  async pool(name: string): Promise<Ips | undefined> {
    return await this.client.find(poolKind, name);
  }
}
