// SPDX-License-Identifier: Apache-2.0
// What stands behind the sender's half of a trace: whether the other node is there, what it does with the packet, and who
// answers at an address of its own. What may not be asked is said, with how it is asked elsewhere.
import { decodeClusterPod, type RawEntry } from '../datapath/codecs.ts';
import { endpointKind } from './kinds.ts';
import { NodeSilent } from './node-exec.ts';
import { sayNodePort } from './node-ports.ts';
import { sayRefused } from './refusal.ts';
import { atCluster } from './same-cluster.ts';
import { type Cluster, type ClusterChoice, Ended, type Surroundings } from './surroundings.ts';
import { type NodeState, stateOfNode } from './trace-node.ts';
import type { Question, Step } from './trace-steps.ts';
import { arrivalThere, receivingWords } from './trace-there.ts';

export interface Beyond {
  readonly surroundings: Pick<Surroundings, 'nowMs' | 'stopped'>;
  readonly cluster: () => Promise<Cluster>;
  readonly choice: ClusterChoice;
  /** Whether the account is that of the pod in which this runs: it may run nothing elsewhere. */
  readonly isPodAccount: boolean;
  /** The entries of this node's own map, where the sender's half was looked at here. */
  readonly clusterPods?: () => Promise<RawEntry[]>;
}

type Sent = NonNullable<Step['toNode']>;

/** The node at an address, as far as this account may know it. */
interface Known {
  readonly cluster: Cluster;
  readonly name: string;
  readonly state: NodeState;
}

const patienceMs = 5_000;
const podAccount = "a pod's account runs nothing on other nodes; your own kubeconfig can, without --node";

/** The steps behind the last one of the sender's half. */
export async function stepsBeyond(own: readonly Step[], question: Question, beyond: Beyond): Promise<Step[]> {
  const { outcome, toNode } = own.at(-1) ?? {};
  const { address: destination, port } = question.backend ?? { ...question, address: question.destination };
  const asked = { ...question, destination, port };
  if (toNode !== undefined) return new Receiver(toNode.address, asked, beyond).steps(toNode);
  if (outcome !== 'leaves' && outcome !== 'host') return [];
  return new Machine(destination, asked, beyond).steps(outcome === 'host');
}

abstract class OtherNode {
  protected readonly q: Question;
  protected readonly beyond: Beyond;
  readonly #address: string;

  constructor(address: string, question: Question, beyond: Beyond) {
    this.#address = address;
    this.q = question;
    this.beyond = beyond;
  }

  protected step(what: string, node?: string): Step {
    return { kind: 'node', where: this.#address, what, ...(node === undefined ? {} : { node }) };
  }

  protected whyOf(error: unknown): string {
    const said = sayRefused(error, this.beyond.isPodAccount);
    return said ?? (error instanceof Error ? error.message : String(error));
  }

  /** By its own end of the tunnel, which is the node's address. @throws Error where nobody may be asked */
  protected async known(): Promise<Known | undefined> {
    const cluster = await this.beyond.cluster();
    const { items } = await cluster.list(endpointKind, {}, { timeoutMs: patienceMs });
    const found = items.find(({ spec }) => spec.tunnelAddress === this.#address);
    if (found === undefined) return undefined;
    const state = await stateOfNode(cluster, found, this.beyond.surroundings.nowMs());
    return { cluster, name: found.metadata.name, state };
  }

  /** With the flags that named the cluster in each command. */
  protected cure(what: string, node: string): Step {
    return this.step(atCluster(what, this.beyond.choice), node);
  }

  protected amiss({ name, state: { amiss } }: Known): Step[] {
    return amiss === undefined ? [] : [this.cure(amiss, name)];
  }

  protected hidden({ name, state: { hidden } }: Known): Step[] {
    if (hidden === undefined) return [];
    return [this.step(`whether ${name} is on was not to be asked: ${this.whyOf(hidden)}`, name)];
  }
}

/** Of the pod that the packet is for. */
class Receiver extends OtherNode {
  async steps(sent: Sent): Promise<Step[]> {
    const words = receivingWords(this.q, { address: sent.from ?? 'ADDRESS', way: sent.way });
    let known: Known | undefined;
    try {
      known = await this.known();
    } catch (error) {
      return [this.#unasked('that node', error, words)];
    }
    if (known === undefined) return [this.step('no NodeEndpoint has this address; kubectl get nodeendpoints')];
    if (known.state.isSilent) return this.amiss(known);
    return [...(await this.#half(known, words)), ...this.amiss(known)];
  }

  async #half(known: Known, words: readonly string[]): Promise<Step[]> {
    const { name, cluster } = known;
    try {
      if (this.beyond.isPodAccount) throw new Error(podAccount);
      const half = await arrivalThere(this.beyond.surroundings, cluster, name, words);
      return [
        this.step(`${name}: the steps from here on are its own`, name),
        ...half.map((one) => ({ ...one, node: name })),
      ];
    } catch (error) {
      if (error instanceof Ended) throw error;
      if (error instanceof NodeSilent) return [this.cure(error.message, name)];
      return [this.#unasked(name, error, words), ...this.hidden(known)];
    }
  }

  #unasked(who: string, why: unknown, words: readonly string[]): Step {
    const there = `on ${who}: fast-ctl ${words.join(' ')}`;
    const node = who === 'that node' ? undefined : who;
    return this.step(`what ${who} does with it was not to be asked: ${this.whyOf(why)}; ${there}`, node);
  }
}

const kinds = 'a process of the machine, a hostPort by portmap, or a NodePort by kube-proxy';

/** Whose own address is the destination: this node or another one. */
class Machine extends OtherNode {
  async steps(isOwn: boolean): Promise<Step[]> {
    let known: Known | undefined;
    try {
      known = await this.known();
    } catch (error) {
      const isNode = isOwn || (await this.#isNodeHere());
      const asked = isNode ? `what answers at this node's address (${kinds})` : "whether it is a node's";
      return [this.step(`${asked} was not to be asked: ${this.whyOf(error)}`)];
    }
    if (known === undefined) return [];
    const { name } = known;
    const what = this.q.protocol === 'icmp' ? 'an echo request' : `port ${this.q.port}/${this.#protocol()}`;
    const head = `${isOwn ? 'this node' : 'it leaves to node'} ${name}; what that does with ${what} is decided there`;
    return [this.step(`${head}: ${await this.#whose(known)}`, name), ...this.hidden(known), ...this.amiss(known)];
  }

  /** By an entry of a pod or an overlay address that it holds: what can be known without an API server. */
  async #isNodeHere(): Promise<boolean> {
    try {
      const entries = (await this.beyond.clusterPods?.()) ?? [];
      return entries.some((entry) => decodeClusterPod(entry).nodeAddress === this.q.destination);
    } catch {
      return false;
    }
  }

  #protocol(): string {
    return this.q.protocol.toUpperCase();
  }

  async #whose({ cluster, name }: Known): Promise<string> {
    const { destination: address, port } = this.q;
    if (this.q.protocol === 'icmp') return 'its own stack answers';
    try {
      return await sayNodePort(cluster, { node: name, address, port, protocol: this.#protocol() });
    } catch (error) {
      return `${kinds}; which was not to be asked: ${this.whyOf(error)}`;
    }
  }
}
