// SPDX-License-Identifier: Apache-2.0
// What the agent writes of its node, and how often: every status is an event for every agent of the cluster.
import { expect, it } from 'vitest';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { FakeClock } from '../../src/kube/clock.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { silentLog } from '../../src/kube/log.ts';
import { EndpointReport } from '../../src/node/endpoint-report.ts';
import type { NodeReport } from '../../src/wiring/endpoint-status.ts';

function node() {
  const clock = new FakeClock();
  const writtenMs: number[] = [];
  /** What becomes of the next writes. */
  const refusals: KubeError['reason'][] = [];
  let own: NodeEndpoint = { metadata: { name: 'one' }, spec: { tunnelAddress: '192.0.2.1' } } as NodeEndpoint;
  const endpoint = new EndpointReport({
    client: {
      replaceStatus: (_, object) => {
        const refusal = refusals.shift();
        if (refusal !== undefined) throw new KubeError(refusal, { verb: 'replace', target: 'status' }, 'planned');
        writtenMs.push(clock.monotonicMs());
        own = object as unknown as NodeEndpoint;
        return Promise.resolve(object);
      },
    },
    own: () => own,
    log: silentLog,
    clock,
  });
  endpoint.start();
  const report = (entries: number, isReady = true): NodeReport => ({
    mtu: 1450,
    maps: [{ name: 'local_pod_ips', entries, maxEntries: 1024 }],
    orphans: [],
    conditions: { DatapathReady: { isTrue: isReady, reason: isReady ? 'Ready' : 'Differs', message: '' } },
  });
  const say = async (entries: number, isReady = true): Promise<void> => {
    endpoint.say(report(entries, isReady));
    await clock.advance(0);
  };
  const told = (): number | undefined => own.status?.maps?.[0]?.entries;
  return { clock, writtenMs, refusals, say, told };
}

it('sixty pods that start at once are two statuses, and the second has the last count', async () => {
  const { clock, writtenMs, say, told } = node();
  for (let entries = 0; entries <= 60; entries += 1) {
    await say(entries);
    await clock.advance(100);
  }
  await clock.advance(60_000);
  expect(writtenMs).toEqual([0, 30_000]);
  expect(told()).toBe(60);
});

it('a node that is no longer ready says so at once, with how full its maps are', async () => {
  const { clock, writtenMs, say, told } = node();
  await say(1);
  await clock.advance(100);
  await say(40);
  await say(40, false);
  expect(writtenMs).toEqual([0, 100]);
  expect(told()).toBe(40);
});

it('what met a change by the controller is said again half a second later, though nothing more happens', async () => {
  const { clock, writtenMs, refusals, say } = node();
  refusals.push('conflict');
  await say(1);
  await clock.advance(60_000);
  expect(writtenMs).toEqual([500]);
});
