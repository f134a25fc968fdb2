// SPDX-License-Identifier: Apache-2.0
// What a person reads whose account may not do what a command asks for, such as a shell in an agent's pod.
import { describe, expect, it } from 'vitest';
import type { Cluster, ClusterChoice, Surroundings } from '../../src/cli/surroundings.ts';
import { errorOfAnswer } from '../../src/kube/errors.ts';
import { usesPodAccount } from '../../src/kube/pod-account.ts';
import { fastCtl } from './cli-shell.ts';
import { clusterOf } from './cluster-view.ts';

const agents = 'system:serviceaccount:fast-system:fast-agent';

/** As the API server and our client word it. */
function refused(user: string, verb: string, resource: string, namespace?: string) {
  const [plural = '', ...group] = resource.split('.');
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const message = `${plural} is forbidden: User "${user}" cannot ${verb} resource "${plural}" in API group "${group.join('.')}" ${where}`;
  return errorOfAnswer({ verb, target: plural }, 403, { code: 403, reason: 'Forbidden', message });
}

/** In a pod, unless another account is named. */
const inPod = (choice: ClusterChoice): boolean =>
  usesPodAccount(choice, { KUBERNETES_SERVICE_HOST: '10.96.0.1' }, () => true);

async function said(line: string, error: Error, given: Partial<Surroundings> = {}): Promise<string> {
  const refuse = (): Promise<never> => Promise.reject(error);
  const cluster = { list: refuse, find: refuse } as unknown as Cluster;
  return (await fastCtl(line, { cluster: () => Promise.resolve(cluster), ...given })).stderr;
}

const granted =
  'fast-ctl: system:serviceaccount:ci:robot may not list nodes: have it granted, or name another account by --context or --kubeconfig\n';

describe('an account that lacks a right', () => {
  it.each(['ipam show', 'ipam check', 'ipam forecast', 'trace default/web 10.244.10.1', 'maps list --node two'])(
    'that is the agents’ is told so, and where to run it: %s',
    async (line) => {
      expect(await said(line, refused(agents, 'list', 'nodes'))).toBe(
        `fast-ctl: ${agents} may not list nodes: that is the agents' account, which looks after its own node alone;` +
          ' run it where your own kubeconfig is, such as on your laptop\n',
      );
    },
  );

  it('is told the right with its group and namespace', async () => {
    expect(await said('ipam show', refused('jane', 'list', 'ipses.sample.fast.io'))).toBe(
      'fast-ctl: jane may not list ipses.sample.fast.io: have it granted, or name another account by --context or --kubeconfig\n',
    );
    expect(await said('ipam show', refused('jane', 'create', 'pods/exec', 'fast-system'))).toContain(
      'jane may not create pods/exec in fast-system: have it granted',
    );
  });

  it('and is a ServiceAccount, is sent elsewhere from a pod alone: a robot has one by its kubeconfig', async () => {
    const robot = refused('system:serviceaccount:ci:robot', 'list', 'nodes');
    expect(await said('ipam show', robot, { usesPodAccount: inPod })).toContain(
      "may not list nodes: that is a pod's account; run it where your own kubeconfig is",
    );
    expect(await said('ipam show', robot)).toBe(granted);
  });

  it('and is a robot’s by the kubeconfig that it named inside a pod, is not told of the pod’s account', async () => {
    const robot = refused('system:serviceaccount:ci:robot', 'list', 'nodes');
    expect(await said('ipam show --kubeconfig /robot', robot, { usesPodAccount: inPod })).toBe(granted);
    expect(await said('--kubeconfig /robot ipam check', robot, { usesPodAccount: inPod })).toBe(granted);
    const byVariable = (choice: ClusterChoice): boolean =>
      usesPodAccount(choice, { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBECONFIG: '/robot' }, () => true);
    expect(await said('ipam show', robot, { usesPodAccount: byVariable })).toBe(granted);
    const withoutToken = (choice: ClusterChoice): boolean =>
      usesPodAccount(choice, { KUBERNETES_SERVICE_HOST: '10.96.0.1' }, () => false);
    expect(await said('ipam show', robot, { usesPodAccount: withoutToken })).toBe(granted);
  });

  it('is told what an admission policy says in its own words', async () => {
    const message = "ValidatingAdmissionPolicy 'fast-removal' denied request: pools are in use";
    const error = errorOfAnswer({ verb: 'delete', target: 'x' }, 403, { code: 403, reason: 'Forbidden', message });
    expect(await said('ipam show', error)).toBe(`fast-ctl: cannot delete x: ${message}\n`);
  });

  it('and that is nobody’s to the API server, is told to log in again', async () => {
    const error = errorOfAnswer({ verb: 'list', target: 'nodes' }, 401, { code: 401, message: 'Unauthorized' });
    expect(await said('ipam show', error)).toContain(
      'cannot list nodes: Unauthorized: the API server does not take these',
    );
  });

  it('is told once by status, for all rows that it may not see', async () => {
    const view = { deployment: 'hidden', agents: 'hidden', agentPods: 'hidden', knobs: 'hidden', nodes: 'hidden' };
    const { stdout } = await fastCtl('status', { cluster: () => Promise.resolve(clusterOf(view)) });
    expect(stdout).toContain('??  controller  this account may not look\n');
    expect(stdout.split('To do:\n')[1]).toBe(
      '    controller, agents, nodes, knobs: run it by an account that may look, such as by your own kubeconfig\n',
    );
  });
});
