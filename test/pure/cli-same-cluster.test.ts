// SPDX-License-Identifier: Apache-2.0
// Who names a cluster by --context or --kubeconfig is given commands about that cluster, not about the one of his shell.
import { describe, expect, it } from 'vitest';
import { atCluster } from '../../src/cli/same-cluster.ts';
import { fastCtl } from './cli-shell.ts';
import { clusterOf, endpoint } from './cluster-view.ts';

describe('a command that fast-ctl gives a person', () => {
  it.each([
    ['kubectl get pods', 'kubectl --context c get pods'],
    ['fast-ctl uninstall --yes', 'fast-ctl --context c uninstall --yes'],
    [
      '$(kubectl get pods -o name); fast-ctl status',
      '$(kubectl --context c get pods -o name); fast-ctl --context c status',
    ],
    ['run fast-ctl as root; kubectl takes it', 'run fast-ctl as root; kubectl --context c takes it'],
  ])('%s names the cluster', (text, told) => {
    expect(atCluster(text, { context: 'c' })).toBe(told);
    expect(atCluster(told, { context: 'c' })).toBe(told);
    expect(atCluster(text, {})).toBe(text);
  });

  it('is one that a shell takes', () => {
    expect(atCluster('kubectl get pods', { kubeconfig: "/home/jane's own/k", context: 'admin@c' })).toBe(
      String.raw`kubectl --kubeconfig '/home/jane'\''s own/k' --context admin@c get pods`,
    );
  });
});

describe('with --context and --kubeconfig', () => {
  const flags = '--kubeconfig /k --context c';
  const broken = clusterOf({ deployment: undefined, endpoints: [endpoint('one', { status: undefined })] });

  it('uninstall says how to do it to that cluster', async () => {
    const { stdout } = await fastCtl(`uninstall ${flags}`, { cluster: async () => broken });
    expect(stdout).toContain(`To do it: fast-ctl ${flags} uninstall --yes`);
  });

  it.each(['table', 'json'])('status gives the cures of that cluster, -o %s', async (output) => {
    const { stdout } = await fastCtl(`status ${flags} -o ${output}`, { cluster: async () => broken });
    expect(stdout).toContain(`kubectl ${flags} describe nodeendpoint one`);
    expect(stdout).not.toMatch(/kubectl (?!--kubeconfig)/);
  });

  it('an error does too', async () => {
    const { stderr } = await fastCtl(`trace default/nobody 10.244.10.1 ${flags}`, { cluster: async () => broken });
    expect(stderr).toBe(`fast-ctl: no pod default/nobody has an address; kubectl ${flags} get ipallocations\n`);
  });
});
