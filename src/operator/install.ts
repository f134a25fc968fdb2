// SPDX-License-Identifier: Apache-2.0
// What the install's one ConfigMap and the controller's environment ask for besides addresses: the agents' DaemonSet,
// and the pool of the nodes' own overlay addresses where there is none.
import { Gauge } from 'prom-client';
import type { Ips } from '../api/generated/ips.ts';
import { type KnobProblem, nodePoolSpecOf, readKnobs, resourcesKey, sayProblem } from '../api/knobs.ts';
import { agentName, apiVersion, configMapName, controllerName, nodePool, termAnnotation } from '../api/names.ts';
import type { OwnerReference } from '../api/object.ts';
import { isReason } from '../kube/errors.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Log } from '../kube/log.ts';
import type { Metrics } from '../kube/metrics.ts';
import { type ConfigMap, type DaemonSet, daemonSets, deployments } from '../kube/resources.ts';
import type { Outcome } from '../reconcilers/ports.ts';
import { done, retryAfter } from '../reconcilers/ports.ts';
import { agentDaemonSet, type AgentFacts } from './agent-daemonset.ts';
import { poolKind } from './kinds.ts';
import { policyProblems } from './policies.ts';
import type { LeaderVerbs } from './tenure.ts';

/** Nobody tells us of a policy that somebody removed. */
const POLICY_RECHECK_MS = 300_000;
/** The watch shows within this what made the API server refuse a write. */
const CONFLICT_RETRY_MS = 500;

export interface InstallWorld {
  readonly client: LeaderVerbs;
  readonly namespace: string;
  readonly agentImage?: string;
  /** The ConfigMap as the watch shows it. */
  readonly knobs: () => ConfigMap | undefined;
  /** The agents' DaemonSet, likewise. */
  readonly agents: () => DaemonSet | undefined;
  /** Names this term of leadership and no other. */
  readonly term: string;
  readonly pool: (name: string) => Ips | undefined;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly metrics: Metrics;
  readonly log: Log;
}

export class InstallReconciler {
  readonly #world: InstallWorld;
  readonly #policyProblems: Gauge;
  /** What was said of the policies last. */
  #said = '';
  #saidKnobs = '';
  #wasOwned = false;

