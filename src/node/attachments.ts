// SPDX-License-Identifier: Apache-2.0
// The runtime's requests: ADD waits for the pod's record and makes its wire, DEL takes it away, GC takes away all that
// nobody holds, CHECK looks at it. All work of one pod is in one queue.
import { createHash } from 'node:crypto';
import { findLink, type Netns } from 'ebpf-native';
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { type Clock, realClock } from '../kube/clock.ts';
import type { Log } from '../kube/log.ts';
import { errorCode } from '../protocol/error-codes.ts';
import type { AgentRequest, AgentResponse, Attachment, PodIdentity } from '../protocol/messages.ts';
import { type AttachmentKey, garbageOf, planAdd, wiresOf } from '../wiring/add-plan.ts';
import { hostVethName, isHostVethName, podMacOf, type Wire } from '../wiring/wire.ts';
import { wireProblems } from '../wiring/wire-check.ts';
import { attachSteps, InterfaceExistsError } from './attach-steps.ts';
import { hostVethMac } from './constants.ts';
import type { RecordMet } from './cni-metrics.ts';
import type { Host } from './host.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { NodeFacts } from './node-facts.ts';
import type { Datapath } from './programs.ts';
import type { Records } from './records.ts';
import { openSandbox, SandboxError } from './sandbox.ts';
import { seeWire } from './see-wire.ts';
import { applySteps, StepError, type StepObserver } from './steps.ts';
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
  /** An ADD met its pod's record, or did not. */
  readonly onAdd?: ((met: RecordMet) => void) | undefined;
  readonly log: Log;
  readonly clock?: Clock | undefined;
  readonly observer?: StepObserver | undefined;
}

/** fast-cni always sends its own; this is for those that do not. */
const defaultDeadlineMs = 50_000;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** For callers that never go away. */
const nobodyLeaves = new AbortController().signal;

function failure(code: number, msg: string, details?: string): AgentResponse {
  return { ok: false, code, msg, ...(details === undefined ? {} : { details }) };
}

function isInTheWay(response: AgentResponse): boolean {
  return !response.ok && response.code === errorCode.interfaceExists;
}

function keyOf(request: AgentRequest): AttachmentKey {
  return { containerId: request.containerId, podInterface: request.ifName };
}

export class Attachments {
  readonly #o: AttachmentsOptions;
  readonly #clock: Clock;
  /** Sandboxes whose DEL waits for its turn. */
  readonly #deleted = new Set<string>();
  #refusal: string | undefined;

  constructor(options: AttachmentsOptions) {
    this.#o = options;
    this.#clock = options.clock ?? realClock;
  }

  /** From now on nothing is wired. An ADD that waits is told so, in the words that are given. */
  refuse(because: string): void {
    this.#refusal = because;
    this.#o.records.wakeAll();
  }

