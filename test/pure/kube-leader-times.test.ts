// SPDX-License-Identifier: Apache-2.0
// From when to when a leader's term counts, and what ends it: the moments that two leaders would lie between.
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { LeaderElector, microTime } from '../../src/kube/leader.ts';
import type { Lease } from '../../src/kube/resources.ts';
import { candidate, LeaseServer, Line } from './kube-lease.ts';

describe('a leader', () => {
  it('counts from before it sent its last renewal, however long the answer took: another counts from its arrival', async () => {
    const clock = new FakeClock();
    const one = candidate(new LeaseServer(), clock, 'one');
    one.elector.start();
    await clock.advance(1_999);
    one.line.next = () => 'slow';
    await clock.advance(3_002);
    one.line.next = () => 'refused';
    await clock.advance(6_998);
    expect(one.elector.isLeader).toBe(true);
    await clock.advance(2);
    expect(one.history).toEqual(['leads 0', 'stops 12000']);
    await one.elector.stop();
  });

  it('does not begin to lead by a write that took so long that its time is over', async () => {
    const clock = new FakeClock();
    const line = new Line(new LeaseServer(), clock);
    let terms = 0;
    const times = { leaseDurationMs: 4_000, renewDeadlineMs: 2_500, retryPeriodMs: 1_000 };
    const onStarted = (): void => {
      terms += 1;
    };
    const elector = new LeaderElector({
      client: line,
      namespace: 'a',
      name: 'b',
      identity: 'c',
      clock,
      onStarted,
      ...times,
    });
    line.next = () => 'slow';
    elector.start();
    await clock.advance(30_000);
    expect(terms).toBe(0);
    line.next = () => 'none';
    const stopping = elector.stop();
    await clock.advance(10_000);
    await stopping;
  });

  it('is no leader the moment its time is over, though its process was paused and no timer has run', async () => {
    let sleptMs = 0;
    const clock = new (class extends FakeClock {
      override monotonicMs(): number {
        return super.monotonicMs() + sleptMs;
      }
    })();
    const one = candidate(new LeaseServer(), clock, 'one');
    one.elector.start();
    await clock.advance(1);
    sleptMs = 9_998;
    expect(one.elector.isLeader).toBe(true);
    sleptMs = 9_999;
    expect(one.elector.isLeader).toBe(false);
    await one.elector.stop();
  });

  it('waits as long as the holder was told, where that is longer than what it was told itself', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const spec = { holderIdentity: 'lost', leaseDurationSeconds: 60, renewTime: microTime(0) };
    server.write({ metadata: { name: 'controller' }, spec }, undefined);
    const two = candidate(server, clock, 'two');
    two.elector.start();
    await clock.advance(59_000);
    expect(two.elector.isLeader).toBe(false);
    await clock.advance(2_000);
    expect(two.elector.isLeader).toBe(true);
    await two.elector.stop();
  });

  it('hands back a lease that somebody has annotated since the last renewal', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const one = candidate(server, clock, 'one');
    one.elector.start();
    await clock.advance(1);
    const lease = server.read() as Lease;
    server.write(
      { ...lease, metadata: { ...lease.metadata, annotations: { by: 'hand' } } },
      lease.metadata.resourceVersion,
    );
    await one.elector.stop();
    expect(server.lease).toMatchObject({ metadata: { annotations: { by: 'hand' } }, spec: { holderIdentity: '' } });
  });

  it('ends its term when its work fails, and stands again', async () => {
    const clock = new FakeClock();
    const history: string[] = [];
    const elector = new LeaderElector({
      client: new Line(new LeaseServer(), clock),
      namespace: 'a',
      name: 'b',
      identity: 'one',
      clock,
      onStarted: () => {
        history.push('leads');
        if (history.length === 1) throw new Error('planned');
      },
      onStopped: () => history.push('stops'),
    });
    elector.start();
    await clock.advance(1);
    expect(elector.isLeader).toBe(false);
    await clock.advance(60_000);
    expect(history).toEqual(['leads', 'stops', 'leads']);
    await elector.stop();
  });
});
