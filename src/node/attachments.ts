// SPDX-License-Identifier: Apache-2.0
// The runtime's requests: ADD waits for the pod's record and makes its wire, DEL takes it away, CHECK looks at it. All
// work of one pod is in one queue.
import { createHash } from 'node:crypto';
import { findLink, listAddresses, Netns, RouteSocket, SysError } from 'ebpf-native';
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { type Clock, realClock } from '../kube/clock.ts';
import type { Log } from '../kube/log.ts';
import { errorCode } from '../protocol/error-codes.ts';
import type { AgentRequest, AgentResponse, Attachment, PodIdentity } from '../protocol/messages.ts';
import { planAdd, planDel } from '../wiring/add-plan.ts';
import { hostVethName, podMacOf, type Wire } from '../wiring/wire.ts';
import { attachSteps } from './attach-steps.ts';
import { hostVethMac } from './constants.ts';
import type { Host } from './host.ts';
import { mappedIfindex } from './maps.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { NodeFacts } from './node-facts.ts';
import type { Datapath } from './programs.ts';
import type { Records } from './records.ts';
import { applySteps, StepError } from './steps.ts';
import type { WireBook } from './wire-book.ts';
import type { WireRemover } from './wire-remover.ts';

export interface AttachmentsOptions {
  readonly host: Host;
  readonly datapath: Datapath;
  readonly records: Records;
  readonly book: WireBook;
  readonly remover: WireRemover;
  readonly queue: IdentityQueue;
  readonly facts: () => NodeFacts;
  /** Why the controller has no address for the pod, if it says so. */
  readonly reasonOf: (pod: PodIdentity) => string | undefined;
  /** The wires of this address changed: its record's status must follow. */
  readonly onChange: (address: string) => void;
  readonly log: Log;
  readonly clock?: Clock | undefined;
}

/** fast-cni always sends its own; this is for those that do not. */
const defaultDeadlineMs = 50_000;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

function failure(code: number, msg: string): AgentResponse {
  return { ok: false, code, msg };
}

