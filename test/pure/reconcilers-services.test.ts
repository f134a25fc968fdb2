// SPDX-License-Identifier: Apache-2.0
// Addresses that the API server gives to Services, which a pool may hold and never gives.
import { beforeEach, describe, expect, it } from 'vitest';
import { serviceRangeOf } from '../../src/reconcilers/services.ts';
import { ModelCluster } from './model-cluster.ts';

let cluster: ModelCluster;

const condition = (pool: string, type: string): string => {
  const found = cluster.pools.live.get(pool)?.status?.conditions?.find((each) => each.type === type);
  return `${found?.status} ${found?.reason}: ${found?.message}`;
};

describe('a pool that holds addresses of Services', () => {
  const services = (...cidrs: string[]): Promise<void> => {
    cluster.core.router.onServices(serviceRangeOf(cidrs));
    return cluster.settle();
  };
  const told = (): string[] =>
    cluster.events.filter(({ kind }) => kind === 'Ips').map((each) => `${each.reason}: ${each.note}`);

  beforeEach(async () => {
    cluster = new ModelCluster();
    cluster.addNode('node-a');
    cluster.addPool('fast-nodes', ['10.9.0.0/29'], { usage: 'Node' });
    cluster.addPool('small', ['10.0.0.0/31']);
    cluster.addPool('mixed', ['10.96.0.6-10.96.0.9']);
    await services('10.96.0.0/29', 'fd00::/112');
  });

  it('says so by a condition, and once by an event', async () => {
    const said = "holds 10.96.0.6-10.96.0.7 of the Services' range, which no pod gets; take it out of spec.ips";
    expect(condition('mixed', 'OverlappingServices')).toBe(`True SharesServiceRange: ${said}`);
    expect(condition('small', 'OverlappingServices')).toMatch('False OutsideServiceRange');
    cluster.core.router.wakeAll();
    cluster.changeLeader();
    await services('10.96.0.0/29');
    cluster.addPod('x', 'node-a', 'mixed');
    await cluster.settle();
    expect(cluster.pools.live.get('mixed')?.status?.bound).toBe(1);
    expect(told()).toEqual([`SharesServiceRange: the pool ${said}`]);
  });

  it('gives none of them out, by name neither, and all else', async () => {
    for (const name of ['x', 'y', 'z']) cluster.addPod(name, 'node-a', 'mixed');
    const annotations = { 'fast.io/ips': 'mixed', 'fast.io/ip': '10.96.0.6' };
    cluster.addPod('named', 'node-a', undefined, { metadata: { name: 'named', annotations } });
    await cluster.settle();
    expect(cluster.podRecords()).toEqual(['10.96.0.8 Bound x', '10.96.0.9 Bound y']);
    expect(cluster.events.map(({ note }) => note)).toContain(
      "10.96.0.6 is in the Services' range, which no pod gets; correct the annotation fast.io/ip",
    );
    await services('10.97.0.0/16');
    expect(cluster.podRecords()).toEqual(['10.96.0.8 Bound x', '10.96.0.9 Bound y', '10.96.0.6 Bound z']);
    expect(condition('mixed', 'OverlappingServices')).toMatch('False OutsideServiceRange');
  });

  it('leaves those to their pods that they had before the range was made so wide', async () => {
    cluster.addPod('x', 'node-a', 'mixed');
    await cluster.settle();
    await services('10.96.0.0/24');
    expect(cluster.podRecords()).toContain('10.96.0.8 Bound x');
    expect(cluster.pools.live.get('mixed')?.status).toMatchObject({ total: 0, bound: 1, outOfRange: 1 });
    expect(condition('mixed', 'Ready')).toMatch('False NothingUsable: pool mixed has no address to give: ');
  });

  it('is only guessed at where the API server has no ServiceCIDR', async () => {
    cluster.core.router.onServices(serviceRangeOf(undefined, '10.96.0.6'));
    await cluster.settle();
    expect(condition('mixed', 'OverlappingServices')).toMatch('True SharesServiceRange: holds 10.96.0.6 of');
    expect(condition('small', 'OverlappingServices')).toMatch(
      'Unknown ServiceRangeUnknown: the API server does not tell',
    );
    cluster.core.router.onServices(serviceRangeOf(undefined, 'api.example.org'));
    await cluster.settle();
    expect(condition('mixed', 'OverlappingServices')).toMatch('Unknown ServiceRangeUnknown');
  });

  it('is guessed at no longer when the API server tells the range, be it the one that was guessed', async () => {
    cluster.core.router.onServices(serviceRangeOf(undefined, '10.96.0.6'));
    await cluster.settle();
    const since = (): string | undefined =>
      cluster.pools.live.get('small')?.status?.conditions?.find(({ type }) => type === 'OverlappingServices')
        ?.lastTransitionTime;
    const before = since();
    await cluster.pass(60_000);
    await services('10.96.0.6/32');
    expect(condition('small', 'OverlappingServices')).toMatch('False OutsideServiceRange');
    expect(Date.parse(since() ?? '') - Date.parse(before ?? '')).toBe(60_000);
  });
});
