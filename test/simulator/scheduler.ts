// SPDX-License-Identifier: Apache-2.0
// Gives pods their nodes, once nobody's gate keeps them; and whoever has a gate beside Fast's.
import type { Node, Pod } from '../../src/api/workloads.ts';
import { nodeKind, podKind } from '../../src/operator/kinds.ts';
import { needOf } from '../../src/reconcilers/pod.ts';
import { admin, type Cluster } from './cluster.ts';

/** A gate of somebody else's, who takes it away some time. */
export const foreignGate = 'example.com/quota';

export class Scheduler {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  readyNode(): Node | undefined {
    const { server, random } = this.#cluster;
    const ready = server.objects(nodeKind).filter((node) => node.spec?.taints === undefined);
    return random.pick(ready.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)));
  }

  /** Pods that nothing keeps from their nodes. */
  unscheduled(): Pod[] {
    const pods = this.#cluster.server.list(podKind).items;
    return pods.filter((pod) => needOf(pod) === 'unscheduled' && (pod.spec.schedulingGates ?? []).length === 0);
  }

  /** Pods with the gate of somebody else. */
  gated(): Pod[] {
    const pods = this.#cluster.server.list(podKind).items;
    return pods.filter(({ spec }) => spec.schedulingGates?.some(({ name }) => name === foreignGate));
  }

  scheduleOne(): void {
    const pod = this.#cluster.random.pick(this.unscheduled());
    if (pod !== undefined) this.#schedule(pod);
  }

  liftOne(): void {
    const pod = this.#cluster.random.pick(this.gated());
    if (pod !== undefined) this.#lift(pod);
  }

  /** Nothing of others keeps pods from their nodes. */
  tidy(): void {
    for (const pod of this.gated()) this.#lift(pod);
    for (const pod of this.unscheduled()) this.#schedule(pod);
  }

  #schedule(pod: Pod): void {
    const node = this.readyNode();
    if (node === undefined) return;
    this.#cluster.server.replace(podKind, { ...pod, spec: { ...pod.spec, nodeName: node.metadata.name } }, admin);
  }

  #lift(pod: Pod): void {
    const schedulingGates = (pod.spec.schedulingGates ?? []).filter(({ name }) => name !== foreignGate);
    this.#cluster.server.replace(podKind, { ...pod, spec: { ...pod.spec, schedulingGates } }, admin);
  }
}
