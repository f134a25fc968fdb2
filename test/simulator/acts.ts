// SPDX-License-Identifier: Apache-2.0
// What people, schedulers and the other controllers of a cluster do: pods, StatefulSets, pools and nodes come and go.
import { createHash } from 'node:crypto';
import type { Ips } from '../../src/api/generated/ips.ts';
import { addressAnnotation, poolAnnotation, schedulingGate } from '../../src/api/names.ts';
import type { OwnerReference } from '../../src/api/object.ts';
import type { Node, Pod } from '../../src/api/workloads.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { serviceCidrs } from '../../src/kube/resources.ts';
import { namespaceKind, nodeKind, podKind, poolKind, statefulSetKind } from '../../src/operator/kinds.ts';
import { isFinished } from '../../src/reconcilers/pod.ts';
import { admin, type Cluster, reservedSeconds } from './cluster.ts';
import type { Machine } from './machine.ts';
import { foreignGate, Scheduler } from './scheduler.ts';

const mostPods = 14;
const mostSets = 2;
const podPools = [undefined, undefined, 'sample-ips', 'sample-ips', 'sample-ips,default-ips', 'late-ips'];
const namespacePools = [undefined, 'sample-ips', 'sample-ips,default-ips', 'over-ips'];
/** What pods ask for by name: mostly of their own pool, so that they rival each other; and what nobody ever gets. */
const fixedInSample = ['10.1.0.0', '10.1.0.1', '10.1.0.1', '10.1.0.5'];
const fixedInDefault = ['10.2.0.1', '10.2.0.1', '10.2.0.2', '10.2.0.3'];
/** The last one is of Services. */
const fixedInOver = ['10.3.0.0', '10.3.0.1', '10.3.0.5'];
const fixedInVain = ['10.8.0.1', '10.244.0.1', 'ten'];
const setPools = [undefined, 'sample-ips', 'sample-ips', 'sample-ips,default-ips'];
const outOfService = { key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' };

/** What the pool sample-ips may hold; all of it is small, so that it runs full. */
const samples = [['10.1.0.0-10.1.0.4'], ['10.1.0.0-10.1.0.2'], ['10.1.0.2-10.1.0.6'], ['10.1.0.0', '10.1.0.5']];

const moreServices = 'more-services';

type Set = KubeObject & { spec: { replicas: number; pool?: string | undefined; isGated: boolean } };

interface Asked {
  readonly pool: string | undefined;
  readonly fixed?: string | undefined;
  readonly owner?: OwnerReference;
  readonly namespace?: string;
  readonly isGated?: boolean;
}

export class Acts {
  readonly scheduler: Scheduler;
  readonly #cluster: Cluster;
  #names = 0;
  readonly #setNames: string[] = [];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.scheduler = new Scheduler(cluster);
  }

  /** Does one thing, by chance. */
  act(): void {
    const { random, isPlain } = this.#cluster;
    random.weighted<() => void>([
      [8, () => this.#createPod()],
      [6, () => this.#deletePod()],
      [2, () => this.#forceDelete()],
      [this.#isLacking() ? 16 : 1, () => this.controlSets()],
      [2.5, () => this.#changeSet()],
      [0.8, () => this.#editPool()],
      [0.5, () => this.#togglePool()],
      [isPlain ? 0 : 1, () => this.#annotateNamespace()],
      [isPlain ? 0 : 0.3, () => this.#toggleServices()],
      [this.scheduler.unscheduled().length > 0 ? 8 : 0, () => this.scheduler.scheduleOne()],
      [this.scheduler.gated().length > 0 ? 2 : 0, () => this.scheduler.liftOne()],
      [0.6, () => this.#changeFile()],
      [1, () => this.#harmNode()],
      [this.#harmed().length > 0 ? 5 : 0, () => this.#healNode()],
      [2, () => this.collectPods()],
      [1.5, () => this.#cluster.nodeLifecycle.act()],
    ])?.();
  }

  /** The StatefulSet controller: each ordinal has its pod. */
  controlSets(): void {
    const { server } = this.#cluster;
    for (const set of this.#sets()) {
      for (let ordinal = 0; ordinal < set.spec.replicas; ordinal += 1) {
        const name = `${set.metadata.name}-${ordinal}`;
        const isThere = server.objects(podKind).some(({ metadata }) => metadata.name === name);
        const { pool, isGated } = set.spec;
        if (!isThere) this.#makePod(name, { pool, isGated, owner: ownerOf(set) });
      }
    }
    for (const pod of server.objects(podKind)) {
      const owner = pod.metadata.ownerReferences?.[0];
      if (owner === undefined || pod.metadata.deletionTimestamp !== undefined) continue;
      const set = this.#sets().find(({ metadata }) => metadata.uid === owner.uid);
      const ordinal = Number(pod.metadata.name.split('-').at(-1));
      if (set === undefined || ordinal >= set.spec.replicas || isFinished(pod)) this.#remove(pod);
    }
  }

  /** Pods of nodes that are no more, or out of service, are ended by the garbage collector. */
  collectPods(): void {
    const { server } = this.#cluster;
    for (const pod of server.objects(podKind)) {
      if (pod.spec.nodeName === undefined) continue;
      const node = this.#node(pod.spec.nodeName);
      if (node !== undefined && node.spec?.taints === undefined) continue;
      const { name, namespace = '', uid = '' } = pod.metadata;
      if (!isFinished(pod)) {
        server.replace(podKind, { ...pod, status: { ...pod.status, phase: 'Failed' } }, admin, 'status');
      }
      server.delete(podKind, name, { namespace, uid, gracePeriodSeconds: 0 }, admin);
    }
  }

  /** Every machine runs, has its node, and is reached. */
  mendNodes(): void {
    const { machines, network } = this.#cluster;
    network.cut.clear();
    this.collectPods();
    for (const machine of machines) {
      if (!machine.isOn) this.#cluster.powerOn(machine);
      const node = this.#node(machine.name);
      if (node === undefined) this.#cluster.register(machine);
      else if (node.spec?.taints !== undefined) this.#taint(node, false);
    }
    this.#cluster.nodeLifecycle.mend();
  }

  /** What only a person mends: pods that run with an address that is another's. */
  mendRobbed(): void {
    const { server, judge } = this.#cluster;
    for (const pod of server.objects(podKind)) {
      if (judge.isRobbed(pod) && pod.metadata.deletionTimestamp === undefined) this.#remove(pod);
    }
  }

  #sets(): Set[] {
    return this.#cluster.server.objects(statefulSetKind) as Set[];
  }

  /** Whether an ordinal has no pod. */
  #isLacking(): boolean {
    const names = new Set(this.#cluster.server.objects(podKind).map(({ metadata }) => metadata.name));
    return this.#sets().some(({ metadata, spec }) => {
      return Array.from({ length: spec.replicas }, (_, at) => `${metadata.name}-${at}`).some(
        (name) => !names.has(name),
      );
    });
  }

  #node(name: string): Node | undefined {
    return this.#cluster.server.objects(nodeKind).find(({ metadata }) => metadata.name === name);
  }

  #createPod(): void {
    this.#names += 1;
    if (this.#cluster.server.objects(podKind).length >= mostPods) return;
    const { random, isPlain } = this.#cluster;
    const pool = random.pick(isPlain ? podPools : [...podPools, 'over-ips']);
    const fixed = random.chance(0.2) ? random.pick(this.#fixed(pool)) : undefined;
    const namespace = random.chance(0.3) ? 'other' : 'default';
    this.#makePod(`p${this.#names}`, { pool, fixed, namespace, isGated: this.#drawsGate() });
  }

  #fixed(pool: string | undefined): string[] {
    if (this.#cluster.random.chance(0.1)) return fixedInVain;
    if (pool === 'over-ips') return fixedInOver;
    return pool === undefined ? fixedInDefault : fixedInSample;
  }

  /** The scheduler is told apart from who made the pod only where that asks for it: a pod without a node is nothing to Fast. */
  #makePod(name: string, { pool, fixed, owner, namespace = 'default', isGated = false }: Asked): void {
    const { server, random } = this.#cluster;
    const node = isGated ? undefined : this.scheduler.readyNode();
    if (!isGated && node === undefined) return;
    const metadata: Pod['metadata'] = { name, namespace };
    metadata.annotations = {
      ...(pool === undefined ? {} : { [poolAnnotation]: pool }),
      ...(fixed === undefined ? {} : { [addressAnnotation]: fixed }),
    };
    if (owner !== undefined) metadata.ownerReferences = [owner];
    const gates = [schedulingGate, ...(isGated && random.chance(0.3) ? [foreignGate] : [])];
    const spec =
      node === undefined
        ? { schedulingGates: gates.map((gate) => ({ name: gate })) }
        : { nodeName: node.metadata.name };
    server.create(podKind, { metadata, spec }, admin);
  }

  #drawsGate(): boolean {
    return !this.#cluster.isPlain && this.#cluster.random.chance(0.3);
  }

  #annotateNamespace(): void {
    const { server, random } = this.#cluster;
    const name = random.pick(['default', 'other', 'other']);
    const namespace = server.objects(namespaceKind).find(({ metadata }) => metadata.name === name);
    if (namespace === undefined) return;
    const { annotations: _, ...metadata } = namespace.metadata;
    const pool = random.pick(namespacePools);
    const annotations = pool === undefined ? {} : { annotations: { [poolAnnotation]: pool } };
    server.replace(namespaceKind, { ...namespace, metadata: { ...metadata, ...annotations } }, admin);
  }

  /** A second range for Services, over more of a pool. */
  #toggleServices(): void {
    const { server } = this.#cluster;
    const isThere = server.objects(serviceCidrs).some(({ metadata }) => metadata.name === moreServices);
    if (isThere) server.delete(serviceCidrs, moreServices, {}, admin);
    else this.#cluster.addServices(moreServices, ['10.3.0.2/31']);
  }

  #pick(isFit: (pod: Pod) => boolean = () => true): Pod | undefined {
    return this.#cluster.random.pick(this.#cluster.server.list(podKind).items.filter(isFit));
  }

  #deletePod(): void {
    const pod = this.#pick(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (pod !== undefined) this.#remove(pod);
  }

  #forceDelete(): void {
    const pod = this.#pick();
    if (pod === undefined) return;
    const { name, namespace = '' } = pod.metadata;
    this.#cluster.server.delete(podKind, name, { namespace, gracePeriodSeconds: 0 }, admin);
  }

  #remove({ metadata: { name, namespace = '' } }: Pod): void {
    this.#cluster.server.delete(podKind, name, { namespace }, admin);
  }

  #changeSet(): void {
    const { server, random } = this.#cluster;
    const sets = this.#sets();
    const set = random.pick(sets);
    if (set === undefined || (sets.length < mostSets && random.chance(0.3))) {
      const spec = { replicas: 1 + random.below(3), pool: random.pick(setPools), isGated: this.#drawsGate() };
      const made: Set = { metadata: { name: this.#setName(), namespace: 'default' }, spec };
      server.create(statefulSetKind, made as KubeObject & { metadata: { name: string } }, admin);
    } else if (random.chance(0.2)) {
      server.delete(statefulSetKind, set.metadata.name ?? '', { namespace: 'default' }, admin);
    } else {
      const changed: Set = { ...set, spec: { ...set.spec, replicas: random.below(4) } };
      server.replace(statefulSetKind, changed as KubeObject & { metadata: { name: string } }, admin);
    }
  }

  /** A new one, or that of a set that is gone, whose pods may still be there. */
  #setName(): string {
    const { random } = this.#cluster;
    const gone = this.#setNames.filter((name) => this.#sets().every(({ metadata }) => metadata.name !== name));
    const former = random.chance(0.5) ? random.pick(gone) : undefined;
    if (former !== undefined) return former;
    this.#names += 1;
    this.#setNames.push(`set${this.#names}`);
    return `set${this.#names}`;
  }

  #editPool(): void {
    const { server, random } = this.#cluster;
    const pool = server.objects(poolKind).find(({ metadata }) => metadata.name === 'sample-ips');
    if (pool === undefined) return;
    const spec: Ips['spec'] = { ...pool.spec, ips: random.pick(samples) ?? [] };
    if (random.chance(0.3)) spec.excludeIPs = ['10.1.0.1'];
    if (random.chance(0.3)) spec.coolDownSeconds = random.below(3) * 20;
    if (random.chance(0.3)) spec.reservedSeconds = random.pick(reservedSeconds) ?? 0;
    server.replace(poolKind, { ...pool, spec }, admin);
  }

  /** A static pod comes, is another, or goes; what was there once may come again. */
  #changeFile(): void {
    const { random, machines, trace } = this.#cluster;
    const machine = random.pick(machines);
    if (machine === undefined) return;
    const pool = random.pick([undefined, 'sample-ips']);
    const name = `static-${machine.name}`;
    const identity = createHash('md5')
      .update(`${name} ${pool} ${random.below(2)}`)
      .digest('hex');
    machine.file = machine.file !== undefined && random.chance(0.4) ? undefined : { name, pool, identity };
    trace.say(`${machine.name} has the file of ${machine.file?.identity ?? 'nothing'}`);
  }

  /** A pool that comes late and goes early, and shares addresses with another. */
  #togglePool(): void {
    const { server } = this.#cluster;
    const pool = server.objects(poolKind).find(({ metadata }) => metadata.name === 'late-ips');
    if (pool === undefined) this.#cluster.addPool('late-ips', ['10.1.0.4-10.1.0.7']);
    else server.delete(poolKind, 'late-ips', {}, admin);
  }

  /** Machines that are off, or whose node is gone or out of service. */
  #harmed(): Machine[] {
    return this.#cluster.machines.filter((machine) => {
      const node = this.#node(machine.name);
      return !machine.isOn || node === undefined || node.spec?.taints !== undefined;
    });
  }

  #harmNode(): void {
    const { random, server, machines } = this.#cluster;
    const machine = random.pick(machines);
    const node = this.#node(machine?.name ?? '');
    if (machine === undefined || node === undefined) return;
    if (!machine.isOn && node.spec?.taints === undefined) this.#taint(node, true);
    else if (machine.isOn && random.chance(0.5)) this.#cluster.powerOff(machine);
    else server.delete(nodeKind, machine.name, {}, admin);
  }

  #healNode(): void {
    const { random } = this.#cluster;
    const machine = random.pick(this.#harmed());
    const node = this.#node(machine?.name ?? '');
    if (machine === undefined) return;
    if (!machine.isOn) this.#cluster.powerOn(machine);
    else if (node === undefined) this.#cluster.register(machine);
    else this.#taint(node, false);
  }

  #taint(node: Node, isOut: boolean): void {
    const { taints: _, ...rest } = node.spec ?? {};
    const spec = isOut ? { ...rest, taints: [outOfService] } : rest;
    this.#cluster.server.replace(nodeKind, { ...node, spec }, admin);
  }
}

function ownerOf({ metadata: { name = '', uid = '' } }: KubeObject): OwnerReference {
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', name, uid, controller: true };
}
