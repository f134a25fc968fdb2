// SPDX-License-Identifier: Apache-2.0
// One seed of the informer's trial: objects come, change and go in a namespace of its own, while everything between the
// informer and a real API server goes wrong as the seed has drawn it. A witness keeps what the informer told.
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from '../../src/kube/client.ts';
import { connect } from '../../src/kube/client.ts';
import { Informer, type InformerEvent } from '../../src/kube/informer.ts';
import { type Log, silentLog } from '../../src/kube/log.ts';
import type { Metrics } from '../../src/kube/metrics.ts';
import { type ConfigMap, configMaps, namespaces } from '../../src/kube/resources.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { randomOf } from '../random.ts';
import { eventually } from './hollow-cluster.ts';
import { type Answer, type Blow, FaultProxy, status, stream } from './kube-fault-proxy.ts';

const tooOld = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
/** By name, so that the trial can count what it has met. */
const faults: Readonly<Record<string, (random: () => number) => Answer | Blow>> = {
  '410': () => status(410, 'Expired'),
  '410 in the stream': () => stream(`${JSON.stringify({ type: 'ERROR', object: tooOld })}\n`),
  '429': () => status(429, 'TooManyRequests', { 'retry-after': '1' }),
  '500': () => status(500, 'InternalError'),
  '503': () => status(503, 'ServiceUnavailable'),
  delay: (random) => ({ delayMs: Math.ceil(random() * 150) }),
  'a torn answer': (random) => ({ bytes: Math.ceil(random() * 3000), then: 'reset' }),
  'a short answer': (random) => ({ bytes: Math.ceil(random() * 3000), then: 'end' }),
  silence: (random) => ({ bytes: Math.ceil(random() * 3000), then: 'silence' }),
};

export const faultNames: readonly string[] = Object.keys(faults);

/** Follows what is told of each object (by uid, so of each life of a name) and keeps what must not be. */
class Witness {
  readonly wrongs: string[] = [];
  readonly alive = new Map<string, string>();
  readonly ended = new Set<string>();

  see({ type, object: { metadata } }: InformerEvent<ConfigMap>): void {
    const { uid = '', name = '' } = metadata;
    const isAlive = this.alive.has(uid);
    if (this.ended.has(uid) || isAlive !== (type !== 'added')) {
      this.wrongs.push(`${type} ${name}, which was ${isAlive ? 'there' : 'not there'}`);
    }
    if (type === 'deleted') {
      this.alive.delete(uid);
      this.ended.add(uid);
    } else {
      this.alive.set(uid, name);
    }
  }
}

export interface Trial {
  readonly server: ApiServer;
  /** Straight to the server: the world's side of each story. */
  readonly world: KubeClient;
  readonly metrics: Metrics;
  /** How often each fault was met. */
  readonly met: Map<string, number>;
}

const names = ['a', 'b', 'c', 'd', 'e', 'f'];

export class InformerStory {
  readonly #trial: Trial;
  readonly #seed: number;
  readonly #random: () => number;
  readonly #namespace: string;
  readonly #witness = new Witness();
  readonly #proxy: FaultProxy;
  readonly #client: KubeClient;
  readonly #informer: Informer<ConfigMap>;
  /** What the informer logged. */
  readonly #said: string[] = [];

