// SPDX-License-Identifier: Apache-2.0
// The agents of hollow nodes, in one process of its own: they say of records and of their nodes what real agents say, by
// the agents' own decisions, about wires that are there as soon as they are asked for.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { maps } from '../../src/datapath/generated/layout.ts';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { Controller, done, type Outcome, retryAfter } from '../../src/kube/controller.ts';
import { isReason } from '../../src/kube/errors.ts';
import { Informer } from '../../src/kube/informer.ts';
import { endpointKind, recordKind, stripOwn } from '../../src/operator/kinds.ts';
import { endpointStatus } from '../../src/wiring/endpoint-status.ts';
import { decideRecord } from '../../src/wiring/record-report.ts';
import type { Wire } from '../../src/wiring/wire.ts';
import { serve } from './child.ts';

/** Four per agent are allowed; the process stands for hundreds of agents. */
const recordWorkers = 32;
const endpointWorkers = 8;
const staleRetryMs = 250;
/** An agent's own comparison of what it said with what is true runs about this often under load. */
const sayAfterMs = 200;

/** What the API server has shown so far. */
export interface Seen {
  /** Of pods, in any state. */
  readonly records: number;
  readonly attached: number;
  /** In all endpoints together. */
  readonly podAddresses: number;
  /** Endpoints whose agent has spoken. */
  readonly endpointsReady: number;
}

class Fleet {
  readonly #client: KubeClient;
  readonly #records: Informer<IpAllocation>;
  readonly #endpoints: Informer<NodeEndpoint>;
  readonly #recordWork: Controller;
  readonly #endpointWork: Controller;
  /** Wires per node, and of all nodes. */
  readonly #wires = new Map<string, Map<string, Wire>>();
  #wireCount = 0;
  #isHeld = false;

