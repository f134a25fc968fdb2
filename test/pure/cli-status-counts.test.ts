// SPDX-License-Identifier: Apache-2.0
// What `fast-ctl status -o json` counts, for programs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../../scripts/steps.ts';
import { assess } from '../../src/cli/health-checks.ts';
import { fastCtl } from './cli-shell.ts';
import { clusterOf as cluster, endpoint, machine, ofNodes, pool, record, well } from './cluster-view.ts';

describe('status -o json', () => {
  const countsOf = (change: object): Record<string, Record<string, number> | undefined> =>
    Object.fromEntries(assess({ ...well, ...change }).map(({ what, counts }) => [what, counts]));

  it('holds every count as a number', async () => {
    const { stdout } = await fastCtl('status -o json', { cluster: () => Promise.resolve(cluster()) });
    const lines = JSON.parse(stdout) as Array<{ what: string; counts: object }>;
    expect(Object.fromEntries(lines.map(({ what, counts }) => [what, counts]))).toEqual({
      controller: { wanted: 2, ready: 2 },
      agents: { wanted: 2, ready: 2, updated: 2 },
      nodes: {
        datapaths: 2,
        ready: 2,
        notReady: 0,
        withoutEndpoint: 0,
        silent: 0,
        leftOut: 0,
        withoutFastPath: 0,
        leaving: 0,
      },
      pools: {
        forPods: 1,
        total: 10,
        bound: 0,
        cooling: 0,
        reserved: 0,
        free: 6,
        missing: 0,
        notReady: 0,
        exhausted: 0,
        nearlyFull: 0,
        overlapping: 0,
      },
      addresses: { bound: 1, releasing: 0, cooling: 0, reserved: 0, overdue: 0 },
      pods: { waiting: 0, gated: 0, misspelt: 0, undecided: 0 },
      wires: { withoutNetwork: 0, unsure: 0, stuck: 0, withoutRecord: 0 },
      policies: { missing: 0 },
      knobs: { set: 0, leftOut: 0 },
    });
  });

  it('counts what is amiss, as the text does', () => {
    const waiting = [{ namespace: 'default', name: 'a', reason: 'R', message: 'm' }];
    const change = {
      pools: [
        ofNodes(10),
        pool('sample-ips', 0, { status: { total: 10, bound: 9, cooling: 0, reserved: 1, free: 0 } }),
      ],
      records: [record('Releasing', '2026-11-25T11:00:00Z')],
      endpoints: [
        endpoint('one', {
          metadata: { name: 'one', annotations: { 'sample.fast.io/remove': 'true' } },
          spec: { nodeUID: 'u', tunnelAddress: '10.0.0.1', waiting },
        }),
      ],
      nodes: [machine('one', { status: 'Unknown' })],
    };
    expect(countsOf(change)).toMatchObject({
      nodes: { datapaths: 1, ready: 0, notReady: 1, leaving: 1 },
      pools: { forPods: 1, total: 10, bound: 9, reserved: 1, free: 0, exhausted: 1 },
      addresses: { bound: 0, releasing: 1, overdue: 1 },
      pods: { waiting: 1, gated: 0 },
    });
  });

  it('leaves out what the account may not see', () => {
    const { nodes, pods, wires, controller } = countsOf({
      nodes: 'hidden',
      unscheduled: 'hidden',
      running: 'hidden',
      deployment: 'hidden',
    });
    expect({ nodes, pods, wires, controller }).toEqual({
      nodes: { datapaths: 2, ready: 2, leftOut: 0, withoutFastPath: 0, leaving: 0 },
      pods: { waiting: 0, misspelt: 0, undecided: 0 },
      wires: { withoutRecord: 0 },
      controller: undefined,
    });
  });

  it('has each count on its page', () => {
    const page = readFileSync(join(root, 'docs/operating.md'), 'utf8');
    const rows = Object.entries(countsOf({})).map(([what, counts = {}]) => [what, Object.keys(counts)] as const);
    for (const [what, names] of rows) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${what}\` |`)) ?? '';
      const named = [...row.slice(row.indexOf('|', 1)).matchAll(/`(\w+)`/g)].map(([, name]) => name);
      expect(new Set(named), what).toEqual(new Set(names));
    }
  });
});