  /** `gone` aborts when the caller has given up: then nothing is wired that nobody would take away. */
  async add(request: AgentRequest, gone: AbortSignal = nobodyLeaves): Promise<AgentResponse> {
    const limitMs = request.deadlineMs ?? defaultDeadlineMs;
    const endMs = this.#clock.monotonicMs() + limitMs;
    const { queue, records } = this.#o;
    const wake = (): void => {
      records.wake(request.pod);
    };
    gone.addEventListener('abort', wake);
    let isTurn = false;
    const turn = queue.run(records.keyOf(request.pod), () => {
      isTurn = true;
      return this.#addInTurn(request, endMs, gone);
    });
    let cancel = (): void => undefined;
    const late = new Promise<AgentResponse>((resolve) => {
      cancel = this.#clock.after(limitMs, () => {
        if (!isTurn) resolve(this.#noTurn(request.pod));
      });
    });
    return await Promise.race([turn, late]).finally(() => {
      cancel();
      gone.removeEventListener('abort', wake);
    });
  }

  async #addInTurn(request: AgentRequest, endMs: number, gone: AbortSignal): Promise<AgentResponse> {
    const { records, book, remover, onAdd } = this.#o;
    let met: RecordMet = 'found';
    // Each turn waits for an event or for the deadline, so the deadline bounds the turns.
    for (;;) {
      if (this.#refusal !== undefined) return failure(errorCode.tryAgainLater, this.#refusal);
      if (gone.aborted) return failure(errorCode.tryAgainLater, 'the runtime gave up waiting');
      if (this.#deleted.has(request.containerId)) {
        return failure(errorCode.tryAgainLater, `the sandbox ${request.containerId} was deleted meanwhile`);
      }
      const { identity, records: own } = records.ofPod(request.pod);
      const plan = planAdd({ identity, containerId: request.containerId }, own, book.list());
      const leftMs = endMs - this.#clock.monotonicMs();
      switch (plan.plan) {
        case 'exists':
          if (this.#isThere(plan.wire)) return this.#exists(request, plan.wire);
          book.forget(plan.wire.ifindex);
          break;
        case 'attach': {
          // Whoever waited for this turn has been answered.
          if (leftMs <= 0) return this.#noTurn(request.pod);
          onAdd?.(met);
          const response = this.#attach(request, identity, plan.record, plan.replaced);
          // The interface may be that of a wire whose DEL was answered and whose veth is on its way out.
          if (!isInTheWay(response) || !(await remover.hasWaitedFor(identity))) return response;
          break;
        }
        case 'refuse':
          return failure(errorCode.tryAgainLater, plan.because);
        case 'wait':
          if (leftMs <= 0) {
            onAdd?.('missing');
            return this.#noRecord(request.pod);
          }
          met = 'awaited';
          await records.next(request.pod, leftMs);
          break;
      }
    }
  }

  #exists(request: AgentRequest, wire: Wire): AgentResponse {
    const asked = `${request.ifName} of the sandbox ${request.containerId}`;
    const msg =
      wire.podInterface === request.ifName
        ? `${asked} is there already, with ${wire.address}`
        : `${asked} cannot be made: its pod has the address ${wire.address} on ${wire.podInterface}`;
    return failure(errorCode.interfaceExists, msg);
  }

  #noTurn(pod: PodIdentity): AgentResponse {
    const msg = `pod ${pod.namespace}/${pod.name} waits for an earlier request of the same pod, which is not at its end`;
    return failure(errorCode.tryAgainLater, msg);
  }

  #noRecord(pod: PodIdentity): AgentResponse {
    const because =
      this.#o.reasonOf(pod) ??
      'fast-controller-manager has created no IpAllocation for it; see whether that Deployment runs';
    return failure(errorCode.tryAgainLater, `pod ${pod.namespace}/${pod.name} has no address yet: ${because}`);
  }

  /** Does work with the pod's namespace open; where that cannot be, the answer says what is the matter with CNI_NETNS. */
  #inSandbox(path: string, work: (pod: Netns) => AgentResponse): AgentResponse {
    let pod: Netns;
    try {
      pod = openSandbox(path, this.#o.host.netns);
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error;
      return failure(errorCode.invalidEnvironment, error.message, error.cure);
    }
    try {
      return work(pod);
    } finally {
      pod.close();
    }
  }

  #attach(request: AgentRequest, identity: string, record: IpAllocation, replaced: readonly Wire[]): AgentResponse {
    const { host, datapath, book, remover, log, onChange, observer } = this.#o;
    const { address } = record.spec;
    return this.#inSandbox(request.netns, (pod) => {
      const { mtu, nodeAddress } = this.#o.facts();
      const spec = {
        identity,
        ...keyOf(request),
        address,
        interface: hostVethName(identity, request.containerId, digest),
        record: record.spec,
        mtu,
        nodeAddress,
        isLimited: request.hasBandwidthLimit === true,
      };
      const { steps, finished } = attachSteps(host, datapath, pod, spec, replaced);
      try {
        applySteps(steps, observer);
      } catch (error) {
        if (!(error instanceof StepError)) throw error;
        log.error({ err: error, pod: request.pod, address, undo: error.undoProblems }, 'a pod could not be wired');
        const code = error.cause instanceof InterfaceExistsError ? errorCode.interfaceExists : errorCode.wiring;
        return failure(code, `pod ${request.pod.namespace}/${request.pod.name}: ${error.message}`);
      }
      const wire = finished();
      book.put(wire);
      for (const old of replaced) remover.remove(old);
      onChange(address);
      log.info({ pod: request.pod, wire, replaced: replaced.map((old) => old.interface) }, 'wired');
      return this.#success(request, record, wire);
    });
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
    const { queue, records, book } = this.#o;
    const identity = wiresOf(keyOf(request), book.list())[0]?.identity ?? records.keyOf(request.pod);
    // An ADD of this sandbox may wait for its record still, and would hold the turn until its deadline.
    this.#deleted.add(request.containerId);
    records.wake(request.pod);
    const turn = queue.run(identity, (): AgentResponse => {
      this.#deleted.delete(request.containerId);
      for (const wire of wiresOf(keyOf(request), book.list())) this.#unwire(wire, request.pod);
      return { ok: true };
    });
    return await turn.finally(() => this.#deleted.delete(request.containerId));
  }

  /** Takes away all wires but those that the runtime holds. One that cannot go stops none of the others. */
  async gc(valid: readonly AttachmentKey[]): Promise<AgentResponse> {
    const { queue, book, log } = this.#o;
    const garbage = garbageOf(valid, book.list());
    if (garbage.length > 0) log.info({ valid: valid.length, garbage: garbage.length }, 'the runtime collects garbage');
    const removals = garbage.map((wire) =>
      queue.run(wire.identity, () => {
        if (book.list().some((known) => known.ifindex === wire.ifindex)) this.#unwire(wire);
      }),
    );
    const failed = (await Promise.allSettled(removals)).filter((one) => one.status === 'rejected');
    if (failed.length === 0) return { ok: true };
    const msg = `${failed.length} of ${garbage.length} stale wires are left: ${String(failed[0]?.reason)}`;
    return failure(errorCode.wiring, msg);
  }

  #unwire(wire: Wire, pod?: PodIdentity): void {
    this.#o.remover.remove(wire);
    this.#o.onChange(wire.address);
    this.#o.log.info({ ...(pod === undefined ? {} : { pod }), wire }, 'unwired');
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
    const { queue, records, book } = this.#o;
    return await queue.run(records.keyOf(request.pod), () => {
      const wire = wiresOf(keyOf(request), book.list())[0];
      return wire === undefined ? this.#noWire(request) : this.#check(request, wire);
    });
  }

  /** Code 3 only where nothing of ours was ever there: then the runtime need not even clean up. */
  #noWire({ containerId, ifName, prevResult }: AgentRequest): AgentResponse {
    const lost = prevResult?.interfaces?.find((one) => isHostVethName(one.name));
    const msg = `${ifName} of the sandbox ${containerId} has no wire on this node`;
    if (lost === undefined) return failure(errorCode.unknownContainer, msg);
    return failure(errorCode.checkFailed, `${msg}: the interface ${lost.name} is missing`);
  }

  #check(request: AgentRequest, wire: Wire): AgentResponse {
    const { host, datapath, records, facts } = this.#o;
    return this.#inSandbox(request.netns, (pod) => {
      const { mtu, nodeAddress } = facts();
      const record = records.get(wire.address)?.spec;
      const wanted = { wire, sandbox: request.netns, mtu, nodeAddress, hostMac: hostVethMac, record };
      const problems = wireProblems(wanted, seeWire(host, datapath, pod, wire), request.prevResult ?? {});
      return problems.length === 0 ? { ok: true } : failure(errorCode.checkFailed, problems.join('; '));
    });
  }

  #isThere(wire: Wire): boolean {
    return findLink(this.#o.host.socket, { index: wire.ifindex })?.name === wire.interface;
  }
}
