// SPDX-License-Identifier: Apache-2.0
// The informer's trial: hundreds of seeds, each with its own faults between an informer and one real API server. Whatever
// happened, each ends with a mirror equal to the server and with each deletion told exactly once. FAST_SEED=17 plays one.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { Informer, type InformerOptions } from '../../src/kube/informer.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import { type ConfigMap, configMaps, namespaces } from '../../src/kube/resources.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { startApiServer } from '../cluster/api-server.ts';
import { eventually } from './hollow-cluster.ts';
import { faultNames, InformerStory, type Trial } from './informer-story.ts';

/** All of them in CI too. */
const seedCount = 500;
const atOnce = 25;
const steps = 25;

/** A rejection that nobody handles ends a process; an exit is a failure to the test runner as it is. */
const rejections: unknown[] = [];
const onRejection = (reason: unknown): number => rejections.push(reason);

async function listsBy(metrics: Metrics): Promise<Record<string, number>> {
  const { values } = await metrics.informer.lists.get();
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels.reason), value]));
}

describe('the informer', () => {
  let server: ApiServer;
  let world: KubeClient;
  const trialOf = (): Trial => ({ server, world, metrics: new Metrics(), met: new Map() });

  beforeAll(async () => {
    process.on('unhandledRejection', onRejection);
    server = await startApiServer();
    world = connect({ kubeconfig: server.kubeconfig, fieldManager: 'world' });
  }, 120_000);
  afterAll(async () => {
    process.off('unhandledRejection', onRejection);
    await world?.close();
    await server?.stop();
  });

  it('loses no deletion and tells none twice, in 500 seeds of faults', async () => {
    const { FAST_SEED: one } = process.env;
    const seeds = one === undefined ? Array.from({ length: seedCount }, (_, seed) => seed) : [Number(one)];
    const trial = trialOf();
    const wrongs: string[] = [];
    let deletions = 0;
    const workers = Array.from({ length: atOnce }, async () => {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        const story = await InformerStory.begin(trial, seed);
        await story.play(steps);
        wrongs.push(...(await story.judge()));
        deletions += await story.end();
      }
    });
    await Promise.all(workers);
    expect(wrongs).toEqual([]);
    expect(rejections).toEqual([]);
    if (one !== undefined) return;
    console.log(Object.fromEntries(trial.met), await listsBy(trial.metrics), { deletions });
    // Where a fault was never met, nothing was shown of it.
    for (const name of faultNames) expect(trial.met.get(name), name).toBeGreaterThan(seedCount / 10);
    expect(deletions).toBeGreaterThan(seedCount);
  }, 600_000);

  it('loses no deletion when the API server is killed amid the faults and comes back', async () => {
    const trial = trialOf();
    const seeds = Array.from({ length: 20 }, (_, at) => 10_000 + at);
    const stories = await Promise.all(seeds.map((seed) => InformerStory.begin(trial, seed)));
    await Promise.all(stories.map((story) => story.play(steps)));
    await Promise.all([server.restart(), ...stories.map((story) => story.play(steps))]);
    await Promise.all(stories.map((story) => story.play(steps)));
    const wrongs = await Promise.all(stories.map((story) => story.judge()));
    await Promise.all(stories.map((story) => story.end()));
    expect(wrongs.flat()).toEqual([]);
    expect(rejections).toEqual([]);
  }, 120_000);

  it('finds what an etcd restored from a backup has undone: by the silence of a revision from the future, or by the periodic list', async () => {
    const namespace = 'restored';
    const at = (name: string) => ({ metadata: { name, namespace } });
    const told: Record<string, string[]> = { impatient: [], patient: [] };
    const start = async (who: string, more: Partial<InformerOptions<ConfigMap>>) => {
      const informer = new Informer({ client: world, resource: configMaps, namespace, ...more });
      informer.on(({ type, object }) => told[who]?.push(`${type} ${object.metadata.name}`));
      informer.start();
      await informer.synced();
      return informer;
    };
    await world.create(namespaces, { metadata: { name: namespace } });
    for (const name of ['a', 'b', 'c']) await world.create(configMaps, at(name));
    await server.backup();
    const impatient = await start('impatient', { silenceMs: 2000, backoff: { baseMs: 50, maxMs: 500 } });
    const patient = await start('patient', { relistEveryMs: 8000, backoff: { baseMs: 50, maxMs: 500 } });
    await world.create(configMaps, at('d'));
    await world.delete(configMaps, 'a', { namespace });
    await world.patch(configMaps, 'b', { data: { colour: 'blue' } }, { type: 'merge', namespace });
    const heard = async (): Promise<boolean> =>
      [impatient, patient].every((each) => each.get('b', namespace)?.data?.['colour'] === 'blue');
    await eventually('both have heard', heard);
    await server.restore();
    // More than was undone: the server's revisions pass those that the informers wait for.
    for (let count = 0; count < 20; count += 1) {
      await world.patch(configMaps, 'c', { data: { count: `${count}` } }, { type: 'merge', namespace });
    }
    await world.delete(configMaps, 'c', { namespace });
    await world.create(configMaps, at('e'));
    for (const [who, informer] of Object.entries({ impatient, patient })) {
      const isEqual = async (): Promise<boolean> => {
        const names = informer.list().map(({ metadata }) => metadata.name ?? '');
        return names.sort().join() === 'a,b,e' && informer.get('b', namespace)?.data === undefined;
      };
      await eventually(`${who} equals the restored server`, isEqual);
      const deletions = told[who]?.filter((line) => line.startsWith('deleted')).sort();
      expect(deletions, who).toEqual(['deleted a', 'deleted c', 'deleted d']);
      await informer.stop();
    }
    expect(rejections).toEqual([]);
  }, 180_000);
});
