// SPDX-License-Identifier: Apache-2.0
// Who is measured, each as its users use it, on one API server.
import { CustomObjectsApi, KubeConfig } from '@kubernetes/client-node';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import { recordKind } from '../../src/operator/kinds.ts';
import type { ApiServer } from '../../test/cluster/api-server.ts';
import { Bare } from './bare.ts';

/** As many as our transport keeps. */
const connections = 64;

export interface Calls {
  create(record: IpAllocation): Promise<unknown>;
  get(name: string): Promise<unknown>;
}

export class Contestants {
  readonly bare: Bare;
  /** As the controller makes it: with metrics, and every write under a signal that ends it. */
  readonly client: KubeClient;
  readonly ours: Calls;
  readonly stock: Calls;

  constructor(server: ApiServer) {
    const { kubeconfig } = server;
    this.bare = new Bare(server, connections);
    const client = connect({ kubeconfig, fieldManager: 'bench', metrics: new Metrics() });
    this.client = client;
    const call = { signal: new AbortController().signal };
    this.ours = {
      create: (record) => client.create(recordKind, record, call),
      get: (name) => client.get(recordKind, name, undefined, call),
    };
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    const api = config.makeApiClient(CustomObjectsApi);
    const { group, version, plural } = recordKind;
    this.stock = {
      create: (body) => api.createClusterCustomObject({ group, version, plural, body }),
      get: (name) => api.getClusterCustomObject({ group, version, plural, name }),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.bare.close(), this.client.close()]);
  }
}
