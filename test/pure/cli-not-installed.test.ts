// SPDX-License-Identifier: Apache-2.0
// fast-ctl in a cluster that has nothing of Fast: its API server does not know our kinds.
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../src/cli/surroundings.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { fastCtl } from './cli-shell.ts';

/** The API server's answer for a kind that it does not know. */
const unknown = new KubeError('notFound', { verb: 'list', target: 'ipallocations' }, '404 page not found');
const bare = {
  list: ({ group }: { group: string }) =>
    group === 'sample.fast.io' ? Promise.reject(unknown) : Promise.resolve({ items: [] }),
  find: () => Promise.resolve(undefined),
} as unknown as Cluster;

describe('with nothing installed', () => {
  it.each([
    'ipam show',
    'ipam show -o json',
    'ipam show sample-ips',
    'ipam check',
    'ipam forecast',
    'trace default/a 10.244.10.1',
    'trace 10.244.10.0 default/b',
  ])('fast-ctl %s says so with the cure, and ends with 1', async (line) => {
    const { code, stdout, stderr } = await fastCtl(line, { cluster: async () => bare });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      'fast-ctl: Fast is not installed in this cluster, which does not know the kind IpAllocation; kubectl apply -k config/default; another cluster is named by --context or --kubeconfig\n',
    );
  });

  it('fast-ctl maps diff says that nothing is installed, instead of a raw 404', async () => {
    const { code, stderr } = await fastCtl('maps diff', { cluster: async () => bare });
    expect(code).toBe(1);
    expect(stderr).toBe(
      'fast-ctl: Fast is not installed in this cluster, which does not know the kind NodeEndpoint; kubectl apply -k config/default; another cluster is named by --context or --kubeconfig\n',
    );
  });
});

describe('with one kind missing', () => {
  it('fast-ctl ipam check does not take its objects as gone', async () => {
    const list = ({ plural }: { plural: string }) =>
      plural === 'ipses' ? Promise.reject(unknown) : Promise.resolve({ items: [] });
    const { code, stderr } = await fastCtl('ipam check', { cluster: async () => ({ ...bare, list }) as never });
    expect(code).toBe(1);
    expect(stderr).toContain('does not know the kind Ips; kubectl apply -k');
  });
});