  constructor(kubeconfig: string) {
    this.#client = connect({ fieldManager: 'fast-agent', kubeconfig });
    const client = this.#client;
    this.#records = new Informer({ client, resource: recordKind, transform: stripOwn });
    this.#endpoints = new Informer({ client, resource: endpointKind, transform: stripOwn });
    this.#recordWork = new Controller({
      name: 'records',
      workers: recordWorkers,
      reconcile: (key) => this.#report(key),
    });
    this.#endpointWork = new Controller({
      name: 'endpoint',
      workers: endpointWorkers,
      reconcile: (key) => this.#say(key),
    });
  }

  async start(): Promise<void> {
    this.#records.on(({ object }) => this.#recordWork.enqueue(object.metadata.name));
    this.#endpoints.on(({ object }) => this.#endpointWork.enqueueAfter(object.metadata.name, sayAfterMs));
    this.#records.start();
    this.#endpoints.start();
    await Promise.all([this.#records.synced(), this.#endpoints.synced()]);
    this.#recordWork.start();
    this.#endpointWork.start();
  }

  /** While held, no ADD comes: nothing is reported attached. Releases go on. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (!isHeld) for (const { metadata } of this.#records.list()) this.#recordWork.enqueue(metadata.name);
  }

  /** Every agent compares what it said with what is true, as each does every half minute. */
  sayAll(): void {
    for (const { metadata } of this.#endpoints.list()) this.#endpointWork.enqueue(metadata.name);
  }

  seen(): Seen {
    const pods = this.#records.list().filter(({ spec }) => spec.owner.kind === 'Pod');
    const endpoints = this.#endpoints.list();
    return {
      records: pods.length,
      attached: pods.filter(({ spec, status }) => status?.attached?.owner.uid === spec.owner.uid).length,
      podAddresses: endpoints.reduce((sum, { spec }) => sum + (spec.podAddresses?.length ?? 0), 0),
      endpointsReady: endpoints.filter(({ status }) => (status?.conditions ?? []).length > 0).length,
    };
  }

  async #report(address: string): Promise<Outcome> {
    const record = this.#records.get(address);
    if (record === undefined) return done;
    const wire = this.#wireOf(record);
    const decision = decideRecord({
      record,
      wires: wire === undefined ? [] : [wire],
      leaving: [],
      releasingForMs: 0,
      detachedForMs: 0,
      isOverlayAddress: false,
    });
    if (decision.decision !== 'write') return done;
    try {
      await this.#client.replaceStatus(recordKind, { ...record, status: decision.status });
    } catch (error) {
      if (isReason(error, 'conflict')) return retryAfter(staleRetryMs, 'the record changed meanwhile');
      if (!isReason(error, 'notFound')) throw error;
    }
    return done;
  }

  /** ADD makes the wire of a Bound record, DEL takes that of any other away. */
  #wireOf({ spec }: IpAllocation): Wire | undefined {
    if (spec.owner.kind === 'Node') return undefined;
    const ofNode = this.#wires.get(spec.nodeName) ?? new Map<string, Wire>();
    this.#wires.set(spec.nodeName, ofNode);
    const before = ofNode.get(spec.address);
    if (spec.state !== 'Bound') {
      if (ofNode.delete(spec.address)) this.#wiresChanged(spec.nodeName, -1);
      return undefined;
    }
    if (this.#isHeld || before?.identity === spec.owner.uid) return before;
    const digits = spec.owner.uid.replaceAll('-', '').padEnd(32, '0');
    const wire: Wire = {
      identity: spec.owner.uid,
      containerId: `${digits}${digits}`.slice(0, 64),
      address: spec.address,
      interface: `fast${digits.slice(0, 10)}`,
      podInterface: 'eth0',
      ifindex: this.#wireCount + 10,
    };
    ofNode.set(spec.address, wire);
    this.#wiresChanged(spec.nodeName, before === undefined ? 1 : 0);
    return wire;
  }

  #wiresChanged(node: string, difference: number): void {
    this.#wireCount += difference;
    this.#endpointWork.enqueueAfter(node, sayAfterMs);
  }

  async #say(node: string): Promise<Outcome> {
    const own = this.#endpoints.get(node);
    if (own?.spec.overlayAddress === undefined) return done;
    const local = this.#wires.get(node)?.size ?? 0;
    const fill = (map: { name: string; maxEntries: number }, entries: number) => ({
      name: map.name,
      entries,
      maxEntries: map.maxEntries,
    });
    const report = {
      mtu: 1450,
      maps: [fill(maps.localPodIps, local), fill(maps.clusterPodIps, this.#wireCount - local)],
      orphans: [],
      conditions: {
        DatapathReady: {
          isTrue: true,
          reason: 'AsDesired',
          message: 'Device, programs, maps, routes and rules are as they should be.',
        },
        FastPath: {
          isTrue: true,
          reason: 'Conntrack',
          message: 'The kernel has bpf_skb_ct_lookup: pods reach each other past the stack.',
        },
      },
    };
    const status = endpointStatus(own.status ?? {}, report, new Date().toISOString());
    if (status === undefined) return done;
    try {
      await this.#client.replaceStatus(endpointKind, { ...own, status });
    } catch (error) {
      if (isReason(error, 'conflict')) return retryAfter(staleRetryMs, 'the NodeEndpoint changed meanwhile');
      if (!isReason(error, 'notFound')) throw error;
    }
    return done;
  }
}

let fleet: Fleet | undefined;

const methods = {
  start: async (kubeconfig: string): Promise<void> => {
    fleet = new Fleet(kubeconfig);
    await fleet.start();
  },
  seen: async (): Promise<Seen> => fleet?.seen() ?? { records: 0, attached: 0, podAddresses: 0, endpointsReady: 0 },
  sayAll: async (): Promise<void> => fleet?.sayAll(),
  hold: async (isHeld: boolean): Promise<void> => fleet?.hold(isHeld),
};

export type FleetMethods = typeof methods;

serve(methods);
