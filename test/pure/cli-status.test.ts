// SPDX-License-Identifier: Apache-2.0
// `fast-ctl status`: one thing amiss at a time, and the line and the cure that a person gets for it.
import { describe, expect, it } from 'vitest';
import { assess } from '../../src/cli/health-checks.ts';
import type { DaemonSet } from '../../src/kube/resources.ts';
import { fastCtl } from './cli-shell.ts';
import {
  amiss,
  clusterOf as cluster,
  condition,
  endpoint,
  lineOf,
  machine,
  nowMs,
  ofNodes,
  pool,
  record,
  well,
} from './cluster-view.ts';

describe('a node without an agent', () => {
  const selector = { template: { spec: { nodeSelector: { 'kubernetes.io/arch': 'amd64' } } } };
  const labelled = (name: string, arch: string) => ({ metadata: { name, labels: { 'kubernetes.io/arch': arch } } });
  const view = {
    agents: { metadata: {}, spec: selector, status: { ...(well.agents as DaemonSet).status } },
    nodes: [labelled('one', 'amd64'), labelled('two', 'arm64')],
    endpoints: [endpoint('one'), endpoint('two', { status: undefined })],
  };
  const said = (change: object): string =>
    assess({ ...well, ...change })
      .filter(({ what }) => what === 'nodes')
      .map(lineOf)
      .join();

  it('is told and is not bad, where the DaemonSet wants none', () => {
    expect(said(view)).toBe('good nodes: 1 of 1 datapaths ready, 1 where the DaemonSet wants no agent');
  });

  it('is bad where it wants one', () => {
    expect(said({ ...view, nodes: [labelled('one', 'amd64'), labelled('two', 'amd64')] })).toMatch(
      /^bad nodes: 1 of 2 datapaths ready \| two: its agent is silent -> kubectl describe nodeendpoint two$/,
    );
  });
});

const asked = (name: string, more: object = {}) =>
  endpoint(name, { metadata: { name, annotations: { 'sample.fast.io/remove': 'true' } }, ...more });
const ending = {
  metadata: { name: 'fast-system', deletionTimestamp: '2026-11-25T11:57:00Z' },
  status: {
    conditions: [
      { type: 'NamespaceDeletionContentFailure', status: 'False', message: 'All content successfully deleted' },
      {
        type: 'NamespaceContentRemaining',
        status: 'True',
        message: 'Some resources are remaining: pods. has 1 resource instances',
      },
    ],
  },
};

describe('without a controller', () => {
  const gone = { deployment: undefined, agents: undefined, pools: [pool('sample-ips', 6)] };
  const cures = (change: object): unknown[] =>
    assess({ ...well, ...change }).flatMap(({ cure, findings = [] }) => [cure, ...findings.map((one) => one.cure)]);

  it('nobody is sent to its logs', () => {
    const said = cures({ ...gone, knobs: { metadata: {}, data: { 'fast-nodes': 'spec' } } });
    expect(said.join()).not.toContain('kubectl logs');
    expect(said).toContain('kubectl apply -k config/default');
  });

  it('that was scaled to nothing it is scaled up again, and nobody is sent to logs that are nobody’s', () => {
    const scale = 'kubectl scale -n fast-system deployment/fast-controller-manager --replicas=2';
    const stopped = { deployment: { metadata: {}, spec: { replicas: 0 }, status: {} }, lease: undefined };
    expect(amiss(stopped)).toEqual([`bad controller: scaled to 0 replicas, nobody leads -> ${scale}`]);
    const said = cures({
      ...gone,
      ...stopped,
      knobs: { metadata: {}, data: { 'fast-nodes': '{subnet: 10.244.0.1/32, ips: [10.9.0.0]}' } },
    });
    expect(said.join()).not.toContain('kubectl logs');
    expect(said.filter((cure) => cure === scale)).toHaveLength(3);
  });

  it('nobody is told to apply into a namespace that is being deleted, without a wait', () => {
    expect(cures({ ...gone, home: ending }).join()).not.toMatch(/(?<!&& )kubectl apply -k config.default/);
    expect(amiss({ ...gone, home: ending })[0]).toMatch(/^bad install: the namespace fast-system is being deleted/);
  });
});