  constructor(world: InstallWorld) {
    this.#world = world;
    this.#policyProblems = new Gauge({
      name: 'fast_admission_policy_problems',
      help: 'Admission policies and bindings that are missing or do not bite; above 0 an agent can write for other nodes',
      registers: [world.metrics.registry],
    });
  }

  /** Each part for itself: what keeps one from its end must not keep the others. */
  async reconcile(signal: AbortSignal): Promise<Outcome> {
    const failures: unknown[] = [];
    const attempt = async <T>(work: Promise<T>, otherwise: T): Promise<T> => {
      try {
        return await work;
      } catch (error) {
        failures.push(error);
        return otherwise;
      }
    };
    const ofAgents = await attempt(this.#agents(signal), []);
    const { outcome, problems } = await attempt(this.#nodePool(signal), { outcome: done, problems: [] });
    await attempt(this.#sayKnobs([...ofAgents, ...problems], signal), undefined);
    await attempt(this.#lookAtPolicies(signal), undefined);
    const failure = failures.find((each) => !isReason(each, 'conflict')) ?? failures[0];
    if (isReason(failure, 'conflict'))
      return retryAfter(CONFLICT_RETRY_MS, 'the DaemonSet of the agents changed meanwhile');
    if (failures.length > 0) throw failure;
    return outcome.outcome === 'done' ? retryAfter(POLICY_RECHECK_MS, 'a policy may be removed') : outcome;
  }

  /** A log line and an event when it changes, and a metric, which is what an alert is made of. */
  async #lookAtPolicies(signal: AbortSignal): Promise<void> {
    const { client, namespace, log, events } = this.#world;
    const problems = await policyProblems(client, namespace, signal);
    this.#policyProblems.set(problems.length);
    const text = problems.join('; ');
    if (text === this.#said) return;
    this.#said = text;
    if (text === '') {
      log.info({}, 'the admission policies are as they should be again');
      return;
    }
    log.warn({ problems }, 'an agent can write for other nodes; kubectl apply -k config/policy');
    const owner = await this.#owner(signal);
    const note = `An agent can write for other nodes: ${text}. kubectl apply -k config/policy`;
    const regarding = owner === undefined ? { kind: 'Namespace', name: namespace } : { ...owner, namespace };
    events.record({ regarding, type: 'Warning', reason: 'AdmissionPolicyProblem', note, action: 'CheckPolicies' });
  }

  /** Answers what is wrong with the knobs; without those the agents are rolled out. */
  async #agents(signal: AbortSignal): Promise<readonly KnobProblem[]> {
    const { namespace, agentImage: image, knobs } = this.#world;
    if (image === undefined) return [];
    const owner = await this.#owner(signal);
    // Our own Deployment was deleted and we are on our way out: what we make now nobody would take away.
    if (owner === undefined && this.#wasOwned) return [];
    this.#wasOwned = owner !== undefined;
    const { args, resources, problems } = readKnobs(knobs()?.data);
    const facts = { namespace, image, args, ...(owner === undefined ? {} : { owner }) };
    if (resources === undefined) {
      await this.#roll(facts, signal);
      return problems;
    }
    try {
      await this.#roll({ ...facts, resources }, signal);
      return problems;
    } catch (error) {
      if (!isReason(error, 'invalid', 'badRequest')) throw error;
      // The quantities are the API server's to judge. Where they are not to blame this throws again.
      await this.#roll(facts, signal);
      return [...problems, { key: resourcesKey, says: `not taken; ${String(error).slice(0, 300)}` }];
    }
  }

  /**
   * Server-side apply: fields that others own, such as a status, are left to them. A former leader that was paused before
   * the send must not bring its own image back, so that the write is fenced by what the watch showed while we led, and each
   * term leaves its name: the first write of a leader is a change even where all the rest is as it should be, and what was
   * sent on an older view is refused from then on. Only the making of one that is not there goes unfenced; the watch tells
   * of it, and it is overwritten.
   */
  async #roll(facts: AgentFacts, signal: AbortSignal): Promise<void> {
    const { client, agents, term } = this.#world;
    const { metadata, ...rest } = agentDaemonSet(facts);
    // Read in the same breath in which the client asks whether we lead. The UID is for one that is gone: an apply makes it
    // anew whatever resourceVersion it names.
    const { uid, resourceVersion } = agents()?.metadata ?? {};
    const fence = uid === undefined || resourceVersion === undefined ? {} : { uid, resourceVersion };
    const annotations = { [termAnnotation]: term };
    const wanted = { ...rest, metadata: { ...metadata, annotations, ...fence } };
    const options = { type: 'apply' as const, namespace: facts.namespace, force: true };
    await client.patch(daemonSets, agentName, wanted, options, { signal });
  }

  /** Once for each set of wrong values. */
  async #sayKnobs(wrong: readonly KnobProblem[], signal: AbortSignal): Promise<void> {
    const { namespace, log, events } = this.#world;
    const problems = wrong.map(sayProblem);
    const text = problems.join('; ');
    if (text === this.#saidKnobs) return;
    this.#saidKnobs = text;
    if (text === '') return;
    const owner = await this.#owner(signal);
    log.warn({ problems }, `the ConfigMap ${configMapName} has entries that are not taken`);
    const regarding = owner === undefined ? { kind: 'Namespace', name: namespace } : { ...owner, namespace };
    const note = `ConfigMap ${configMapName}, key ${text}${text.endsWith('?') ? '' : '.'} The other entries are in force.`;
    events.record({ regarding, type: 'Warning', reason: 'InvalidKnob', note, action: 'ReadKnobs' });
  }

  async #owner(signal: AbortSignal): Promise<OwnerReference | undefined> {
    const deployment = await this.#world.client.find(deployments, controllerName, this.#world.namespace, { signal });
    const uid = deployment?.metadata.uid;
    return uid === undefined ? undefined : { apiVersion: 'apps/v1', kind: 'Deployment', name: controllerName, uid };
  }

  /** One `kubectl apply` cannot send a CRD and an object of its kind together, so the pool comes by the ConfigMap. */
  async #nodePool(signal: AbortSignal): Promise<{ outcome: Outcome; problems: readonly KnobProblem[] }> {
    const { client, knobs, pool, log } = this.#world;
    const text = knobs()?.data?.[nodePool];
    if (text === undefined || pool(nodePool) !== undefined) return { outcome: done, problems: [] };
    const spec = nodePoolSpecOf(text);
    if ('says' in spec) return refusedPool(spec);
    try {
      const made: Ips = { apiVersion, kind: 'Ips', metadata: { name: nodePool }, spec: { ...spec, usage: 'Node' } };
      await client.create(poolKind, made, { signal });
      log.info({ pool: nodePool }, 'created the pool of the nodes, as the ConfigMap says');
    } catch (error) {
      if (isReason(error, 'notFound')) {
        return { outcome: retryAfter(2_000, 'the CRD of Ips is not served yet'), problems: [] };
      }
      if (isReason(error, 'invalid', 'badRequest')) {
        const says = `not taken, so nodes get no address; ${String(error).slice(0, 300)}`;
        return refusedPool({ key: nodePool, says });
      }
      if (!isReason(error, 'alreadyExists')) throw error;
    }
    return { outcome: done, problems: [] };
  }
}

/** Only another text in the ConfigMap helps, and that wakes us. */
function refusedPool(problem: KnobProblem): { outcome: Outcome; problems: readonly KnobProblem[] } {
  return { outcome: done, problems: [problem] };
}
