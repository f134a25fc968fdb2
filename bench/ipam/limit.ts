// SPDX-License-Identifier: Apache-2.0
// The limit of allocation in a process of its own, as the controller has one: a pooled loop that creates the records and
// knows nothing of pods, pools or nodes.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { atOnce } from '../api/at-once.ts';
import { Bare } from '../api/bare.ts';
import { serve } from '../hollow/child.ts';
import { bind } from './bind.ts';

/** As many connections as the product's client has. */
const width = 64;

interface Connections {
  readonly bare: Bare;
  readonly client: KubeClient;
}

let connections: Connections | undefined;

function connected(): Connections {
  if (connections === undefined) throw new Error('`connect` comes first');
  return connections;
}

const methods = {
  connect: async (server: { url: string; pki: string; kubeconfig: string }): Promise<void> => {
    const client = connect({ fieldManager: 'bench', kubeconfig: server.kubeconfig });
    connections = { bare: new Bare(server, width), client };
  },
  create: async (records: readonly IpAllocation[]): Promise<void> => {
    const { bare } = connected();
    await atOnce(records, width, (record) => bare.create(record));
  },
  /** What a scheduler and a controller without a thought would do together. */
  bindAndCreate: async (records: readonly IpAllocation[]): Promise<void> => {
    const { bare, client } = connected();
    await atOnce(records, width, async (record) => {
      await bind(client, record.spec.owner.name, record.spec.nodeName);
      await bare.create(record);
    });
  },
};

export type LimitMethods = typeof methods;

serve(methods);
