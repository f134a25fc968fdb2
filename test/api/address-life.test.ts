// SPDX-License-Identifier: Apache-2.0
// The life of an address on a real API server: the controller, hollow agents, and a watch that sees every
// change in the order in which it happened.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { poolAnnotation } from '../../src/api/names.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { configMaps } from '../../src/kube/resources.ts';
import { Informer } from '../../src/kube/informer.ts';
import { endpointKind, podKind, recordKind } from '../../src/operator/kinds.ts';
import { HollowAgents } from './hollow-agents.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';
import { OperatorProcess } from './operator-process.ts';

const nodes = ['node-a', 'node-b', 'node-c'];

/** Follows all endpoints, and looks at all of them at each event. */
class Listings {
  /** `10.0.0.1 of node-a and node-b`, as soon as it was so. */
  readonly doubled: string[] = [];
  /** How often an address left one node's list and came to another's. */
  moves = 0;
  readonly #lists = new Map<string, readonly string[]>();
  readonly #last = new Map<string, string>();

  /** Whether the node's endpoint lists the address now. */
  lists(node: string, address: string): boolean {
    return this.#lists.get(node)?.includes(address) ?? false;
  }

  see(name: string, endpoint: NodeEndpoint | undefined): void {
    const { overlayAddress, podAddresses = [] } = endpoint?.spec ?? {};
    this.#lists.set(name, [...(overlayAddress === undefined ? [] : [overlayAddress]), ...podAddresses]);
    const holders = new Map<string, string>();
    for (const [node, addresses] of this.#lists) {
      for (const address of addresses) {
        const other = holders.get(address);
        if (other !== undefined) this.doubled.push(`${address} of ${other} and ${node}`);
        holders.set(address, node);
        if ((this.#last.get(address) ?? node) !== node) this.moves += 1;
        this.#last.set(address, node);
      }
    }
  }
}

function statefulSet(name: string): object {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'busybox' }] } };
  const spec = { replicas: 0, serviceName: name, selector: { matchLabels: labels }, template };
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name, namespace: 'default' }, spec };
}

/** The set's pod of ordinal 0, as its controller and the scheduler leave it. */
function podOfSet(set: string, uid: string, nodeName: string): Pod {
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: set, uid, controller: true }];
  const annotations = { [poolAnnotation]: 'kept' };
  const spec = { nodeName, containers: [{ name: 'c', image: 'busybox' }] };
  return { metadata: { name: `${set}-0`, namespace: 'default', annotations, ownerReferences }, spec };
}

