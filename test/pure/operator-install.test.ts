// SPDX-License-Identifier: Apache-2.0
// What the controller makes of its ConfigMap where a line of it is wrong: the rest of the install all the same.
import { describe, expect, it } from 'vitest';
import { KubeError } from '../../src/kube/errors.ts';
import { silentLog } from '../../src/kube/log.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import type { KubeObject, Resource } from '../../src/kube/object.ts';
import { InstallReconciler, type InstallWorld } from '../../src/operator/install.ts';

const refused = (verb: string, because: string): KubeError =>
  new KubeError('invalid', { verb, target: 'it' }, because, { status: 422 });

/** An API server that refuses a request of 9 CPUs, and pools whose subnet is `nowhere`. */
function install(data: Record<string, string>) {
  const [made, notes] = [Array.of<string>(), Array.of<string>()];
  const client = {
    find: () => Promise.resolve(undefined),
    list: () => Promise.resolve({ items: [], resourceVersion: '1' }),
    patch: (of: Resource<KubeObject>, _name: string, object: object) => {
      const text = JSON.stringify(object);
      if (text.includes('"cpu":9')) {
        return Promise.reject(refused('patch', 'must be less than or equal to cpu limit'));
      }
      made.push(`${of.plural} ${text.includes('"resources":{"limits"') ? 'with limits' : 'as ever'}`);
      return Promise.resolve(object);
    },
    create: (of: Resource<KubeObject>, object: { spec?: { subnet?: string } }) => {
      if (object.spec?.subnet === 'nowhere') return Promise.reject(refused('create', 'spec.subnet: "nowhere"'));
      made.push(of.plural);
      return Promise.resolve(object);
    },
  };
  const reconciler = new InstallReconciler({
    client: client as unknown as InstallWorld['client'],
    namespace: 'fast-system',
    agentImage: 'agent',
    knobs: () => ({ metadata: {}, data }),
    agents: () => undefined,
    term: 'one',
    pool: () => undefined,
    events: { record: ({ reason, note }) => void notes.push(`${reason}: ${note}`) },
    metrics: new Metrics(),
    log: silentLog,
  });
  const knobNotes = (): string[] => notes.filter((note) => note.startsWith('InvalidKnob'));
  return { made, knobNotes, reconcile: () => reconciler.reconcile(new AbortController().signal) };
}

const nodes = '{subnet: 10.244.0.1/32, ips: [10.244.224.0-10.244.255.255], usage: Node}';

describe('the install', () => {
  it('with resources that are some rolls out the agents with them', async () => {
    const { made, knobNotes, reconcile } = install({
      'fast-nodes': nodes,
      'agent-resources': 'limits: {memory: 256Mi}',
    });
    await reconcile();
    expect(made).toEqual(['daemonsets with limits', 'ipses']);
    expect(knobNotes()).toEqual([]);
  });

  it('with resources that the API server refuses comes up without them, and says which knob it was', async () => {
    const { made, knobNotes, reconcile } = install({
      'fast-nodes': nodes,
      'agent-resources': '{requests: {cpu: 9}, limits: {cpu: 1}}',
    });
    await reconcile();
    await reconcile();
    expect(made.slice(0, 2)).toEqual(['daemonsets as ever', 'ipses']);
    expect(knobNotes()).toEqual([expect.stringContaining('key agent-resources: not taken; ')]);
    expect(knobNotes()[0]).toContain('must be less than or equal');
  });

  it('with a key that is no knob says so once, by an event and with the nearest, and does all else', async () => {
    const { made, knobNotes, reconcile } = install({ 'fast-nodes': nodes, 'log-level': 'debug' });
    await reconcile();
    await reconcile();
    expect(made.slice(0, 2)).toEqual(['daemonsets as ever', 'ipses']);
    expect(knobNotes()).toEqual([
      'InvalidKnob: ConfigMap fast-config, key log-level: no knob has this name; did you mean agent-log-level? The other entries are in force.',
    ]);
  });

  it.each([
    ['{subnet: nowhere, ips: []}', 'key fast-nodes: not taken, so nodes get no address; '],
    ['- a', 'is no spec of an Ips; write subnet, ips and usage: Node'],
  ])('whose pool of the nodes is %s rolls out the agents, and says it by an event', async (text, said) => {
    const { made, knobNotes, reconcile } = install({ 'fast-nodes': text });
    expect(await reconcile()).toMatchObject({ outcome: 'retryAfter' });
    expect(made).toEqual(['daemonsets as ever']);
    expect(knobNotes()).toEqual([expect.stringContaining(said)]);
  });
});
