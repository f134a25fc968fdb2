// SPDX-License-Identifier: Apache-2.0
// A kubelet and its container runtime, as far as addresses go: sandboxes come and go with their pods, and ADD and DEL are
// called late, twice or never. It knows of pods what it saw last.
import type { Pod } from '../../src/api/workloads.ts';
import type { AgentRequest, AgentResponse } from '../../src/protocol/messages.ts';
import { protocolVersion } from '../../src/protocol/messages.ts';
import { poolAnnotation, staticPodAnnotation } from '../../src/api/names.ts';
import { nodeKind, podKind } from '../../src/operator/kinds.ts';
import { identityOf, isFinished, isStaticIdentity, needOf } from '../../src/reconcilers/pod.ts';
import type { ApiServer } from './api-server.ts';
import type { Machine, PodFile, Sandbox } from './machine.ts';
import type { Random } from './random.ts';
import type { Trace } from './trace.ts';

const admin = { is: 'admin' } as const;
/** fast-cni's own limit, less its margin. */
const deadlineMs = 50_000;

export interface KubeletParts {
  readonly machine: Machine;
  readonly server: ApiServer;
  readonly random: Random;
  readonly trace: Trace;
  /** Whether it reaches the API server. */
  readonly isOnline: () => boolean;
  /** A sandbox has its address. */
  readonly onAdded: (sandbox: Sandbox) => void;
  /** Whether a person would start it anew. */
  readonly hasLost: (sandbox: Sandbox) => boolean;
}

type Deed = readonly [weight: number, run: () => void];

export class Kubelet {
  readonly #o: KubeletParts;
  #isDiligent = false;
  /** The pods of its node; undefined before it has seen them. */
  #seen: readonly Pod[] | undefined;
  /** Whom it has seen to their end, which it knows whatever it is told. */
  readonly #finished = new Set<string>();

  constructor(parts: KubeletParts) {
    this.#o = parts;
  }