describe('what is amiss', () => {
  it('is nothing where all is well', () => {
    expect(amiss({})).toEqual([]);
  });

  it.each([
    [
      'no install at all, which is one line',
      { deployment: undefined, agents: undefined, endpoints: [], pools: [], records: [] },
      /^bad install: nothing of Fast was found in this cluster -> kubectl apply -k config\/default; another cluster /,
    ],
    ['no controller', { deployment: undefined }, 'bad controller: not installed -> kubectl apply -k config/default'],
    [
      'one replica down',
      { deployment: { spec: { replicas: 2 }, status: { readyReplicas: 1 } } },
      /^doubtful controller: 1 of 2/,
    ],
    ['nobody leads', { lease: undefined }, /^bad controller: 2 of 2 replicas ready, nobody leads/],
    ['a lease that is long over', { nowMs: nowMs + 60_000 }, /^bad controller: .* nobody leads/],
    [
      'an agent down',
      { agents: { status: { desiredNumberScheduled: 2, numberReady: 1 } } },
      /^bad agents: 1 of 2 ready/,
    ],
    [
      'a datapath that differs',
      { endpoints: [endpoint('one', { status: { conditions: [condition('DatapathReady', 'False', 'port taken')] } })] },
      /^bad nodes: 0 of 1 datapaths ready, .* \| one: port taken -> kubectl describe nodeendpoint one \| /,
    ],
    [
      'a node without the fast path',
      {
        endpoints: [endpoint('one', { status: { conditions: [condition('DatapathReady', 'True')] } }), endpoint('two')],
      },
      /^doubtful nodes: 2 of 2 datapaths ready, 1 without the fast path \| one: without the fast path: /,
    ],
    [
      'an uninstall that was begun',
      { endpoints: [endpoint('one', { metadata: { name: 'one', annotations: { 'sample.fast.io/remove': 'true' } } })] },
      /^bad nodes: .*; 1 asked to be without Fast -> an uninstall was begun. To go on: fast-ctl uninstall --yes; to keep Fast: kubectl apply -k config\/default && kubectl annotate nodeendpoints --all sample\.fast\.io\/remove- \| one: asked to be without Fast$/,
    ],
    [
      'an uninstall that was stopped for a node that is off',
      {
        nodes: [machine('one'), machine('two', { status: 'Unknown', lastTransitionTime: '2026-11-25T11:55:00Z' })],
        endpoints: [
          asked('one', { status: { conditions: [condition('Removed', 'True')] } }),
          asked('two'),
          asked('three'),
        ],
      },
      'bad nodes: 1 of 3 datapaths ready, 1 NotReady; 3 asked to be without Fast, 2 of them off' +
        ' -> an uninstall was begun. To go on: fast-ctl uninstall --yes --without two three, or start two, three first;' +
        ' to keep Fast: kubectl apply -k config/default && kubectl annotate nodeendpoints --all sample.fast.io/remove-' +
        ' | two: asked to be without Fast, but NotReady for 5 min, off or cut off: nobody is there to clean it' +
        ' | three: asked to be without Fast, but its Node is gone: nobody is there to clean it' +
        ' | one: without Fast already',
    ],
    [
      'the same where one may not see the Nodes',
      {
        nodes: 'hidden',
        endpoints: [asked('two', { status: { conditions: [{ type: 'DatapathReady', status: 'Unknown' }] } })],
      },
      /1 of them off -> .* --without two, or start two first; .* \| two: asked to be without Fast, but NotReady, off or cut off: nobody/,
    ],
    [
      'an install into a namespace that is still being deleted',
      { home: ending, deployment: undefined, agents: undefined, endpoints: [], pools: [], records: [] },
      'bad install: the namespace fast-system is being deleted, for 3 min: what is applied now is refused or goes with it; Some resources are remaining: pods. has 1 resource instances' +
        ' -> kubectl wait --for=delete namespace/fast-system --timeout=5m && kubectl apply -k config/default',
    ],
    [
      'a node that nobody knows',
      { endpoints: [endpoint('one')] },
      /^doubtful nodes: .*1 without a NodeEndpoint \| two: .* -> kubectl describe node two$/,
    ],
    [
      'no pool for pods',
      { pools: [ofNodes(10)] },
      'doubtful pools: none for pods | default-ips: not made yet: pods get no address -> kubectl apply -f config/samples/ips.yaml',
    ],
    [
      'no pool at all, of which each has its own cure and the graver one comes first',
      { pools: [] },
      /^bad pools: none for pods; 1 missing \| fast-nodes: missing: .* -> kubectl apply -k config\/default \| default-ips: not made yet: .* -> kubectl apply -f config\/samples\/ips.yaml$/,
    ],
    [
      'a pool with addresses of Services',
      {
        pools: [
          ofNodes(10),
          pool('p', 5, {
            status: { total: 10, free: 5, conditions: [condition('OverlappingServices', 'True', 'holds 10.96.0.0')] },
          }),
        ],
      },
      'doubtful pools: 1 for pods; 1 overlapping | p: holds 10.96.0.0 -> kubectl edit ips p',
    ],
    [
      'a pool over the nodes’ own network',
      {
        pools: [
          ofNodes(10),
          pool('p', 5, {
            status: { total: 10, free: 5, conditions: [condition('OverlappingNodes', 'True', 'holds 10.29.15.49')] },
          }),
        ],
      },
      'doubtful pools: 1 for pods; 1 overlapping | p: holds 10.29.15.49 -> kubectl edit ips p',
    ],
    [
      "no pool for the nodes' own addresses, of which the ConfigMap says nothing",
      { pools: [pool('p', 5)] },
      'bad pools: 1 for pods; 1 missing | fast-nodes: missing: new nodes get no address of their own, and take no pods -> kubectl apply -k config/default',
    ],
    [
      "no pool for the nodes' own addresses, which the controller should have made",
      { pools: [pool('p', 5)], knobs: { data: { 'fast-nodes': '{subnet: 10.244.0.1/32, ips: [10.9.0.0]}' } } },
      /^bad pools: 1 for pods; 1 missing \| fast-nodes: missing: .* -> kubectl logs -n fast-system -l /,
    ],
    [
      'an empty pool',
      { pools: [ofNodes(10), pool('p', 0)] },
      'bad pools: 1 for pods; 1 exhausted | p: exhausted: 0 of 10 free -> kubectl edit ips p',
    ],
    [
      'a pool that has nothing but what cools down, which is given out in need',
      { pools: [ofNodes(10), pool('p', 0, { status: { total: 10, free: 0, cooling: 2 } })] },
      'doubtful pools: 1 for pods; 1 nearly full | p: 0 of 10 free, 2 cooling -> kubectl edit ips p',
    ],
    [
      'an empty pool beside one that has something left',
      { pools: [ofNodes(10), pool('q', 0, { status: { total: 10, free: 0, cooling: 2 } }), pool('p', 0)] },
      /^bad pools: 2 for pods; 1 exhausted, 1 nearly full \| p: exhausted: 0 of 10 free -> .* \| q: 0 of 10 free, 2 cooling/,
    ],
    [
      'a pool that is not ready',
      {
        pools: [
          ofNodes(10),
          pool('p', 5, { status: { total: 10, free: 5, conditions: [condition('Ready', 'False', 'no range')] } }),
        ],
      },
      'bad pools: 1 for pods; 1 not ready | p: not ready: no range -> kubectl describe ips p',
    ],
    [
      'a pod that waits',
      {
        endpoints: [
          endpoint('one', { spec: { waiting: [{ namespace: 'a', name: 'b', message: 'no pool' }] } }),
          endpoint('two'),
        ],
      },
      'bad pods: 1 waits for an address | a/b: no pool -> kubectl describe pod -n a b',
    ],
    [
      'an address that a node does not let go',
      { records: [record('Releasing', '2026-11-25T11:00:00Z')] },
      /^doubtful addresses: .*; 1 of them overdue \| 10\.244\.10\.0: node one has not let go of it -> kubectl get node one$/,
    ],
    [
      'a wire without a record',
      {
        endpoints: [
          endpoint('one', { status: { ...endpoint('one').status, orphans: [{ address: '10.244.10.9' }] } }),
          endpoint('two'),
        ],
      },
      /^doubtful wires: 1 without a record \| 10\.244\.10\.9: a wire on one without a record -> /,
    ],
    [
      'a policy that is missing, with what it keeps from happening',
      { missingPolicies: ['fast-agents', 'fast-pods'] },
      'doubtful policies: 2 missing -> kubectl apply -k config/policy | fast-agents: an agent can write for other nodes' +
        ' | fast-pods: a pod whose bandwidth limit cannot be read is taken, and can then never start',
    ],
    [
      'a lease that one may not see, which says nothing of who leads',
      { lease: 'hidden' },
      'doubtful controller: 2 of 2 replicas ready, this account may not see who leads -> run it by an account that may look, such as by your own kubeconfig',
    ],
    [
      'what one may not see',
      { agents: 'hidden' },
      'doubtful agents: this account may not look -> run it by an account that may look, such as by your own kubeconfig',
    ],
  ])('%s', (_, change, line) => {
    expect(amiss(change)).toEqual([typeof line === 'string' ? line : expect.stringMatching(line)]);
  });
});

