// SPDX-License-Identifier: Apache-2.0
// `fast-ctl status` where several things are amiss: each by its name, few of each kind, and a command for the rest.
import { describe, expect, it } from 'vitest';
import { assess } from '../../src/cli/health-checks.ts';
import { formatChecks } from '../../src/cli/status-report.ts';
import { plain } from '../../src/cli/tones.ts';
import { fastCtl } from './cli-shell.ts';
import {
  agentPod,
  amiss,
  clusterOf,
  condition,
  endpoint,
  lineOf,
  machine,
  nowMs,
  ofNodes,
  pool,
  well,
} from './cluster-view.ts';

const shown = async (change: object, line = 'status'): Promise<string> =>
  (await fastCtl(line, { cluster: () => Promise.resolve(clusterOf(change)) })).stdout;
const poolsLine = (pools: readonly object[]): string =>
  assess({ ...well, pools } as typeof well)
    .filter(({ what }) => what === 'pools')
    .map(lineOf)
    .join();

describe('pools in trouble', () => {
  const overlapping = (name: string, other: string) => {
    const shares = `shares 10.244.10.0 with pool ${other}`;
    return pool(name, 6, { status: { total: 10, free: 6, conditions: [condition('Overlapping', 'True', shares)] } });
  };

  it('are each named with what is amiss, the gravest first, and each has its command', async () => {
    const pools = [ofNodes(10), overlapping('c', 'd'), pool('b', 0), pool('a', 0)];
    expect(await shown({ pools })).toContain(
      [
        '!!  pools       3 for pods; 2 exhausted, 1 overlapping',
        '                b, a: exhausted: 0 of 10 free',
        '                c: shares 10.244.10.0 with pool d',
      ].join('\n'),
    );
    expect(await shown({ pools })).toContain('To do:\n    pools: kubectl edit ips b a c\n');
  });

  it('do not hide behind the nodes’ own: the fullest is one for pods', () => {
    expect(poolsLine([ofNodes(5), pool('p', 5)])).toBe('good pools: 1 for pods; fullest p: 5 of 10 free');
    expect(poolsLine([ofNodes(4), pool('p', 5)])).toBe(
      'good pools: 1 for pods; fullest p: 5 of 10 free; for nodes fast-nodes: 4 of 10 free',
    );
    expect(poolsLine([ofNodes(0), pool('p', 5)])).toMatch(/^bad pools: 1 for pods; 1 exhausted \| fast-nodes: /);
  });
});

describe('a node with two troubles', () => {
  it('is in one command of "To do", not in two alike', async () => {
    const off = { status: 'Unknown', lastTransitionTime: '2026-11-25T11:55:00Z' };
    const silences = new Map([['one', 30_000]]);
    const view = {
      nodes: [machine('one'), machine('two'), machine('three', off)],
      endpoints: [endpoint('two')],
      silences,
    };
    const { nodes } = Object.groupBy(assess({ ...well, ...view } as typeof well), ({ what }) => what);
    const [, toDo = ''] = formatChecks(nodes ?? [], true, plain).split('To do:\n');
    expect(toDo.match(/kubectl describe node .*/g)).toEqual(['kubectl describe node one three']);
  });
});

describe('pods that wait', () => {
  const waits = (name: string, message: string) => ({ namespace: 'a', name, message });

  it('for one reason share a row, and one of another reason is not hidden behind them', async () => {
    const many = ['p', 'q', 'r', 's'].map((name) => waits(name, 'pool web is exhausted'));
    const endpoints = [endpoint('one', { spec: { waiting: [...many, waits('z', 'no pool')] } }), endpoint('two')];
    expect(await shown({ endpoints })).toContain(
      [
        '!!  pods        5 wait for an address',
        '                a/p, a/q, a/r and 1 more: pool web is exhausted',
        '                a/z: no pool',
        '                each by name: fast-ctl status -o wide',
      ].join('\n'),
    );
    expect(await shown({ endpoints }, 'status -o wide')).toContain('a/p, a/q, a/r, a/s: pool web is exhausted\n');
  });

  it('are at least as many as a full list of a node has', () => {
    const waiting = Array.from({ length: 64 }, (_, at) => waits(`p${at}`, 'no'));
    expect(amiss({ endpoints: [endpoint('one', { spec: { waiting } }), endpoint('two')] }).join()).toContain(
      'bad pods: at least 64 wait for an address',
    );
  });
});

