// SPDX-License-Identifier: Apache-2.0
// An install on two nodes for the tests of its removal, as objects by kind, and a clock for its waits.
import { installed } from '../../src/cli/installed.ts';
import type { Cluster } from '../../src/cli/surroundings.ts';
import type { DeleteOptions } from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/errors.ts';
import type { KubeObject, Resource } from '../../src/kube/object.ts';

const missing = (plural: string): KubeError =>
  new KubeError('notFound', { verb: 'get', target: plural }, 'it is not there', { status: 404 });

export const agentOn = (name: string): KubeObject =>
  ({
    metadata: { name: `fast-agent-${name}`, uid: name, labels: { 'app.kubernetes.io/name': 'fast-agent' } },
    spec: { nodeName: name },
  }) as KubeObject;

/** As an agent writes it at its start. */
const servedEndpoint = (name: string): KubeObject =>
  ({ metadata: { name }, status: { conditions: [{ type: 'DatapathReady', status: 'True' }] } }) as KubeObject;

/**
 * An install on two nodes, as objects by kind. Agents answer at once, but those of `deaf` nodes: these are off, and their pods
 * stay Terminating until they are deleted without grace.
 */
export function cluster(deaf: readonly string[] = []) {
  const done: string[] = [];
  const objects = new Map<string, KubeObject[]>([
    ['nodeendpoints', ['one', 'two'].map(servedEndpoint)],
    ['pods', ['one', 'two'].map(agentOn)],
    ['ipses', [{ metadata: { name: 'sample-ips', finalizers: ['sample.fast.io/in-use'] } }]],
    [
      'ipallocations',
      [{ metadata: { name: '10.244.10.0' }, spec: { owner: { kind: 'Pod' }, state: 'Bound' } } as KubeObject],
    ],
  ]);
  for (const { resource, name } of installed) {
    objects.set(resource.plural, [...(objects.get(resource.plural) ?? []), { metadata: { name } }]);
  }
  const list = (of: Resource<KubeObject>, { labelSelector = '' }: { labelSelector?: string } = {}) => {
    const [label = '', value] = labelSelector.split('=');
    const items = objects.get(of.plural)?.filter(({ metadata }) => metadata.labels?.[label] === value);
    return items === undefined ? Promise.reject(missing(of.plural)) : Promise.resolve({ items, resourceVersion: '1' });
  };
  const patch = (of: Resource<KubeObject>, name: string) => {
    done.push(`patch ${of.plural} ${name}`);
    if (of.plural === 'nodeendpoints' && !deaf.includes(name)) {
      const conditions = [{ type: 'Removed', status: 'True', message: 'all is gone' }];
      const rest = (objects.get(of.plural) ?? []).filter((one) => one.metadata.name !== name);
      objects.set(of.plural, [...rest, { metadata: { name }, status: { conditions } } as KubeObject]);
    }
    return Promise.resolve({ metadata: { name } });
  };
  /** What the garbage collector and the kubelets do once the agents' owner is gone. */
  const endPods = (): void => {
    const off = (objects.get('pods') ?? []).filter((pod) => deaf.some((node) => pod.metadata.name?.endsWith(node)));
    const deletionTimestamp = '2026-11-25T12:00:00Z';
    objects.set(
      'pods',
      off.map((pod) => ({ ...pod, metadata: { ...pod.metadata, deletionTimestamp } })),
    );
  };
  const remove = (of: Resource<KubeObject>, name: string, { gracePeriodSeconds }: DeleteOptions = {}) => {
    if (of.plural === 'pods' && gracePeriodSeconds !== 0) return Promise.resolve();
    const before = objects.get(of.plural) ?? [];
    const after = before.filter((one) => one.metadata.name !== name);
    if (after.length === before.length) return Promise.reject(missing(of.plural));
    if (of.plural === 'namespaces' && (objects.get('pods') ?? []).length > 0) return Promise.resolve();
    objects.set(of.plural, after);
    if (of.plural === 'daemonsets') endPods();
    // The API server takes a kind's objects with it.
    if (of.plural === 'customresourcedefinitions') objects.delete(name.split('.')[0] ?? '');
    done.push(`delete ${of.plural} ${name}`);
    return Promise.resolve();
  };
  const find = (of: Resource<KubeObject>, name: string) =>
    Promise.resolve(objects.get(of.plural)?.find((one) => one.metadata.name === name));
  const fake = { list, patch, delete: remove, find } as unknown as Cluster;
  const lose = (plural: string): void => void objects.set(plural, []);
  const have = (plural: string, ...some: KubeObject[]): void => void objects.set(plural, some);
  return { done, fake, lose, have };
}

/** The Nodes of that install, each with the status of its condition Ready. */
export const machine = (name: string, status: string): KubeObject =>
  ({ metadata: { name }, status: { conditions: [{ type: 'Ready', status }] } }) as KubeObject;

/** A clock that every wait moves. `meanwhile` is what happens during the first wait. */
export function clock(meanwhile: () => void = () => undefined) {
  let ms = 0;
  return {
    nowMs: () => ms,
    sleep: (delayMs: number) => {
      if (ms === 0) meanwhile();
      ms += delayMs;
      return Promise.resolve();
    },
  };
}
