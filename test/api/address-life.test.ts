// SPDX-License-Identifier: Apache-2.0
// The life of an address on a real API server: the controller, hollow agents, and a watch that sees every
// change in the order in which it happened.
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { configMaps } from '../../src/kube/resources.ts';
import { Informer } from '../../src/kube/informer.ts';
import { endpointKind } from '../../src/operator/kinds.ts';
import { HollowAgents } from './hollow-agents.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';
import { ended, startReplica } from './replica.ts';

const nodes = ['node-a', 'node-b', 'node-c'];

/** Follows all endpoints, and looks at all of them at each event. */
class Listings {
  /** `10.0.0.1 of node-a and node-b`, as soon as it was so. */
  readonly doubled: string[] = [];
  /** How often an address left one node's list and came to another's. */
  moves = 0;
  readonly #lists = new Map<string, readonly string[]>();
  readonly #last = new Map<string, string>();

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

describe('an address', () => {
  let cluster: HollowCluster;
  let replica: ChildProcess | undefined;
  let agents: HollowAgents;
  let endpoints: Informer<NodeEndpoint>;
  const listings = new Listings();

  beforeAll(async () => {
    cluster = await HollowCluster.start();
    const pool = 'subnet: 10.244.0.1/32\nips: [10.244.224.0/24]\nusage: Node\n';
    const metadata = { name: 'fast-config', namespace: 'fast-system' };
    await cluster.client.create(configMaps, { metadata, data: { 'fast-nodes': pool } });
    replica = startReplica(cluster, 'replica-0');
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
    if (replica !== undefined) expect(await ended(replica)).toBe(0);
    await cluster?.stop();
  });

  it('is in no two endpoints at any moment, though pods of three nodes pass two addresses on', async () => {
    await cluster.addPool('pair', ['10.245.0.0/31'], { coolDownSeconds: 0 });
    const names = Array.from({ length: 18 }, (_, index) => `pair-${index}`);
    for (const [index, name] of names.entries()) await cluster.addPod(name, nodes[index % nodes.length], 'pair');
    const waiting = new Set(names);
    await eventually(
      'every pod having had an address',
      async () => {
        const held = (await cluster.records()).filter(({ spec }) => spec.ips === 'pair' && spec.state === 'Bound');
        console.log(
          Date.now() % 100000,
          (await cluster.records())
            .filter((r) => r.spec.ips === 'pair')
            .map((r) =>
              [
                r.spec.address,
                r.spec.state,
                r.spec.owner.name,
                r.spec.nodeName,
                r.status?.released?.owner.uid === r.spec.owner.uid,
              ].join(' '),
            )
            .join(' ; '),
          (await cluster.client.list(endpointKind)).items
            .map((e) => e.metadata.name + ':' + e.spec.podAddresses?.join())
            .join(' '),
        );
        const served = held.map(({ spec }) => spec.owner.name).filter((name) => waiting.delete(name));
        for (const name of served) await cluster.removePod(name);
        return waiting.size === 0;
      },
      30_000,
    );
    await eventually('all records gone', async () =>
      (await cluster.records()).every(({ spec }) => spec.ips !== 'pair'),
    );
    expect(listings.doubled).toEqual([]);
    expect(listings.moves).toBeGreaterThan(5);
  });
});
