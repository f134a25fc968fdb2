// SPDX-License-Identifier: Apache-2.0
// What the manifests must say so that a cluster unlike the test's takes them too.
import { expect, it } from 'vitest';
import { manifestsOf, theOne } from '../../scripts/manifests.ts';
import { controllerReplicas } from '../../src/cli/kubectl-lines.ts';

interface Controller {
  replicas: number;
  strategy?: { rollingUpdate?: { maxSurge?: number; maxUnavailable?: number } };
  template: { spec: { containers: Array<{ ports?: Array<{ hostPort?: number }> }> } };
}

function controllerOf(folder: string): Controller {
  const deployment = theOne(manifestsOf(folder), 'Deployment', 'fast-controller-manager');
  return (deployment as unknown as { spec: Controller }).spec;
}

it('a controller that fast-ctl has scaled up again is as many as were installed', () => {
  expect(controllerOf('config/default').replicas).toBe(controllerReplicas);
});

it('an upgrade of the controller ends on as few nodes as it has replicas: each holds a port of its node', () => {
  const spec = controllerOf('config/default');
  const ports = spec.template.spec.containers.flatMap(({ ports: all = [] }) => all.map(({ hostPort }) => hostPort));
  expect(ports).toContain(9440);
  expect(spec.strategy?.rollingUpdate).toEqual({ maxSurge: 0, maxUnavailable: 1 });
  expect(spec.replicas).toBeGreaterThan(1);
});
