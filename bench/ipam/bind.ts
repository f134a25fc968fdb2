// SPDX-License-Identifier: Apache-2.0
import type { KubeClient } from '../../src/kube/client.ts';

/** Binds a pod to a node, as the scheduler does. */
export async function bind(client: KubeClient, pod: string, node: string): Promise<void> {
  await client.raw('POST', `/api/v1/namespaces/default/pods/${pod}/binding`, {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: pod, namespace: 'default' },
    target: { apiVersion: 'v1', kind: 'Node', name: node },
  });
}