describe('an address', () => {
  let cluster: HollowCluster;
  let replica: OperatorProcess | undefined;
  let agents: HollowAgents;
  let endpoints: Informer<NodeEndpoint>;
  const listings = new Listings();

  beforeAll(async () => {
    cluster = await HollowCluster.start();
    const pool = 'subnet: 10.244.0.1/32\nips: [10.244.224.0/24]\nusage: Node\n';
    const metadata = { name: 'fast-config', namespace: 'fast-system' };
    await cluster.client.create(configMaps, { metadata, data: { 'fast-nodes': pool } });
    replica = new OperatorProcess(cluster.server.kubeconfig, 'replica-0');
    for (const [index, name] of nodes.entries()) await cluster.addNode(name, `10.29.15.${index + 1}`);
    endpoints = new Informer({ client: cluster.client, resource: endpointKind });
    endpoints.on(({ type, object }) => {
      listings.see(object.metadata.name, type === 'deleted' ? undefined : object);
    });
    endpoints.start();
    agents = new HollowAgents(cluster.client);
    agents.start();
  }, 120_000);

  afterAll(async () => {
    expect(listings.doubled).toEqual([]);
    await agents?.stop();
    await endpoints?.stop();
    replica?.kill('SIGTERM');
    if (replica !== undefined) expect(await replica.ended()).toBe(0);
    await cluster?.stop();
  });

  /** Pods of all nodes pass the two addresses of the pool on, each as soon as all nodes know that it has one. */
  const passOn = async (pool: string): Promise<void> => {
    const names = Array.from({ length: 18 }, (_, index) => `${pool}-${index}`);
    for (const [index, name] of names.entries()) await cluster.addPod(name, nodes[index % nodes.length], pool);
    const waiting = new Set(names);
    await eventually(
      'every pod having had an address',
      async () => {
        const held = (await cluster.records()).filter(
          ({ spec }) => spec.ips === pool && spec.state === 'Bound' && listings.lists(spec.nodeName, spec.address),
        );
        const served = held.map(({ spec }) => spec.owner.name).filter((name) => waiting.delete(name));
        for (const name of served) await cluster.removePod(name);
        return waiting.size === 0;
      },
      60_000,
    );
  };
  const isGone = (pool: string) => async (): Promise<boolean> =>
    (await cluster.records()).every(({ spec }) => spec.ips !== pool);

  it('is in no two endpoints at any moment, though pods of three nodes pass two addresses on', async () => {
    await cluster.addPool('pair', ['10.245.0.0/31'], { coolDownSeconds: 0 });
    await passOn('pair');
    await eventually('all records gone', isGone('pair'));
    expect(listings.doubled).toEqual([]);
    expect(listings.moves).toBeGreaterThan(1);
  });

  it('that rests changes hands in place where nothing else is left: the records are never deleted', async () => {
    await cluster.addPool('resting', ['10.246.0.0/31'], { coolDownSeconds: 20 });
    const uids = new Set<string>();
    const records = new Informer({ client: cluster.client, resource: recordKind });
    records.on(({ object }) => {
      if (object.spec.ips === 'resting') uids.add(object.metadata.uid ?? '');
    });
    records.start();
    await passOn('resting');
    expect(uids.size).toBe(2);
    expect(listings.doubled).toEqual([]);
    await cluster.kubectl(['patch', 'ips', 'resting', '--type=merge', '-p', '{"spec":{"coolDownSeconds":1}}']);
    await eventually('all records gone', isGone('resting'));
    await records.stop();
  });

  it('takes six writes in a pod’s whole life, one of them before its node can wire it', async () => {
    await cluster.addPool('counted', ['10.248.0.0/29'], { coolDownSeconds: 1 });
    const writes: string[] = [];
    const records = new Informer({ client: cluster.client, resource: recordKind });
    records.on(({ type, object: { spec, status } }) => {
      if (spec.ips !== 'counted') return;
      const said = status?.released === undefined ? status?.attached && 'attached' : 'released';
      writes.push(type === 'deleted' ? 'deleted' : `${spec.state} ${said ?? ''}`.trim());
    });
    records.start();
    await cluster.addPod('counted', 'node-a', 'counted');
    await eventually('attached', async () => writes.includes('Bound attached'));
    await cluster.removePod('counted');
    await eventually('deleted', async () => writes.includes('deleted'));
    await records.stop();
    const life = ['Bound', 'Bound attached', 'Releasing attached', 'Releasing released', 'Cooling released', 'deleted'];
    expect(writes).toEqual(life);
  });

  it('is kept for a StatefulSet’s ordinal and comes back to it on another node, in place', async () => {
    await cluster.addPool('kept', ['10.247.0.0/29'], { coolDownSeconds: 20, reservedSeconds: 600 });
    await cluster.kubectl(['create', '-f', '-'], JSON.stringify(statefulSet('web')));
    const uid = await cluster.kubectl(['get', 'statefulset', 'web', '-o', 'jsonpath={.metadata.uid}']);
    const start = async (nodeName: string) => await cluster.client.create(podKind, podOfSet('web', uid, nodeName));
    await start('node-a');
    const state = async (wanted: string): Promise<IpAllocation> =>
      await eventually(wanted, async () => {
        const [record] = (await cluster.records()).filter(({ spec }) => spec.ips === 'kept');
        return record !== undefined && `${record.spec.state} ${record.spec.nodeName}` === wanted && record;
      });
    const first = await state('Bound node-a');
    await cluster.removePod('web-0');
    await state('Reserved node-a');
    await start('node-b');
    const second = await state('Bound node-b');
    expect(second.metadata.uid).toBe(first.metadata.uid);
    expect(second.spec.owner.uid).not.toBe(first.spec.owner.uid);
    await eventually(
      'attached',
      async () => (await state('Bound node-b')).status?.attached?.owner.uid === second.spec.owner.uid,
    );
  });
});
