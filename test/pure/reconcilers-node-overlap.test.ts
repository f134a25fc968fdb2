// SPDX-License-Identifier: Apache-2.0
// A pool over the nodes' own network: it is taken, it warns, and no pod gets a node's own address.
import { beforeEach, describe, expect, it } from 'vitest';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

function condition(pool: string): string {
  const conditions = cluster.pools.live.get(pool)?.status?.conditions;
  const found = conditions?.find(({ type }) => type === 'OverlappingNodes');
  return `${found?.status} ${found?.reason}: ${found?.message}`;
}
const told = (): string[] =>
  cluster.events.filter(({ kind }) => kind === 'Ips').map((each) => `${each.reason}: ${each.note}`);

describe('a pool over the nodes’ own network', () => {
  const cure =
    "of the nodes' own addresses, which no pod gets; a node that joins may come with an address that a pod has: take the nodes' network out of spec.ips";

  beforeEach(async () => {
    cluster = new ModelCluster();
    cluster.addNode('node-a', '10.29.15.49');
    cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
    cluster.addPool('small', ['10.0.0.0/31']);
    cluster.addPool('lan', ['10.29.15.48-10.29.15.52']);
    await cluster.settle();
  });

  it('is not taken in silence: it says so by a condition, and once by an event', async () => {
    const said = `holds 10.29.15.49 ${cure}`;
    expect(condition('lan')).toBe(`True SharesNodeAddresses: ${said}`);
    expect(condition('small')).toBe("False OutsideNodeAddresses: holds no node's own address");
    cluster.core.router.wakeAll();
    cluster.changeLeader();
    await cluster.settle();
    expect(told()).toEqual([`SharesNodeAddresses: the pool ${said}`]);
  });

  it('gives no node’s address to a pod, by name neither', async () => {
    cluster.addNode('node-b', '10.29.15.51');
    for (const name of ['x', 'y', 'z', 'w']) cluster.addPod(name, 'node-a', 'lan');
    const annotations = { 'fast.io/ips': 'lan', 'fast.io/ip': '10.29.15.49' };
    cluster.addPod('named', 'node-a', undefined, { metadata: { name: 'named', annotations } });
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.29.15.48 Bound x', '10.29.15.50 Bound y', '10.29.15.52 Bound z']);
    expect(cluster.events.map(({ note }) => note)).toContain(
      "10.29.15.49 is a gateway or a node's own address, which no pod gets; correct the annotation fast.io/ip",
    );
  });

  it('names what came with nodes that joined later, and is well when they and their ranges are gone', async () => {
    cluster.addNode('node-b', '10.29.15.51');
    await cluster.settle();
    expect(condition('lan')).toContain(`holds 10.29.15.49, 10.29.15.51 ${cure}`);
    const lan = cluster.pools.live.get('lan');
    if (lan === undefined) throw new Error('no pool');
    const spec = { ...lan.spec, excludeIPs: ['10.29.15.49', '10.29.15.51'] };
    cluster.pools.put({ ...lan, metadata: { ...lan.metadata, generation: 2 }, spec });
    await cluster.settle();
    expect(condition('lan')).toMatch(/^False OutsideNodeAddresses/);
  });

  it('warns of a node that joins with an address of the pool', async () => {
    cluster.addNode('node-c', '10.0.0.1');
    await cluster.settle();
    expect(condition('small')).toMatch(/^True SharesNodeAddresses: holds 10\.0\.0\.1 of/);
  });
});