/** Runtimes name namespaces below /var/run, which is /run on every host (FHS 3.0, 5.13), if not in every image. */
function openSandbox(path: string): Netns {
  return Netns.open(path.replace(/^\/var\/run\//, '/run/'));
}

export class Attachments {
  readonly #o: AttachmentsOptions;
  readonly #clock: Clock;
  /** Container ids of sandboxes whose DEL waits for its turn. */
  readonly #deleted = new Set<string>();

  constructor(options: AttachmentsOptions) {
    this.#o = options;
    this.#clock = options.clock ?? realClock;
  }

  async add(request: AgentRequest): Promise<AgentResponse> {
    const endMs = this.#clock.monotonicMs() + (request.deadlineMs ?? defaultDeadlineMs);
    const { queue, records } = this.#o;
    return await queue.run(records.keyOf(request.pod), () => this.#addInTurn(request, endMs));
  }

  async #addInTurn(request: AgentRequest, endMs: number): Promise<AgentResponse> {
    const { records, book } = this.#o;
    // Each turn waits for an event or for the deadline, so the deadline bounds the turns.
    for (;;) {
      if (this.#deleted.has(request.containerId)) {
        return failure(errorCode.tryAgainLater, `the sandbox ${request.containerId} was deleted meanwhile`);
      }
      const { identity, records: own } = records.ofPod(request.pod);
      const plan = planAdd({ identity, containerId: request.containerId }, own, book.list());
      switch (plan.plan) {
        case 'answer':
          if (this.#isThere(plan.wire)) return this.#success(request, plan.record, plan.wire);
          book.forget(plan.wire.ifindex);
          break;
        case 'attach':
          return this.#attach(request, identity, plan.record, plan.replaced);
        case 'refuse':
          return failure(errorCode.tryAgainLater, plan.because);
        case 'wait': {
          const leftMs = endMs - this.#clock.monotonicMs();
          if (leftMs <= 0) return this.#noRecord(request.pod);
          await records.next(request.pod, leftMs);
          break;
        }
      }
    }
  }

  #noRecord(pod: PodIdentity): AgentResponse {
    const because =
      this.#o.reasonOf(pod) ??
      'fast-controller-manager has created no IpAllocation for it; is that Deployment running?';
    return failure(errorCode.tryAgainLater, `pod ${pod.namespace}/${pod.name} has no address yet: ${because}`);
  }

  #attach(request: AgentRequest, identity: string, record: IpAllocation, replaced: readonly Wire[]): AgentResponse {
    const { host, datapath, book, remover, log, onChange } = this.#o;
    const { address } = record.spec;
    let pod: Netns;
    try {
      pod = openSandbox(request.netns);
    } catch (error) {
      const cause = error instanceof SysError ? error.code : String(error);
      const hint = "does the agent see the runtime's /run/netns?";
      return failure(errorCode.invalidEnvironment, `CNI_NETNS ${request.netns} cannot be opened (${cause}); ${hint}`);
    }
    try {
      const { mtu, nodeAddress } = this.#o.facts();
      const { steps, finished } = attachSteps(host, datapath, pod, {
        identity,
        containerId: request.containerId,
        address,
        interface: hostVethName(identity, request.containerId, digest),
        podInterface: request.ifName,
        record: record.spec,
        mtu,
        nodeAddress,
      });
      applySteps(steps);
      const wire = finished();
      book.put(wire);
      for (const old of replaced) remover.remove(old);
      onChange(address);
      log.info({ pod: request.pod, wire, replaced: replaced.map((old) => old.interface) }, 'wired');
      return this.#success(request, record, wire);
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
      log.error({ err: error, pod: request.pod, address, undo: error.undoProblems }, 'a pod could not be wired');
      return failure(errorCode.wiring, `pod ${request.pod.namespace}/${request.pod.name}: ${error.message}`);
    } finally {
      pod.close();
    }
  }

  #success(request: AgentRequest, record: IpAllocation, wire: Wire): AgentResponse {
    const { address, prefixLength, gateway } = record.spec;
    const result: Attachment = {
      address,
      prefixLength,
      gateway,
      hostInterface: wire.interface,
      hostMac: hostVethMac,
      podInterface: request.ifName,
      podMac: podMacOf(address),
      mtu: this.#o.facts().mtu,
      sandbox: request.netns,
      routes: [{ destination: `${gateway}/32` }, { destination: '0.0.0.0/0', gateway }],
    };
    return { ok: true, result };
  }

  /** Succeeds however late, often or wrongly it comes. */
  async del(request: AgentRequest): Promise<AgentResponse> {
    const { queue, records, book, remover, log, onChange } = this.#o;
    const identity = planDel(request, book.list())[0]?.identity ?? records.keyOf(request.pod);
    // An ADD of this sandbox may wait for its record still, and would hold the turn until its deadline.
    this.#deleted.add(request.containerId);
    records.wake(request.pod);
    const turn = queue.run(identity, (): AgentResponse => {
      this.#deleted.delete(request.containerId);
      for (const wire of planDel(request, book.list())) {
        remover.remove(wire);
        onChange(wire.address);
        log.info({ pod: request.pod, wire }, 'unwired');
      }
      return { ok: true };
    });
    return await turn.finally(() => this.#deleted.delete(request.containerId));
  }

  /**
   * Removes a wire on the agent's own account. It does not wait for the pod's turn: an ADD that waits there decides anew
   * when its turn goes on.
   */
  cut(wire: Wire, because: string): void {
    const { book, remover, log } = this.#o;
    if (!book.list().some((known) => known.ifindex === wire.ifindex)) return;
    log.info({ wire, because }, 'cut a wire');
    remover.remove(wire);
  }

  async check(request: AgentRequest): Promise<AgentResponse> {
    const { queue, records } = this.#o;
    return await queue.run(records.keyOf(request.pod), () => {
      const problem = this.#problemOf(request);
      return problem === undefined ? { ok: true } : failure(errorCode.checkFailed, problem);
    });
  }

  #isThere(wire: Wire): boolean {
    const { host, datapath } = this.#o;
    const isLink = findLink(host.socket, { index: wire.ifindex })?.name === wire.interface;
    return isLink && mappedIfindex(datapath.localPods, wire.address) === wire.ifindex;
  }

  #problemOf(request: AgentRequest): string | undefined {
    const wire = planDel(request, this.#o.book.list())[0];
    if (wire === undefined) return `the sandbox ${request.containerId} has no wire on this node`;
    if (!this.#isThere(wire)) {
      return `the wire ${wire.interface} of ${wire.address} is not whole: its link or its entry in local_pod_ips is gone`;
    }
    const pod = openSandbox(request.netns);
    const socket = RouteSocket.open(pod);
    try {
      const link = findLink(socket, { name: request.ifName });
      if (link === undefined) return `${request.ifName} is not in ${request.netns}`;
      const has = listAddresses(socket, link.index).some((one) => one.address === wire.address);
      return has ? undefined : `${request.ifName} in ${request.netns} has not the address ${wire.address}`;
    } finally {
      socket.close();
      pod.close();
    }
  }
}