describe('pods that the scheduling gate holds', () => {
  const gated = (name: string, createdMs = nowMs, more: object = {}) => ({
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      annotations: { 'fast.io/ips': 'small' },
      creationTimestamp: new Date(createdMs).toISOString(),
      ...more,
    },
    spec: { schedulingGates: [{ name: 'fast.io/address' }] },
  });
  const small = (free: number) => {
    const metadata = { name: 'small', finalizers: ['sample.fast.io/in-use'] };
    const excludeIPs = free === 0 ? ['10.245.0.0'] : [];
    return {
      metadata,
      spec: { subnet: '10.244.0.1/32', ips: ['10.245.0.0'], excludeIPs },
      status: { total: 1, free: 1 },
    };
  };

  it('are counted as waiting, with the reason why they are held', () => {
    const view = { unscheduled: [gated('a'), gated('b')], pools: [...well.pools, small(0)] };
    expect(amiss(view)).toEqual([
      expect.stringMatching(
        /^bad pods: 2 wait for an address, held by the scheduling gate \| default\/a: pool small has no address to give: .* -> kubectl describe pod -n default a \| default\/b: /,
      ),
    ]);
  });

  it('are told from those that wait on a node', () => {
    const waiting = [{ namespace: 'a', name: 'b', message: 'no pool' }];
    const endpoints = [endpoint('one', { spec: { waiting } }), endpoint('two')];
    expect(amiss({ unscheduled: [gated('a')], pools: [...well.pools, small(0)], endpoints }).join()).toMatch(
      /^bad pods: 2 wait for an address, 1 of them held by the scheduling gate \| /,
    );
  });

  it('are judged after those that were let through before them', () => {
    const letThrough = { ...gated('a', nowMs, { annotations: { 'fast.io/expects': 'small' } }), spec: {} };
    const view = { unscheduled: [letThrough, gated('b')], pools: [...well.pools, small(1)] };
    expect(amiss(view).join()).toContain(
      'default/b: pool small has 1 address left, for 1 pod let through before this one',
    );
  });

  it('are nothing amiss while a controller is about to lift it, and are when none has for half a minute', () => {
    const pools = [...well.pools, small(1)];
    expect(amiss({ unscheduled: [gated('a', nowMs - 1_000)], pools })).toEqual([]);
    expect(amiss({ unscheduled: [gated('a', nowMs - 60_000)], pools }).join()).toContain(
      'default/a: there is an address for it, and no controller lifts its gate',
    );
  });

  it('are no more than others without a node, or than those on their way out', () => {
    const other = { ...gated('a'), spec: { schedulingGates: [{ name: 'example.org/other' }] } };
    const leaving = gated('b', nowMs, { deletionTimestamp: '2026-11-25T11:59:00Z' });
    expect(amiss({ unscheduled: [other, leaving], pools: [...well.pools, small(0)] })).toEqual([]);
  });

  it('are said to be unseen where an account may not look', () => {
    expect(amiss({ unscheduled: 'hidden' })).toEqual([
      'doubtful pods: none on a node waits for an address; this account may not see those that a scheduling gate holds -> run it by an account that may look, such as by your own kubeconfig',
    ]);
  });
});

describe('a node that is off', () => {
  const since = '2026-11-25T11:25:00Z';
  const off = machine('two', { status: 'Unknown', lastTransitionTime: since, message: 'Kubelet stopped posting' });
  const held = endpoint('two', { spec: { podAddresses: ['10.244.10.1', '10.244.10.2'] } });
  const agents = { metadata: {}, status: { desiredNumberScheduled: 2, numberReady: 1, updatedNumberScheduled: 2 } };

  it('is named, with what becomes of its pods’ addresses, though its datapath was ready when it was last heard of', () => {
    expect(amiss({ nodes: [machine('one'), off], endpoints: [endpoint('one'), held] })).toEqual([
      'bad nodes: 1 of 2 datapaths ready, 1 NotReady | two: NotReady for 35 min, off or cut off; the addresses of its 2 pods stay theirs until it is back or given up' +
        ' -> start two; if it is off for good: kubectl taint node two node.kubernetes.io/out-of-service=nodeshutdown:NoExecute',
    ]);
  });

  it('is named as the one whose agent is not ready, for which there is nothing else to do', () => {
    const view = { nodes: [machine('one'), off], agents, agentPods: [agentPod('one'), agentPod('two', {})] };
    expect(amiss(view)[0]).toBe('bad agents: 1 of 2 ready | two: its machine is off or cut off');
  });

  it('is no agent that is not ready, as long as the DaemonSet counts it', () => {
    const view = { nodes: [machine('one'), off], agentPods: [agentPod('one'), agentPod('two', {})] };
    expect(amiss(view)).toEqual([expect.stringMatching(/^bad nodes: /)]);
  });

  it('is told from one whose kubelet says why it is not ready', () => {
    const unready = machine('two', {
      status: 'False',
      lastTransitionTime: since,
      message: 'cni plugin not initialized',
    });
    expect(amiss({ nodes: [machine('one'), unready] }).join()).toContain(
      'two: NotReady for 35 min: cni plugin not initialized; pods that run go on, new ones wait -> kubectl describe node two',
    );
  });

  it('is not to be seen by an account that may not list nodes, which is said', () => {
    expect(amiss({ nodes: 'hidden' })).toEqual([
      'doubtful nodes: 2 of 2 datapaths ready, this account may not see which machines are on -> run it by an account that may look, such as by your own kubeconfig',
    ]);
  });
});

