// SPDX-License-Identifier: Apache-2.0
// Leader election over a Lease in memory that fences as the API server does. Time is played, so that fifteen seconds and a
// thousand mishaps take no time.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../src/kube/clock.ts';
import { LeaderElector, microTime } from '../../src/kube/leader.ts';
import { rounds } from '../share.ts';
import { candidate, LeaseServer, Line, type Mishap } from './kube-lease.ts';

describe('leader election', () => {
  it('makes the first candidate leader at once and keeps the second waiting while it renews', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const [one, two] = [candidate(server, clock, 'one'), candidate(server, clock, 'two')];
    one.elector.start();
    await clock.advance(1);
    two.elector.start();
    await clock.advance(600_000);
    expect([one.history, two.history]).toEqual([['leads 0'], []]);
    expect(two.elector.holder).toBe('one');
    const acquireTime = microTime(clock.now() - clock.monotonicMs());
    expect(server.lease?.spec).toMatchObject({ leaseDurationSeconds: 15, leaseTransitions: 0, acquireTime });
    await Promise.all([one.elector.stop(), two.elector.stop()]);
    expect(clock.pending).toBe(0);
  });

  it('hands over within a quarter of the retry period at a clean stop', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const [one, two] = [candidate(server, clock, 'one'), candidate(server, clock, 'two')];
    one.elector.start();
    await clock.advance(1);
    two.elector.start();
    await clock.advance(9_999);
    await one.elector.stop();
    expect(one.history).toEqual(['leads 0', 'stops 10000']);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: '' });
    await clock.advance(500);
    expect(two.elector.isLeader).toBe(true);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'two', leaseTransitions: 1 });
    await two.elector.stop();
  });

  it('releases even when the stop cut off a renewal that had arrived', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const one = candidate(server, clock, 'one');
    one.elector.start();
    await clock.advance(1999);
    one.line.next = () => 'done but not told';
    await clock.advance(2);
    one.line.next = () => 'none';
    await one.elector.stop();
    expect(server.lease?.spec?.holderIdentity).toBe('');
  });

  it('releases a lease that it took just as it was told to stop, before it ever led', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const one = candidate(server, clock, 'one');
    const mishaps: Mishap[] = ['none', 'done but not told'];
    one.line.next = () => mishaps.shift() ?? 'none';
    one.elector.start();
    await clock.advance(1);
    expect(server.lease?.spec?.holderIdentity).toBe('one');
    await one.elector.stop();
    expect(one.history).toEqual([]);
    expect(server.lease?.spec?.holderIdentity).toBe('');
  });

  it('asks nothing more of the server at the stop of one that only waited', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const [one, two] = [candidate(server, clock, 'one'), candidate(server, clock, 'two')];
    one.elector.start();
    await clock.advance(1);
    two.elector.start();
    await clock.advance(100);
    two.line.next = expect.unreachable;
    await two.elector.stop();
    await one.elector.stop();
  });

  it('does not lead at once because somebody deleted the lease: who held it has not heard of that', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const [one, two] = [candidate(server, clock, 'one'), candidate(server, clock, 'two')];
    one.elector.start();
    await clock.advance(1);
    two.elector.start();
    await clock.advance(10_000);
    one.line.next = () => 'refused';
    server.lease = undefined;
    await clock.advance(9_000);
    expect([one.elector.isLeader, two.elector.isLeader]).toEqual([true, false]);
    await clock.advance(10_000);
    expect([one.elector.isLeader, two.elector.isLeader]).toEqual([false, true]);
    expect(server.lease).toMatchObject({ spec: { holderIdentity: 'two', leaseTransitions: 1 } });
    await Promise.all([one.elector.stop(), two.elector.stop()]);
  });

  it('makes a deleted lease anew and goes on leading', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const [one, two] = [candidate(server, clock, 'one'), candidate(server, clock, 'two')];
    one.elector.start();
    await clock.advance(1);
    two.elector.start();
    await clock.advance(10_000);
    server.lease = undefined;
    await clock.advance(60_000);
    expect([one.history, two.history]).toEqual([['leads 0'], []]);
    await Promise.all([one.elector.stop(), two.elector.stop()]);
  });

  it('stops 10 s after its last renewal when cut off, 5 s before anybody else may lead', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const [one, two] = [candidate(server, clock, 'one'), candidate(server, clock, 'two')];
    one.elector.start();
    await clock.advance(1);
    two.elector.start();
    await clock.advance(4_000);
    one.line.next = () => 'refused';
    await clock.advance(9_998);
    expect(one.elector.isLeader).toBe(true);
    await clock.advance(1);
    expect(one.elector.isLeader).toBe(false);
    expect(one.history).toEqual(['leads 0', 'stops 14000']);
    await clock.advance(20_000);
    const [began] = two.history;
    expect(Number(began?.split(' ')[1])).toBeGreaterThanOrEqual(19_000);
    expect(Number(began?.split(' ')[1])).toBeLessThan(24_000);
    await Promise.all([one.elector.stop(), two.elector.stop()]);
  });

  it('keeps leading through a renewal whose answer was lost', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const one = candidate(server, clock, 'one');
    one.elector.start();
    await clock.advance(1999);
    one.line.next = () => 'done but not told';
    await clock.advance(2000);
    one.line.next = () => 'none';
    await clock.advance(60_000);
    expect(one.history).toEqual(['leads 0']);
    await one.elector.stop();
  });

  it('does not believe the renewTime of a machine whose clock is wrong', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const spec = { holderIdentity: 'lost', leaseDurationSeconds: 15, renewTime: microTime(0) };
    server.write({ metadata: { name: 'controller' }, spec }, undefined);
    const two = candidate(server, clock, 'two');
    two.elector.start();
    await clock.advance(14_999);
    expect(two.history).toEqual([]);
    await clock.advance(2_002);
    expect(two.history).toHaveLength(1);
    await two.elector.stop();
  });

  it('stops at once when it sees that another holds the lease', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const one = candidate(server, clock, 'one');
    one.elector.start();
    await clock.advance(1);
    const current = server.lease;
    server.write(
      { metadata: current?.metadata ?? {}, spec: { ...current?.spec, holderIdentity: 'thief' } },
      current?.metadata.resourceVersion,
    );
    await clock.advance(4_000);
    expect(one.elector.isLeader).toBe(false);
    expect(one.elector.holder).toBe('thief');
    await one.elector.stop();
    expect(server.lease?.spec?.holderIdentity).toBe('thief');
  });

  it('stands again only when the work of its former term has ended', async () => {
    const clock = new FakeClock();
    const server = new LeaseServer();
    const line = new Line(server, clock);
    let working = 0;
    let most = 0;
    let terms = 0;
    const elector = new LeaderElector({
      client: line,
      namespace: 'a',
      name: 'b',
      identity: 'one',
      clock,
      onStarted: async (signal) => {
        terms += 1;
        working += 1;
        most = Math.max(most, working);
        await clock.sleep(1_000_000, signal);
        await clock.sleep(30_000);
        working -= 1;
      },
    });
    elector.start();
    await clock.advance(1);
    line.next = () => 'refused';
    await clock.advance(15_000);
    line.next = () => 'none';
    await clock.advance(60_000);
    expect([terms, most]).toEqual([2, 1]);
    const stopping = elector.stop();
    await clock.advance(30_000);
    await stopping;
  });

  it('refuses times that would let two lead', () => {
    const options = { client: new Line(new LeaseServer(), new FakeClock()), namespace: 'a', name: 'b', identity: 'c' };
    expect(() => new LeaderElector({ ...options, leaseDurationMs: 10_000 })).toThrow(
      'leaseDurationMs 10000 > renewDeadlineMs 10000 > retryPeriodMs 2000 > 0 must hold',
    );
  });

  it('never has two leaders, whatever happens on the lines', async () => {
    const mishap = fc.constantFrom<Mishap>('none', 'none', 'none', 'refused', 'done but not told', 'slow');
    const phases = fc.array(fc.tuple(mishap, mishap, mishap, fc.integer({ min: 500, max: 20_000 })), {
      minLength: 5,
      maxLength: 15,
    });
    let led = 0;
    await fc.assert(
      fc.asyncProperty(phases, fc.integer({ min: 0, max: 15 }), async (plan, deletedIn) => {
        const clock = new FakeClock();
        const server = new LeaseServer();
        const all = ['one', 'two', 'three'].map((identity) => candidate(server, clock, identity));
        for (const { elector } of all) {
          elector.start();
        }
        // All see the Lease once: who never did would make a deleted one anew at once.
        await clock.advance(2000);
        for (const [phase, [first, second, third, lastsMs]] of plan.entries()) {
          if (phase === deletedIn) server.lease = undefined;
          [first, second, third].forEach((mishapNow, index) => {
            const line = all[index]?.line;
            if (line !== undefined) line.next = () => mishapNow;
          });
          for (let playedMs = 0; playedMs < lastsMs; playedMs += 500) {
            await clock.advance(500);
            const leaders = all.filter(({ elector }) => elector.isLeader).length;
            expect(leaders).toBeLessThanOrEqual(1);
            led += leaders;
          }
        }
        for (const { line } of all) {
          line.next = () => 'none';
        }
        await clock.advance(60_000);
        expect(all.filter(({ elector }) => elector.isLeader)).toHaveLength(1);
        const stopping = Promise.all(all.map(({ elector }) => elector.stop()));
        await clock.advance(10_000);
        await stopping;
      }),
      { numRuns: rounds(2000), seed: 7 },
    );
    expect(led).toBeGreaterThan(1000);
  });
});