describe('fast-ctl status', () => {
  it('is at most ten lines when all is well, and ends with 0', async () => {
    const shown = await fastCtl('status', { cluster: () => Promise.resolve(cluster()) });
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout.trimEnd().split('\n')).toEqual([
      'Fast is well.',
      'ok  controller  2 of 2 replicas ready, fast-controller-manager-a leads',
      'ok  agents      2 of 2 ready',
      'ok  nodes       2 of 2 datapaths ready',
      'ok  pools       1 for pods; fullest sample-ips: 6 of 10 free',
      'ok  addresses   1 bound, 0 releasing, 0 cooling, 0 reserved',
      'ok  pods        none waits for an address',
      'ok  wires       each has its record',
      'ok  policies    all in place',
      'ok  knobs       all by default',
    ]);
  });

  it('ends with 1 and says what to do when something is wrong', async () => {
    const pools = [ofNodes(10), pool('p', 0)];
    const shown = await fastCtl('status', { cluster: () => Promise.resolve(cluster({ pools })) });
    expect(shown.code).toBe(1);
    expect(shown.stdout).toContain('Fast needs a look: 1 wrong, 0 doubtful.\n');
    expect(shown.stdout).toContain(
      '!!  pools       1 for pods; 1 exhausted\n                p: exhausted: 0 of 10 free\n',
    );
    expect(shown.stdout).toContain('To do:\n    pools: kubectl edit ips p\n');
  });

  it('is data for a program', async () => {
    const shown = await fastCtl('status -o json', { cluster: () => Promise.resolve(cluster()) });
    expect(JSON.parse(shown.stdout)).toHaveLength(9);
  });

  it('goes on where an account may not look', async () => {
    const shown = await fastCtl('status', { cluster: () => Promise.resolve(cluster({ deployment: 'hidden' })) });
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain('??  controller  this account may not look\n');
  });

  it('says in one line that there is no cluster', async () => {
    expect(await fastCtl('status')).toEqual({ code: 1, stdout: '', stderr: 'fast-ctl: there is no cluster here\n' });
  });
});
