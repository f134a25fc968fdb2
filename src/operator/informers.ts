// SPDX-License-Identifier: Apache-2.0
// Every watch of the controller, and what its changes are told to.
import { agentName, configMapName } from '../api/names.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../kube/clock.ts';
import { Informer } from '../kube/informer.ts';
import type { Log } from '../kube/log.ts';
import type { Metrics } from '../kube/metrics.ts';
import { type ConfigMap, configMaps, type DaemonSet, daemonSets } from '../kube/resources.ts';
import { identityOf } from '../reconcilers/pod.ts';
import type { Views } from '../reconcilers/ports.ts';
import type { Router } from '../reconcilers/router.ts';
import {
  endpointKind,
  namespaceKind,
  nodeKind,
  podKind,
  poolKind,
  recordKind,
  stripNamespace,
  stripNode,
  stripOwn,
  stripPod,
} from './kinds.ts';
import type { PoolMetrics } from './pool-metrics.ts';

export interface InformerParts {
  readonly client: Pick<KubeClient, 'pages' | 'watch'>;
  readonly namespace: string;
  readonly log: Log;
  readonly metrics?: Metrics;
  /** Where a simulation plays time and chance. */
  readonly played?: { readonly clock: Clock; readonly random: () => number };
}

export class Informers {
  readonly #parts: ReturnType<typeof makeInformers>;

  constructor(parts: InformerParts) {
    this.#parts = makeInformers(parts);
  }

  get views(): Views {
    return this.#parts;
  }

  knobs(): ConfigMap | undefined {
    return this.#parts.knobs.list()[0];
  }

  agents(): DaemonSet | undefined {
    return this.#parts.agents.list()[0];
  }

  /** Changes go to the router from now on; what concerns the install goes to `onInstall`. */
  connect(router: Router, onInstall: () => void, measured?: PoolMetrics): void {
    const { pods, namespaces, nodes, pools, records, endpoints, knobs, agents } = this.#parts;
    pods.on((change) => {
      router.onPod(change);
      if (change.type === 'deleted') measured?.podGone(identityOf(change.object));
      else measured?.sawPod(identityOf(change.object), change.object);
    });
    namespaces.on((change) => router.onNamespace(change));
    nodes.on((change) => router.onNode(change));
    records.on((change) => {
      router.onRecord(change);
      if (change.type !== 'deleted') measured?.sawRecord(change.object);
    });
    endpoints.on((change) => router.onEndpoint(change));
    pools.on((change) => {
      router.onPool(change);
      if (change.type === 'deleted') onInstall();
    });
    knobs.on(onInstall);
    agents.on((change) => {
      // A rollout changes the status many times; only another spec or a deletion asks for us.
      const isSpec = change.type !== 'updated' || change.old?.metadata.generation !== change.object.metadata.generation;
      if (isSpec) onInstall();
    });
  }

  start(): void {
    for (const informer of this.#all()) informer.start();
  }

  /** Why the controller does not see the cluster yet; undefined when it does. */
  unready(): string | undefined {
    const missing = Object.entries(this.#parts).filter(([, informer]) => !informer.hasSynced);
    return missing.length === 0 ? undefined : `not listed yet: ${missing.map(([name]) => name).join(', ')}`;
  }

  /** Lists everything afresh; when it resolves, all that happened before the call has been told to the router. */
  async relist(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.relist()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all().map((informer) => informer.stop()));
  }

  #all(): Array<Pick<Informer<DaemonSet>, 'start' | 'stop' | 'relist'>> {
    return Object.values(this.#parts);
  }
}

function makeInformers({ client, namespace, log, metrics, played }: InformerParts) {
  const parts = { client, log, metrics, ...played };
  return {
    pods: new Informer({ ...parts, resource: podKind, transform: stripPod }),
    namespaces: new Informer({ ...parts, resource: namespaceKind, transform: stripNamespace }),
    nodes: new Informer({ ...parts, resource: nodeKind, transform: stripNode }),
    pools: new Informer({ ...parts, resource: poolKind, transform: stripOwn }),
    records: new Informer({ ...parts, resource: recordKind, transform: stripOwn }),
    endpoints: new Informer({ ...parts, resource: endpointKind, transform: stripOwn }),
    knobs: new Informer({
      ...parts,
      resource: configMaps,
      namespace,
      fieldSelector: `metadata.name=${configMapName}`,
    }),
    agents: new Informer({ ...parts, resource: daemonSets, namespace, fieldSelector: `metadata.name=${agentName}` }),
  };
}