  private constructor(trial: Trial, seed: number, proxy: FaultProxy) {
    this.#trial = trial;
    this.#seed = seed;
    this.#random = randomOf(seed);
    this.#namespace = `seed-${seed}`;
    this.#proxy = proxy;
    this.#client = connect({ kubeconfig: proxy.kubeconfig, fieldManager: 'informer' });
    this.#informer = new Informer({
      client: this.#client,
      resource: configMaps,
      namespace: this.#namespace,
      pageSize: 2,
      // Impatience finds a lost deletion by itself, so only those seeds have it whose server goes silent.
      silenceMs: this.#goesSilent ? 300 : 60_000,
      listTimeoutMs: this.#goesSilent ? 300 : 60_000,
      backoff: { baseMs: 5, maxMs: 50 },
      metrics: trial.metrics,
      log: this.#log(),
      random: randomOf(seed + 1),
    });
    this.#informer.on((event) => this.#witness.see(event));
  }

  static async begin(trial: Trial, seed: number): Promise<InformerStory> {
    const namespace = `seed-${seed}`;
    await trial.world.create(namespaces, { metadata: { name: namespace } });
    for (const name of names) await trial.world.create(configMaps, { metadata: { name, namespace } });
    return new InformerStory(trial, seed, await FaultProxy.start(trial.server));
  }

  get #goesSilent(): boolean {
    return this.#seed % 4 >= 2;
  }

  get #streams(): boolean {
    return this.#seed % 2 === 0;
  }

  /** Things happen, in the world and to the line. */
  async play(steps: number): Promise<void> {
    this.#proxy.fate = (line) => this.#fate(line);
    this.#informer.start();
    for (let step = 0; step < steps; step += 1) {
      await this.#act();
      if (this.#random() < 0.3) this.#proxy.dropConnections();
      await sleep(this.#random() * 40);
    }
  }

  /**
   * All is well from now on: once the mirror shows the newest object, it must show everything, each told exactly once.
   * Answers what is wrong, in words; nothing if nothing.
   */
  async judge(): Promise<string[]> {
    this.#proxy.fate = (line) => this.#refusal(line);
    await this.#trial.world.create(configMaps, { metadata: { name: 'end', namespace: this.#namespace } });
    const heard = async () => this.#informer.get('end', this.#namespace);
    await eventually('the end', heard).catch(() => {
      const [seen, said] = [this.#proxy.seen.slice(-5), this.#said.slice(-5)].map((lines) => lines.join('\n'));
      throw new Error(`seed ${this.#seed} did not hear of the end\n${said}\n${seen}`);
    });
    const { items } = await this.#trial.world.list(configMaps, { namespace: this.#namespace });
    const { alive, wrongs } = this.#witness;
    const compared = [
      ['shows', shown(this.#informer.list()), shown(items)],
      ['told', [...alive.keys()].sort().join(), uidsOf(items)],
    ] as const;
    const differing = compared.filter(([, ours, theirs]) => ours !== theirs);
    const unequal = differing.map(([what, ours, theirs]) => `${what} ${ours}, and the server has ${theirs}`);
    return [...wrongs, ...unequal].map((wrong) => `seed ${this.#seed}: ${wrong}`);
  }

  /** Answers how many deletions were told. */
  async end(): Promise<number> {
    await this.#informer.stop();
    await this.#client.close();
    await this.#proxy.stop();
    return this.#witness.ended.size;
  }

  async #act(): Promise<void> {
    const { world } = this.#trial;
    const name = names[Math.floor(this.#random() * names.length)] ?? 'a';
    const [namespace, roll] = [this.#namespace, this.#random()];
    const data = { step: `${roll}` };
    try {
      if (roll < 0.45) await world.delete(configMaps, name, { namespace });
      else if (roll < 0.6) await world.patch(configMaps, name, { data }, { type: 'merge', namespace });
      else await world.create(configMaps, { metadata: { name, namespace }, data });
    } catch {
      // There already, or not there: the world is what it is.
    }
  }

  #log(): Log {
    const say = (fields: { err?: unknown }, message: string): number =>
      this.#said.push(`${message}: ${String(fields.err)}`);
    return { ...silentLog, info: say, warn: say, error: say, child: () => this.#log() };
  }

  #fate(line: string): Answer | Blow | undefined {
    const refusal = this.#refusal(line);
    if (refusal !== undefined || this.#random() < 0.4) return refusal;
    const known = faultNames.filter((name) => this.#goesSilent || name !== 'silence');
    const name = known[Math.floor(this.#random() * known.length)] ?? '500';
    this.#trial.met.set(name, (this.#trial.met.get(name) ?? 0) + 1);
    return faults[name]?.(this.#random);
  }

  /** Every other seed's server cannot stream lists. */
  #refusal(line: string): Answer | undefined {
    return !this.#streams && line.includes('sendInitialEvents') ? status(422, 'Invalid') : undefined;
  }
}

function shown(all: readonly ConfigMap[]): string {
  const lines = all.map(({ metadata: { name, uid, resourceVersion }, data }) =>
    [name, uid, resourceVersion, data?.['step']].join(' '),
  );
  return lines.sort().join();
}

function uidsOf(all: readonly ConfigMap[]): string {
  const uids = all.map(({ metadata }) => metadata.uid ?? '');
  return uids.sort().join();
}