describe('an agent that is not ready', () => {
  const agents = { metadata: {}, status: { desiredNumberScheduled: 2, numberReady: 1, updatedNumberScheduled: 2 } };

  it('is named by its node, with why and what it means for pods', () => {
    const state = { waiting: { reason: 'CrashLoopBackOff' } };
    const crashed = agentPod('two', { containerStatuses: [{ name: 'agent', state }] });
    expect(amiss({ agents, agentPods: [agentPod('one'), crashed] })).toEqual([
      'bad agents: 1 of 2 ready | two: its agent is CrashLoopBackOff; pods that run go on, new ones wait' +
        ' -> kubectl logs -n fast-system fast-agent-two; kubectl describe pod fast-agent-two -n fast-system',
    ]);
  });

  it('is named where its node is NotReady for want of it', () => {
    const unready = machine('two', { status: 'False', message: 'cni plugin not initialized' });
    const pulls = agentPod('two', { phase: 'Pending' });
    expect(amiss({ agents, nodes: [machine('one'), unready], agentPods: [agentPod('one'), pulls] })[0]).toMatch(
      /^bad agents: 1 of 2 ready \| two: its agent is Pending; pods that run go on, new ones wait -> kubectl logs /,
    );
  });

  it('is named while it ends, though it was ready', () => {
    const ends = agentPod('two');
    Object.assign(ends.metadata, { deletionTimestamp: '2026-11-25T11:59:59Z' });
    expect(amiss({ agents, agentPods: [agentPod('one'), ends] })[0]).toMatch(
      /^bad agents: 1 of 2 ready \| two: its agent is Terminating; /,
    );
    expect(amiss({ agents, agentPods: [agentPod('one'), ends, agentPod('two', {})] })[0]).toMatch(
      /^bad agents: 1 of 2 ready \| two: its agent is not ready; /,
    );
  });

  it('is named by its pod where an account may not see nodes', () => {
    expect(amiss({ agents, nodes: 'hidden', agentPods: [agentPod('one'), agentPod('two', {})] })[0]).toMatch(
      /^bad agents: 1 of 2 ready \| two: its agent is not ready; /,
    );
  });

  it('is named where there is none at all', () => {
    expect(amiss({ agents, agentPods: [agentPod('one')] })).toEqual([
      'bad agents: 1 of 2 ready | two: no agent; pods that run go on, new ones wait -> kubectl describe daemonset -n fast-system fast-agent',
    ]);
  });
});

describe('a knob', () => {
  const data = { mode: 'dirct', 'log-level': 'debug', 'tunnel-port': '8472' };
  const knobs = (more: object) => ({ knobs: { metadata: {}, data: more } });

  it('with a value that is none, or of a name that is none, is named with the value and the cure', async () => {
    const text = await shown(knobs(data));
    expect(text).toContain(
      [
        '??  knobs       2 left out, the others are in force',
        '                mode: "dirct" is not taken; write tunnel or direct',
        '                log-level: no knob has this name; did you mean agent-log-level?',
        'To do:',
        '    knobs: kubectl edit configmap -n fast-system fast-config',
      ].join('\n'),
    );
  });

  it('of the pool of the nodes is amiss only while there is no such pool', () => {
    const wrong = knobs({ 'fast-nodes': '- a' });
    const [pools, knob] = amiss({ ...wrong, pools: [pool('p', 5)] });
    expect(pools).toMatch(/fast-nodes: missing: .* -> kubectl edit configmap -n fast-system fast-config$/);
    expect(knob).toContain('fast-nodes: "- a" is no spec of an Ips; write subnet, ips and usage: Node');
    expect(amiss(wrong)).toEqual([]);
  });

  it('is as by default where there is no ConfigMap, and unseen where an account may not look', () => {
    expect(amiss({ knobs: undefined })).toEqual([]);
    expect(amiss({ knobs: 'hidden' })).toEqual([
      'doubtful knobs: this account may not look -> run it by an account that may look, such as by your own kubeconfig',
    ]);
  });
});
