// SPDX-License-Identifier: Apache-2.0
// A node whose power is cut is Ready to the control plane for 40 to 50 s more: what fast-ctl says of it meanwhile.
import { describe, expect, it } from 'vitest';
import { silencesOf } from '../../src/cli/kubelet-silence.ts';
import { standingOf } from '../../src/cli/node-standing.ts';
import type { Lease } from '../../src/kube/resources.ts';
import { fastCtl } from './cli-shell.ts';
import { amiss, clusterOf, kubeletLease, machine, nowMs } from './cluster-view.ts';

/** Seconds ago. */
const ago = (seconds: number): number => nowMs - seconds * 1000;
const silent = (clockMs: number, ...leases: object[]): Record<string, number> =>
  Object.fromEntries(silencesOf(leases as Lease[], clockMs));

describe('a kubelet', () => {
  it('is silent that has not renewed its lease for 25 s, and not before', () => {
    expect(silent(nowMs, kubeletLease('one', ago(3)), kubeletLease('two', ago(34)))).toEqual({ two: 34_000 });
    expect(silent(nowMs, kubeletLease('one', ago(3)), kubeletLease('two', ago(25)))).toEqual({});
  });

  it.each([-3600, -60, 40, 3600])('is not silent for a laptop whose clock is %s s wrong', (seconds) => {
    const clockMs = nowMs + seconds * 1000;
    expect(silent(clockMs, kubeletLease('one', ago(3)), kubeletLease('two', ago(12)))).toEqual({});
    expect(silent(clockMs, kubeletLease('one', ago(3)), kubeletLease('two', ago(34)))).toEqual({ two: 31_000 });
  });

  it('of many is not silent for a laptop whose clock is some seconds fast, however many', () => {
    // Renewed each 10 s or a little more, and noted in whole seconds.
    const all = Array.from({ length: 12 }, (_, age) => kubeletLease(`node-${age}`, ago(age), ago(age)));
    for (let seconds = 0; seconds < 60; seconds += 0.5) expect(silent(nowMs + seconds * 1000, ...all)).toEqual({});
  });

  it('is not silent for its own clock that is wrong: the API server notes when a lease was renewed', () => {
    const late = kubeletLease('two', ago(300), ago(4));
    expect(silent(nowMs, kubeletLease('one', ago(3), ago(3)), late)).toEqual({});
    const early = kubeletLease('two', nowMs + 300_000, ago(34));
    expect(silent(nowMs, kubeletLease('one', ago(3), ago(3)), early)).toEqual({ two: 34_000 });
  });

  it('that renews more seldom, by its configuration, may take longer', () => {
    const seldom = kubeletLease('two', ago(60));
    const spec = { ...seldom.spec, leaseDurationSeconds: 120 };
    expect(silent(nowMs, kubeletLease('one', ago(3)), { ...seldom, spec })).toEqual({});
  });

  it('that has never renewed anything, or is alone, is not named', () => {
    expect(silent(nowMs, kubeletLease('one', ago(3)), { metadata: { name: 'two' } })).toEqual({});
    expect(silent(nowMs, kubeletLease('one', ago(300)))).toEqual({});
    expect(silent(nowMs)).toEqual({});
  });
});

const silences = new Map([['two', 34_000]]);
const says = 'its kubelet has said nothing for 34 s';

describe('a machine whose power was cut half a minute ago', () => {
  it('is doubtful to status, although the control plane has it as Ready', () => {
    expect(amiss({ silences })).toEqual([
      `doubtful nodes: 2 of 2 datapaths ready, 1 silent | two: ${says}: it may be off or cut off -> kubectl describe node two`,
    ]);
  });

  it('is said once where the control plane has noticed', () => {
    const [agents, nodes] = amiss({ silences, nodes: [machine('one'), machine('two', { status: 'Unknown' })] });
    expect(`${agents} ${nodes}`).not.toContain('kubelet');
  });

  it('is off to an uninstall that was stopped', () => {
    const asked = { metadata: { name: 'two', annotations: { 'sample.fast.io/remove': 'true' } }, spec: {} };
    const [line] = amiss({ silences, endpoints: [asked] });
    expect(line).toContain(`two: asked to be without Fast, but ${says}: nobody is there to clean it`);
  });

  it('is read out of kube-node-lease', async () => {
    const kubeletLeases = [kubeletLease('one', ago(3)), kubeletLease('two', ago(34))];
    const cluster = clusterOf({ kubeletLeases });
    const { stdout } = await fastCtl('status', { cluster: () => Promise.resolve(cluster) });
    expect(stdout).toContain(`two: ${says}`);
    expect((await standingOf(cluster, nowMs)).off).toEqual(['two']);
  });

  it('may be hidden, which is said, and stops nobody', async () => {
    const cluster = clusterOf({ kubeletLeases: 'hidden' });
    const { stdout } = await fastCtl('status', { cluster: () => Promise.resolve(cluster) });
    expect(stdout).toContain('2 of 2 datapaths ready, this account may not see when kubelets spoke last\n');
    expect((await standingOf(cluster, nowMs)).off).toEqual([]);
  });
});
