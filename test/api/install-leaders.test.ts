// SPDX-License-Identifier: Apache-2.0
// Two leaders, one after the other, and the DaemonSet of the agents on a real API server: what a former one was sending
// when its lease ran out does not bring the image of its release back.
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { termAnnotation } from '../../src/api/names.ts';
import { connect, type KubeClient } from '../../src/kube/client.ts';
import { silentLog } from '../../src/kube/log.ts';
import { Metrics } from '../../src/kube/metrics.ts';
import { type DaemonSet, daemonSets } from '../../src/kube/resources.ts';
import { InstallReconciler } from '../../src/operator/install.ts';
import { type LeaderVerbs, TenureClient } from '../../src/operator/tenure.ts';
import type { Outcome } from '../../src/reconcilers/ports.ts';
import { type ApiServer, startApiServer } from '../cluster/api-server.ts';

const namespace = 'fast-system';
let server: ApiServer;
let client: KubeClient;

beforeAll(async () => {
  server = await startApiServer();
  await server.kubectl(['create', 'namespace', namespace]);
  client = connect({ kubeconfig: server.kubeconfig, fieldManager: 'fast-controller-manager' });
}, 120_000);
afterAll(async () => {
  await client?.close();
  await server?.stop();
});
beforeEach(async () => {
  expect(await new Leader('first', 'agent:1').reconcile()).toBe('retryAfter 300000');
});
afterEach(() => client.delete(daemonSets, 'fast-agent', { namespace }));

const live = (): Promise<DaemonSet | undefined> => client.find(daemonSets, 'fast-agent', namespace);

async function image(): Promise<string> {
  const pod = (await live())?.spec?.template as { spec: { containers: Array<{ image: string }> } } | undefined;
  return pod?.spec.containers[0]?.image ?? 'none';
}

class Leader {
  #isLeading = true;
  #seen: DaemonSet | undefined;
  #limits: Record<string, string> = {};
  /** A write is on the wire, where no clock of its sender holds it up, and arrives. */
  readonly #sent = Promise.withResolvers<void>();
  readonly #arrives = Promise.withResolvers<void>();
  #isOnWire = false;
  readonly #reconciler: InstallReconciler;

  constructor(term: string, agentImage: string) {
    const onWire: LeaderVerbs = {
      find: client.find.bind(client),
      create: client.create.bind(client),
      replace: client.replace.bind(client),
      replaceStatus: client.replaceStatus.bind(client),
      delete: client.delete.bind(client),
      patch: async (...[resource, name, patch, options]) => {
        if (this.#isOnWire) {
          this.#sent.resolve();
          await this.#arrives.promise;
        }
        return await client.patch(resource, name, patch, options);
      },
    };
    const signal = new AbortController().signal;
    this.#reconciler = new InstallReconciler({
      client: new TenureClient(onWire, { signal, isLeading: () => this.#isLeading }),
      namespace,
      agentImage,
      knobs: () => ({ metadata: { name: 'fast-config' }, data: this.#limits }),
      agents: () => this.#seen,
      term,
      pool: () => undefined,
      events: { record: () => undefined },
      metrics: new Metrics(),
      log: silentLog,
    });
  }

  knobs(data: Record<string, string>): this {
    this.#limits = data;
    return this;
  }

  /** What its watch shows follows at once. */
  async reconcile(): Promise<string> {
    this.#seen = await live();
    return said(await this.#reconciler.reconcile(new AbortController().signal));
  }

  /** Its write is still on the wire when it is no leader any more. */
  async sendSlowly(): Promise<{ arrive: () => Promise<string> }> {
    this.#seen = await live();
    this.#isOnWire = true;
    const end = this.#reconciler.reconcile(new AbortController().signal);
    await this.#sent.promise;
    this.#isLeading = false;
    return {
      arrive: async () => {
        this.#arrives.resolve();
        return said(await end);
      },
    };
  }
}

const said = (outcome: Outcome): string =>
  outcome.outcome === 'retryAfter' ? `retryAfter ${outcome.ms}` : outcome.outcome;

it('a former leader of the old release does not take the new image back', async () => {
  const former = await new Leader('second', 'agent:1').sendSlowly();
  await new Leader('third', 'agent:2').reconcile();
  expect(await former.arrive()).toBe('retryAfter 500');
  expect(await image()).toBe('agent:2');
});

it('nor where its successor found everything as it should be, since each term leaves its name', async () => {
  await new Leader('second', 'agent:2').reconcile();
  const former = await new Leader('third', 'agent:1').sendSlowly();
  const before = await live();
  await new Leader('fourth', 'agent:2').reconcile();
  const after = await live();
  expect(after?.metadata.annotations?.[termAnnotation]).toBe('fourth');
  // No rollout: the pods are the same.
  expect(after?.metadata.generation).toBe(before?.metadata.generation);
  expect(await former.arrive()).toBe('retryAfter 500');
  expect(await image()).toBe('agent:2');
});

it('a former leader whose write lands first is overwritten by the next', async () => {
  const former = await new Leader('second', 'agent:1').sendSlowly();
  const next = new Leader('third', 'agent:2');
  await former.arrive();
  expect(await next.reconcile()).toBe('retryAfter 300000');
  expect(await image()).toBe('agent:2');
});

it('one that was deleted a moment ago is not brought back by who had seen it', async () => {
  const former = await new Leader('second', 'agent:1').sendSlowly();
  await client.delete(daemonSets, 'fast-agent', { namespace });
  await former.arrive().catch(String);
  expect(await image()).toBe('none');
  await new Leader('third', 'agent:2').reconcile();
});

it('what others wrote into it stays, and a knob that is taken back goes', async () => {
  const leader = new Leader('second', 'agent:1').knobs({ 'agent-resources': 'limits: {memory: 256Mi}' });
  const restarted = {
    spec: { template: { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } } },
  };
  await client.patch(daemonSets, 'fast-agent', restarted, { type: 'merge', namespace });
  await leader.reconcile();
  expect(JSON.stringify((await live())?.spec)).toContain('"memory":"256Mi"');
  await leader.knobs({}).reconcile();
  const after = JSON.stringify((await live())?.spec);
  expect([after.includes('256Mi'), after.includes('restartedAt')]).toEqual([false, true]);
});