  /** Does one thing of what there is to do, by chance. */
  act(): void {
    this.#isDiligent = false;
    const { random } = this.#o;
    random.weighted(this.#deeds())?.();
  }

  /** Does everything that there is to do, as it should be done. */
  tidy(): void {
    this.#isDiligent = true;
    for (const [, run] of this.#deeds()) run();
  }

  /** The agent is gone: whoever waits for its answer has lost the connection. */
  disconnected(): void {
    for (const sandbox of this.#o.machine.sandboxes.values()) {
      if (sandbox.state === 'adding') sandbox.state = 'down';
    }
  }

  #deeds(): Deed[] {
    const { machine } = this.#o;
    if (!machine.isOn) return [];
    const sandboxes = [...machine.sandboxes.values()];
    this.#look();
    return [
      ...this.#deedsOfFile(sandboxes),
      ...this.#deedsOfPods(this.#seen ?? [], sandboxes),
      ...sandboxes.flatMap((sandbox) => this.#deedsOf(sandbox, this.#seen)),
    ];
  }

  #look(): void {
    const { server, machine, random, isOnline } = this.#o;
    if (!isOnline() || (!this.#isDiligent && random.chance(0.6))) return;
    this.#seen = server.list(podKind, { fieldSelector: `spec.nodeName=${machine.name}` }).items;
  }

  /** As the API server has it now; undefined where that cannot be asked, or has another by this name. */
  #live({ metadata: { uid } }: Pod): Pod | undefined {
    const pods = this.#o.isOnline() ? this.#o.server.objects(podKind) : [];
    return pods.find((each) => each.metadata.uid === uid);
  }

  #deedsOfPods(pods: readonly Pod[], sandboxes: readonly Sandbox[]): Deed[] {
    const deeds: Deed[] = [];
    for (const pod of pods) {
      const own = sandboxes.filter((each) => each.pod.identity === identityOf(pod) && each.state !== 'down');
      const isMirror = isStaticIdentity(identityOf(pod));
      const hasFinished = this.#finished.has(identityOf(pod));
      const isWanted = needOf(pod) === 'address' && !hasFinished;
      if (hasFinished && !isFinished(pod)) deeds.push([4, () => this.#say(pod, { ...pod.status, phase: 'Succeeded' })]);
      if (isWanted && !isMirror && own.length === 0 && this.#o.machine.agent?.requests !== undefined) {
        deeds.push([6, () => this.#start({ ...pod.metadata, identity: identityOf(pod) })]);
      }
      if (pod.metadata.deletionTimestamp !== undefined && !isMirror && own.length === 0) {
        deeds.push([4, () => this.#remove(pod)]);
      }
      const up = own.find((each) => each.state === 'up');
      const isSaid = up === undefined || isFinished(pod) || pod.status?.podIP === up.address;
      if (!isSaid) deeds.push([5, () => this.#say(pod, { phase: 'Running', podIP: up.address })]);
    }
    return deeds;
  }

  #deedsOf(sandbox: Sandbox, pods: readonly Pod[] | undefined): Deed[] {
    const pod = pods?.find((each) => identityOf(each) === sandbox.pod.identity);
    switch (sandbox.state) {
      case 'adding':
        return this.#isDiligent ? [] : [[0.3, () => this.#hangUp(sandbox)]];
      case 'up':
        return this.#deedsOfRunning(sandbox, pod);
      case 'down':
        return this.#deedsOfEnded(sandbox);
    }
  }

  #deedsOfRunning(sandbox: Sandbox, pod: Pod | undefined): Deed[] {
    if (isStaticIdentity(sandbox.pod.identity)) return this.#deedsOfStatic(sandbox);
    if (pod === undefined || needOf(pod) !== 'address') return [[4, () => this.#end(sandbox, 'its pod ends')]];
    if (this.#isDiligent) return [];
    const finish = (): void => {
      this.#end(sandbox, 'its pod has done its work');
      this.#finished.add(sandbox.pod.identity);
      this.#say(pod, { ...pod.status, phase: 'Succeeded' });
    };
    return [
      [0.8, () => this.#end(sandbox, 'it crashed')],
      [0.2, finish],
    ];
  }

  /** Whatever becomes of its mirror, it runs. */
  #deedsOfStatic(sandbox: Sandbox): Deed[] {
    const { machine, hasLost } = this.#o;
    if (machine.file?.identity !== sandbox.pod.identity) return [[4, () => this.#end(sandbox, 'its file is gone')]];
    if (!this.#isDiligent) return [[0.8, () => this.#end(sandbox, 'it crashed')]];
    return hasLost(sandbox) ? [[1, () => this.#end(sandbox, 'it has no network any more')]] : [];
  }

  /** A static pod is started by its file alone, and its mirror is made again wherever it is missing. */
  #deedsOfFile(sandboxes: readonly Sandbox[]): Deed[] {
    const { machine, server, isOnline } = this.#o;
    const { file, name: nodeName } = machine;
    const deeds: Deed[] = [];
    const isThere = sandboxes.some(({ pod, state }) => pod.identity === file?.identity && state !== 'down');
    if (file !== undefined && !isThere && machine.agent?.requests !== undefined)
      deeds.push([6, () => this.#start({ ...file, namespace: 'default' })]);
    if (!isOnline()) return deeds;
    const mirror = server
      .objects(podKind)
      .find(({ metadata, spec }) => spec.nodeName === nodeName && metadata.annotations?.[staticPodAnnotation]);
    const isOurs = mirror !== undefined && identityOf(mirror) === file?.identity;
    const isLeaving = mirror?.metadata.deletionTimestamp !== undefined;
    // A kubelet whose node is gone makes no mirrors.
    const isNode = server.objects(nodeKind).some(({ metadata }) => metadata.name === nodeName);
    if (mirror !== undefined && (!isOurs || isLeaving)) deeds.push([4, () => this.#remove(mirror)]);
    else if (mirror === undefined && file !== undefined && isNode) deeds.push([4, () => this.#mirror(file)]);
    return deeds;
  }

  #mirror({ name, identity, pool }: PodFile): void {
    const { server, machine } = this.#o;
    const annotations = {
      [staticPodAnnotation]: identity,
      ...(pool === undefined ? {} : { [poolAnnotation]: pool }),
    };
    const metadata = { name, namespace: 'default', annotations };
    server.create(podKind, { metadata, spec: { nodeName: machine.name } }, admin);
  }

  #deedsOfEnded(sandbox: Sandbox): Deed[] {
    const { machine } = this.#o;
    const deeds: Deed[] = [];
    const hasAgent = machine.agent?.requests !== undefined;
    if (sandbox.needsDel && hasAgent) deeds.push([4, () => this.#del(sandbox)]);
    if (sandbox.isMounted) deeds.push([2, () => this.#unmount(sandbox)]);
    if (!sandbox.needsDel && !sandbox.isMounted) deeds.push([3, () => machine.sandboxes.delete(sandbox.id)]);
    if (this.#isDiligent) return deeds;
    if (sandbox.needsDel) deeds.push([0.5, () => this.#neverDel(sandbox)]);
    else if (hasAgent) deeds.push([0.5, () => this.#del(sandbox)]);
    return deeds;
  }

  #start({ namespace = '', name, identity }: { namespace?: string; name: string; identity: string }): void {
    const { machine, trace } = this.#o;
    const sandbox = machine.makeSandbox({ namespace, name, identity });
    trace.say(`${machine.name}: ADD ${sandbox.id} for ${this.#who(sandbox)}`);
    this.#ask('ADD', sandbox, (response) => this.#added(sandbox, response));
  }

  #added(sandbox: Sandbox, response: AgentResponse): void {
    const { machine, trace, onAdded } = this.#o;
    const { requests } = machine.agent ?? {};
    if (sandbox.gone.signal.aborted) {
      void requests?.undelivered(this.#request('ADD', sandbox), response);
      return;
    }
    if (sandbox.state !== 'adding') return;
    if (response.ok && response.result !== undefined) {
      sandbox.state = 'up';
      sandbox.address = response.result.address;
      trace.say(`${machine.name}: ${sandbox.id} is up with ${sandbox.address} for ${this.#who(sandbox)}`);
      onAdded(sandbox);
    } else {
      sandbox.state = 'down';
      trace.say(`${machine.name}: ADD ${sandbox.id} failed: ${response.ok ? '' : response.msg}`);
    }
  }

  #hangUp(sandbox: Sandbox): void {
    this.#o.trace.say(`${this.#o.machine.name}: nobody waits for ADD ${sandbox.id} any more`);
    sandbox.state = 'down';
    sandbox.gone.abort();
  }

  #end(sandbox: Sandbox, because: string): void {
    sandbox.state = 'down';
    this.#o.trace.say(
      `${this.#o.machine.name}: ${sandbox.id} of ${this.#who(sandbox)} with ${sandbox.address} ended: ${because}`,
    );
  }

  #del(sandbox: Sandbox): void {
    this.#o.trace.say(`${this.#o.machine.name}: DEL ${sandbox.id} of ${this.#who(sandbox)}`);
    this.#ask('DEL', sandbox, (response) => {
      if (response.ok) sandbox.needsDel = false;
    });
  }

  #neverDel(sandbox: Sandbox): void {
    this.#o.trace.say(`${this.#o.machine.name}: DEL of ${sandbox.id} never comes`);
    sandbox.needsDel = false;
  }

  #unmount(sandbox: Sandbox): void {
    this.#o.trace.say(`${this.#o.machine.name}: the namespace of ${sandbox.id} goes`);
    this.#o.machine.unmount(sandbox);
  }

  #remove(pod: Pod): void {
    const { server } = this.#o;
    const { name, namespace = '', uid = '' } = pod.metadata;
    if (this.#live(pod) === undefined) return;
    server.delete(podKind, name, { namespace, uid, gracePeriodSeconds: 0 }, admin);
  }

  #say(pod: Pod, status: Pod['status'] & object): void {
    const live = this.#live(pod);
    if (live !== undefined) this.#o.server.replace(podKind, { ...live, status }, admin, 'status');
  }

  /** An answer of an agent that died meanwhile comes to nobody. */
  #ask(command: 'ADD' | 'DEL', sandbox: Sandbox, hear: (response: AgentResponse) => void): void {
    const { machine } = this.#o;
    const { agentProcess } = machine;
    const answer = machine.agent?.requests?.handle(this.#request(command, sandbox), sandbox.gone.signal);
    const heard = (response: AgentResponse): void => {
      if (agentProcess.isAlive && machine.sandboxes.has(sandbox.id)) hear(response);
    };
    answer?.then(heard, (error: unknown) => heard({ ok: false, code: 999, msg: String(error) }));
  }

  #request(command: 'ADD' | 'DEL', { id, path, pod }: Sandbox): AgentRequest {
    const { namespace, name, identity: uid } = pod;
    const at = { containerId: id, netns: path, ifName: 'eth0', pod: { namespace, name, uid } };
    return { protocol: protocolVersion, command, ...at, deadlineMs };
  }

  #who({ pod }: Sandbox): string {
    return `pod ${pod.namespace}/${pod.name} (${pod.identity})`;
  }
}
