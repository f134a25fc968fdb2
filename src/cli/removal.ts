// SPDX-License-Identifier: Apache-2.0
// The removal of Fast, step by step. The agents first, since nobody else can clean a node; then what would make anything
// again; then the objects. Each step may be done already: the whole can be run again wherever it was stopped.
import type { NodeEndpoint } from '../api/generated/node-endpoint.ts';
import { agentName, controllerName, installNamespace, removalAnnotation } from '../api/names.ts';
import { isReason } from '../kube/errors.ts';
import { type KubeObject, resource } from '../kube/object.ts';
import { pods } from '../kube/resources.ts';
import { sayDuration } from './duration.ts';
import { agents, controller, type Installed, guards, kinds, rest } from './installed.ts';
import { allOf, endpointKind, poolKind } from './kinds.ts';
import { FoundObjects, madeAnew } from './made-anew.ts';
import {
  absentOf,
  isRemoved,
  removedOf,
  sayAbsent,
  type Standing,
  standingOf,
  uninstallLine,
} from './node-standing.ts';
import { mute } from './sign-of-life.ts';
import type { Cluster, Surroundings } from './surroundings.ts';

const pollMs = 500;
/** Where a wait takes longer than this, it says what for, and again from time to time. */
const firstWordMs = 2_000;
const wordEveryMs = 10_000;
/** Between an agent that ended and the next, its node has none for a moment. */
const replacementMs = 3_000;

export interface RemovalOptions {
  /** How long all agents together, and later all objects together, may take. */
  readonly timeoutMs: number;
  /** Nodes that are left as they are: nobody is there to clean them. */
  readonly without: readonly string[];
}

/** OLM makes again what it is not told to forget. */
const operators = 'operators.coreos.com';
const clusterServiceVersions = resource(
  operators,
  'v1alpha1',
  'clusterserviceversions',
  'ClusterServiceVersion',
  'namespaced',
);
interface Subscription extends KubeObject {
  spec?: { name?: string };
}
const subscriptions = resource<Subscription>(operators, 'v1alpha1', 'subscriptions', 'Subscription', 'namespaced');

/** What an install by OLM has beside the objects of `installed`. */
export async function operatorObjects(cluster: Pick<Cluster, 'list'>): Promise<Installed[]> {
  const subscribed = (await allOf(cluster, subscriptions)).filter(({ spec }) => spec?.name === 'fast');
  // OLM copies a version into every namespace; the copies go with it.
  const versions = (await allOf(cluster, clusterServiceVersions)).filter(
    ({ metadata: { name = '', namespace } }) => name.startsWith('fast.v') && namespace === installNamespace,
  );
  const installedAs = (of: Installed['resource'], { name = '', namespace = '' }: KubeObject['metadata']): Installed => {
    return { resource: of, name, namespace };
  };
  return [
    ...subscribed.map(({ metadata }) => installedAs(subscriptions, metadata)),
    ...versions.map(({ metadata }) => installedAs(clusterServiceVersions, metadata)),
  ];
}

type Say = (line: string) => void;

function shortList(names: readonly string[]): string {
  return `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
}

export class Removal {
  readonly #cluster: Cluster;
  readonly #s: Pick<Surroundings, 'nowMs' | 'sleep' | 'stopped'>;
  readonly #o: RemovalOptions;
  readonly #say: Say;
  #untouched: readonly string[] = [];
  #saidAbsent = '';
  readonly #found = new FoundObjects();

  constructor(
    cluster: Cluster,
    surroundings: Pick<Surroundings, 'nowMs' | 'sleep' | 'stopped'>,
    o: RemovalOptions,
    say: Say,
  ) {
    this.#cluster = cluster;
    this.#s = surroundings;
    this.#o = o;
    this.#say = say;
  }

  /**
   * `standing` is that of the nodes before it.
   * @throws Error that says what stands in the way and how to go on
   */
  async run(standing: Standing): Promise<void> {
    this.#untouched = standing.untouched;
    await this.#needAgents();
    const settled = await this.#settled(standing);
    this.#needNodes(settled);
    await this.#needLife(settled);
    await this.#cleanNodes();
    await this.#forgetOperator();
    await this.#deleteAll('controller', [controller]);
    await this.#until('the pods of the controller', () => this.#podsLeft(controllerName));
    await this.#cleanLateNodes();
    await this.#deleteAll('admission policies', guards);
    await this.#deleteAll('agents', [agents]);
    await this.#until('the pods of the agents', () => this.#podsLeft(agentName));
    await this.#releasePools();
    await this.#deleteAll('kinds with all their objects', kinds);
    await this.#deleteAll('rights and namespace', rest);
    await this.#until('the objects', () => this.#objectsLeft([...kinds, ...rest]));
  }

  async #endpoints(): Promise<NodeEndpoint[]> {
    const all = await allOf(this.#cluster, endpointKind);
    const left = [...this.#o.without, ...this.#untouched];
    return all.filter(({ metadata }) => !left.includes(metadata.name));
  }

  /** @throws Error where nobody is there, nor will be, who could clean a node: waiting would not help */
  async #needAgents(): Promise<void> {
    const dirty = (await this.#endpoints()).filter((endpoint) => !isRemoved(endpoint)).map((one) => one.metadata.name);
    if (dirty.length === 0) return;
    for (const { resource: of, name, namespace } of [agents, controller]) {
      if ((await this.#cluster.find(of, name, namespace)) !== undefined) return;
    }
    throw new Error(
      `there are no agents, and nobody else can clean a node: ${shortList(dirty)}. Bring them back by kubectl apply -k config/default and run it again, or leave a node as it is by --without NODE, all of them by ${uninstallLine(this.#o.without, { off: dirty, withoutAgent: [] })}`,
    );
  }

  /** A second look where an agent is missing. */
  async #settled(standing: Standing): Promise<Standing> {
    if (absentOf(this.#o.without, { ...standing, off: [] }).length === 0) return standing;
    await this.#s.sleep(replacementMs);
    return standingOf(this.#cluster, this.#s.nowMs());
  }

  /** @throws Error where a node cannot take part: pods of the others would lose their network for what comes to no end */
  #needNodes(standing: Standing): void {
    const { without } = this.#o;
    const absent = absentOf(without, standing);
    if (absent.length === 0) return;
    const [them, are] = absent.length === 1 ? ['it', 'it is'] : ['them', 'they are'];
    const again = uninstallLine(without, { off: [], withoutAgent: [] });
    const cure = `Once ${are} back: ${again}. To leave ${them} as ${are}: ${uninstallLine(without, standing)}`;
    throw new Error(`not begun, since not every node can be cleaned now.\n${sayAbsent(without, standing)}${cure}`);
  }

  /** @throws Error where a node that looks well says nothing, such as one whose power was cut a moment ago */
  async #needLife(standing: Standing): Promise<void> {
    const dirty = standing.dirty.filter((name) => !this.#o.without.includes(name));
    const silent = dirty.length === 0 ? [] : await mute(this.#cluster, this.#s, dirty, this.#say);
    this.#needNodes({ ...standing, off: [...new Set([...standing.off, ...silent])] });
  }

  /** Agents that started while the others were asked, as some seconds after an install. No controller makes further ones. */
  async #cleanLateNodes(): Promise<void> {
    const { dirty, untouched } = await standingOf(this.#cluster, this.#s.nowMs());
    this.#untouched = untouched;
    const late = dirty.filter((name) => !this.#o.without.includes(name));
    if (late.length === 0) return;
    this.#say(`an agent came meanwhile to ${shortList(late)}`);
    await this.#cleanNodes();
  }

  async #cleanNodes(): Promise<void> {
    for (const { metadata } of await this.#endpoints()) {
      // Who was not asked is named below with the others.
      if (this.#s.stopped.aborted) break;
      const patch = { metadata: { annotations: { [removalAnnotation]: 'true' } } };
      await this.#cluster.patch(endpointKind, metadata.name, patch, { type: 'merge' });
    }
    const told = new Set<string>();
    await this.#until('the nodes', async () => {
      const late: string[] = [];
      const all = await this.#endpoints();
      for (const endpoint of all) {
        const { name } = endpoint.metadata;
        const said = removedOf(endpoint);
        if (said?.status !== 'True') late.push(`${name} (${said?.message ?? 'its agent has not answered'})`);
        else if (!told.has(name)) this.#say(`node ${told.add(name).size} of ${all.length}, ${name}: ${said.message}`);
      }
      return late;
    });
  }

  async #forgetOperator(): Promise<void> {
    for (const one of await operatorObjects(this.#cluster)) await this.#delete(one);
  }

  /** The finalizer keeps a pool in use from being deleted; nobody is left who would take it off. */
  async #releasePools(): Promise<void> {
    const pools = await allOf(this.#cluster, poolKind);
    for (const { metadata } of pools.filter((pool) => (pool.metadata.finalizers ?? []).length > 0)) {
      const patch = { metadata: { finalizers: null } };
      await this.#gone(() => this.#cluster.patch(poolKind, metadata.name, patch, { type: 'merge' }));
    }
  }

  async #deleteAll(what: string, objects: readonly Installed[]): Promise<void> {
    if (this.#s.stopped.aborted) throw new Error(`stopped before the step "${what}".\n${await this.#wayOn()}`);
    let count = 0;
    for (const one of objects) {
      await this.#found.note(this.#cluster, one);
      if (await this.#delete(one)) count += 1;
    }
    this.#say(count === 0 ? `${what}: none left` : `${what}: ${count} deleted`);
  }

  #delete({ resource: of, name, namespace }: Installed): Promise<boolean> {
    const where = namespace === undefined ? {} : { namespace };
    return this.#gone(() => this.#cluster.delete(of, name, { ...where, propagation: 'Background' }));
  }

  /** Whether there was something to do it to. */
  async #gone(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (isReason(error, 'notFound')) return false;
      throw error;
    }
  }

  /**
   * A kubelet that is off never says that a pod has ended: it would stay Terminating, and its namespace with it. Only what is
   * being deleted already is let go, or its owner would make it anew.
   */
  async #letPodsGo(): Promise<void> {
    if (this.#o.without.length === 0) return;
    const { items } = await this.#cluster.list(pods, { namespace: installNamespace });
    for (const { metadata, spec } of items) {
      const { name = '', uid, deletionTimestamp } = metadata;
      const node = spec?.nodeName ?? '';
      if (deletionTimestamp === undefined || !this.#o.without.includes(node)) continue;
      const options = { namespace: installNamespace, gracePeriodSeconds: 0, ...(uid === undefined ? {} : { uid }) };
      const isDone = await this.#gone(() => this.#cluster.delete(pods, name, options));
      if (isDone) this.#say(`pod ${name} on ${node}: deleted with gracePeriodSeconds 0, not waiting for its node`);
    }
  }

  async #podsLeft(name: string): Promise<string[]> {
    await this.#letPodsGo();
    const labelSelector = `app.kubernetes.io/name=${name}`;
    const { items } = await this.#cluster.list(pods, { namespace: installNamespace, labelSelector });
    return items.map(({ metadata: { name = '' }, spec }) => `${name} on ${spec?.nodeName ?? 'no node yet'}`);
  }

  /** @throws Error where one of them is another than was deleted */
  async #objectsLeft(objects: readonly Installed[]): Promise<string[]> {
    await this.#letPodsGo();
    const left: string[] = [];
    const anew: string[] = [];
    for (const one of objects) {
      const { resource: of, name, namespace } = one;
      const found = await this.#cluster.find(of, name, namespace);
      if (found === undefined) continue;
      (this.#found.isAnew(one, found.metadata.uid) ? anew : left).push(`${of.plural} ${name}`);
    }
    if (anew.length > 0) throw madeAnew(anew, left);
    return left;
  }

  /** Nodes that went off since the beginning, as soon as it is known: nobody needs to wait for them to the end. */
  async #sayAbsent(): Promise<void> {
    const absent = sayAbsent(this.#o.without, await standingOf(this.#cluster, this.#s.nowMs())).trimEnd();
    if (absent !== '' && absent !== this.#saidAbsent) this.#say(absent);
    this.#saidAbsent = absent;
  }

  /** The command that can come to its end as things are now. */
  async #wayOn(left: readonly string[] = []): Promise<string> {
    const { without } = this.#o;
    const standing = await standingOf(this.#cluster, this.#s.nowMs());
    const absent = sayAbsent(without, standing);
    // No node can be what the namespace alone waits for, or it would be absent.
    const isNamespace = left.length > 0 && left.every((one) => one.startsWith('namespaces '));
    const hint = absent === '' && !isNamespace ? '; a node that is gone or off is left out by --without NODE' : '';
    return `${absent}To go on: ${uninstallLine(without, standing)}${hint}`;
  }

  /** Asks until nothing is left of it. */
  async #until(what: string, leftOf: () => Promise<string[]>): Promise<void> {
    const endMs = this.#s.nowMs() + this.#o.timeoutMs;
    let sayAtMs = this.#s.nowMs() + firstWordMs;
    for (;;) {
      const left = await leftOf();
      if (left.length === 0) return;
      const list = shortList(left);
      if (this.#s.stopped.aborted)
        throw new Error(`stopped; ${what} still to do: ${list}.\n${await this.#wayOn(left)}`);
      if (this.#s.nowMs() >= endMs) {
        const late = `${what} are not done after ${this.#o.timeoutMs / 1000} s: ${list}.`;
        throw new Error(`${late}\n${await this.#wayOn(left)}`);
      }
      if (this.#s.nowMs() >= sayAtMs) {
        sayAtMs = this.#s.nowMs() + wordEveryMs;
        this.#say(`waiting for ${what}, ${sayDuration(endMs - this.#s.nowMs())} more at most: ${list}`);
        await this.#sayAbsent();
      }
      await this.#s.sleep(pollMs);
    }
  }
}
