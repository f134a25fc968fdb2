// SPDX-License-Identifier: Apache-2.0
// What must be true at every instant (DESIGN, invariants 1 to 7; 8 and 9 are seen at the end): looked at from outside, in
// the server's objects and the machines' kernels, at each write and after each step.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { Namespace, Pod } from '../../src/api/workloads.ts';
import { endpointKind, podKind, poolKind, recordKind, statefulSetKind } from '../../src/operator/kinds.ts';
import { identityOf, isFinished, isStaticIdentity } from '../../src/reconcilers/pod.ts';
import type { ApiServer, WriteObserver } from './api-server.ts';
import { Gates } from './gates.ts';
import { changes } from './kernel.ts';
import { type LivePod, nameOf } from './live-pod.ts';
import type { Machine, Sandbox } from './machine.ts';
import { Mirrors } from './mirrors.ts';
import { isOfPool } from './pool-names.ts';
import { listedTwice, whyNotSaid } from './said.ts';
import { isSameOrdinal } from './ordinals.ts';
import type { Caller } from './rights.ts';
import { Rests } from './rests.ts';
import { Sent } from './sent.ts';
import { ServiceRanges } from './virtual-addresses.ts';
import { Silences } from './silences.ts';

export interface Broken {
  /** The invariant's number in the design. */
  readonly invariant: number;
  readonly text: string;
  /** Addresses, pods, identities that it is about. */
  readonly things: readonly string[];
}

export class Judge {
  broken: Broken | undefined;
  /** Whether the Lease says who leads. */
  oneLeads = true;
  /** Pods whose records a restored backup has taken: what becomes of them is told at the end alone. */
  readonly excused = new Set<string>();
  /** What the senders of creates saw when they sent them. */
  readonly sent: Sent;
  /** What the senders of patches of pods saw. */
  readonly gates = new Gates();
  readonly services = new ServiceRanges();
  readonly #mirrors: Mirrors;
  readonly #machines: readonly Machine[];
  readonly #rests: Rests;
  readonly #silences = new Silences();
  readonly #now: () => number;
  /** When each address came into the hands that it is in. */
  readonly #givenMs = new Map<string, number>();
  #server: ApiServer | undefined;
  #restores = 0;
  /** Identity → the address that ADD answered. */
  readonly #answered = new Map<string, string>();
  /** Machine, address and identity of what its agent has called released. */
  readonly #released = new Set<string>();
  /** Record uid → the process that created it. */
  readonly #creators = new Map<string, string>();
  #seenRevision = '';
  #seenChanges = -1;

  constructor(machines: readonly Machine[], now: () => number) {
    this.#machines = machines;
    this.#rests = new Rests(now, (address) => this.services.haveHeld(address));
    this.sent = new Sent(now);
    this.#mirrors = new Mirrors(machines, now);
    this.#now = now;
  }

  watch(server: ApiServer): void {
    this.#server = server;
  }

  break(invariant: number, text: string, things: readonly string[]): void {
    this.broken ??= { invariant, text, things };
  }

  readonly onWrite: WriteObserver = (kind, caller, old, now) => {
    if (kind.plural === 'ipallocations') this.#onRecord(caller, old as IpAllocation, now as IpAllocation);
    if (kind.plural === 'pods') this.#onPod(caller, old as Pod | undefined, now as Pod | undefined);
    if (kind.plural === 'namespaces' && now !== undefined) this.sent.namespaces.onNamespace(now as Namespace);
    if (kind.plural === 'servicecidrs') this.services.onWrite(old, now);
    const spokenFor = this.#restores > 0 ? undefined : this.#silences.onWrite(kind, caller, old, now);
    if (spokenFor !== undefined) this.break(4, spokenFor, [now?.metadata.name ?? '']);
    if (kind.plural === 'ipses') this.#rests.onPool(now as Ips | undefined, (now ?? old)?.metadata.name ?? '');
  };

  #onPod(caller: Caller, old: Pod | undefined, now: Pod | undefined): void {
    this.#mirrors.onPod(old, now);
    if (caller.is !== 'controller') return;
    const letThrough = this.gates.onPod(caller.name, old, now);
    if (letThrough !== undefined && this.#restores === 0) this.break(7, letThrough, [now?.metadata.uid ?? '']);
  }

  onAdded({ name }: Machine, sandbox: Sandbox): void {
    const { address, pod } = sandbox;
    const { identity } = pod;
    this.#mirrors.onAdded(name, sandbox, this.#record(address));
    // What an agent answers by old knowledge it will take back.
    if (this.#mirrors.isSevered(sandbox)) return;
    const before = this.#answered.get(identity);
    this.#answered.set(identity, address);
    if (before === undefined || before === address || this.excused.has(identity)) return;
    // Two leaders may have given a pod two; which of them its next sandbox gets is not promised.
    if (!this.oneLeads && this.#bound(identity).length > 1) return;
    const text = `ADD gave pod ${pod.namespace}/${pod.name} ${address}, and ${before} the time before`;
    this.break(5, text, [before, address, identity]);
  }

  get hasRestored(): boolean {
    return this.#restores > 0;
  }

  /** A backup is brought back: whoever lost his record by it is excused. */
  onRestore(): void {
    this.#restores += 1;
    this.#answered.clear();
    this.#released.clear();
    const present = new Set(this.#pods().keys());
    for (const identity of present)
      if (!this.#live().some((each) => each.identity === identity)) this.excused.add(identity);
    this.#excuseUnrecorded();
  }

  /** Whether the pod runs with an address that is another's, or that no pool holds any more, as can be after a backup alone. */
  isRobbed(pod: Pod): boolean {
    const identity = identityOf(pod);
    if (!this.excused.has(identity)) return false;
    const live = this.#live().find((each) => each.identity === identity);
    if (live === undefined) return false;
    const owner = this.#record(live.address)?.spec.owner.uid;
    return owner === undefined ? !isOfPool(live.address, this.#server?.objects(poolKind) ?? []) : owner !== identity;
  }

  /** Whether the sandbox of a static pod has no network any more: nobody but a person starts it anew. */
  hasLost(sandbox: Sandbox): boolean {
    const { identity } = sandbox.pod;
    const owner = this.excused.has(identity) ? this.#record(sandbox.address)?.spec.owner.uid : identity;
    return this.#mirrors.isSevered(sandbox) || (owner !== undefined && owner !== identity);
  }

  /** After each step. */
  look(): void {
    const revision = this.#server?.revision ?? '';
    if (revision === this.#seenRevision && changes.count === this.#seenChanges) return;
    this.#seenRevision = revision;
    this.#seenChanges = changes.count;
    const live = this.#live();
    if (this.#restores > 0) this.#excuseUnrecorded();
    this.#eachHasItsOwn(live.filter(({ identity }) => !this.excused.has(identity)));
    this.#releasedIsGone();
    if (this.#restores === 0 && this.oneLeads) this.#listedOnce();
  }

  /** Every node sends where the endpoints say. Of two leaders that is not promised. */
  #listedOnce(): void {
    const twice = listedTwice(this.#server?.objects(endpointKind) ?? []);
    if (twice !== undefined) this.break(1, twice.text, twice.things);
  }

  /** Pods that run, with the address that they run with. */
  #live(): LivePod[] {
    const pods = this.#pods();
    return this.#machines.flatMap((machine) =>
      [...machine.sandboxes.values()].flatMap((sandbox): LivePod[] => {
        const { identity } = sandbox.pod;
        const pod = pods.get(identity);
        if (sandbox.state !== 'up' || pod === undefined || isFinished(pod) || this.#mirrors.isSevered(sandbox))
          return [];
        if (pod.spec.nodeName !== machine.name) return [];
        return [{ pod, identity, address: sandbox.address, machine, sandbox }];
      }),
    );
  }

  #pods(): Map<string, Pod> {
    return new Map((this.#server?.objects(podKind) ?? []).map((pod) => [identityOf(pod), pod]));
  }

  #record(address: string): IpAllocation | undefined {
    return this.#server?.objects(recordKind).find(({ metadata }) => metadata.name === address);
  }

  #bound(identity: string): IpAllocation[] {
    const records = this.#server?.objects(recordKind) ?? [];
    return records.filter(({ spec }) => spec.owner.uid === identity && spec.state === 'Bound');
  }

  #excuseUnrecorded(): void {
    for (const { identity, address } of this.#live()) {
      const { owner, state } = this.#record(address)?.spec ?? {};
      if (owner?.uid === identity && state === 'Bound') this.excused.delete(identity);
      else this.excused.add(identity);
    }
  }

  #eachHasItsOwn(live: readonly LivePod[]): void {
    const holders = new Map<string, LivePod>();
    for (const one of live) {
      const other = holders.get(one.address);
      holders.set(one.address, one);
      if (other !== undefined && other.identity !== one.identity) {
        const text = `${one.address} is ${nameOf(other)}'s on ${other.machine.name} and ${nameOf(one)}'s on ${one.machine.name}`;
        this.break(1, text, [one.address, one.identity, other.identity]);
      }
      this.#hasRecord(one);
      this.#hasEntry(one);
    }
  }

  #hasRecord({ pod, identity, address }: LivePod): void {
    const record = this.#record(address);
    const { owner, state } = record?.spec ?? {};
    if (owner?.uid === identity && state === 'Bound') return;
    const is =
      record === undefined ? 'has no record' : `is ${state}, of ${owner?.namespace}/${owner?.name} (${owner?.uid})`;
    const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
    this.break(2, `pod ${name} runs with ${address}, which ${is}`, [address, identity]);
  }

  #hasEntry(one: LivePod): void {
    const { machine, address, identity, sandbox } = one;
    if (!sandbox.isMounted) return;
    const entry = machine.entries().find((each) => each.address === address);
    if (entry?.identity === identity) return;
    const leads =
      entry === undefined ? 'is not there' : `leads to ${entry.identity === '' ? 'nowhere' : entry.identity}`;
    const text = `${nameOf(one)} runs with ${address}, and its entry in the map of ${machine.name} ${leads}`;
    this.break(1, text, [address, identity]);
  }

  /** What an agent has called released stays away: the address may be anybody's from then on. */
  #releasedIsGone(): void {
    if (this.#released.size === 0) return;
    for (const machine of this.#machines) {
      for (const { address, identity } of machine.entries()) {
        if (!this.#released.has(`${machine.name} ${address} ${identity}`) || this.excused.has(identity)) continue;
        const text = `${machine.name} has an entry of ${address} for ${identity}, which its agent has called released`;
        this.break(3, text, [address, identity]);
      }
    }
  }

  #onRecord(caller: Caller, old: IpAllocation | undefined, now: IpAllocation | undefined): void {
    if (now !== undefined) this.#rests.onRecord(now);
    if (caller.is === 'agent' && old !== undefined && now !== undefined) this.#onStatus(caller.node, old, now);
    if (caller.is !== 'controller') return;
    if (old === undefined && now !== undefined) this.#onCreate(caller.name, now);
    else if (old !== undefined && now === undefined) this.#onDelete(caller.name, old);
    else if (old !== undefined && now !== undefined) this.#onReplace(caller.name, old, now);
  }

  #onStatus(node: string, old: IpAllocation, now: IpAllocation): void {
    const { address, owner } = now.spec;
    const untrue = whyNotSaid(node, old, now);
    if (untrue !== undefined) this.break(4, untrue.text, untrue.things);
    if (now.status?.released?.owner.uid === owner.uid) this.#released.add(`${node} ${address} ${owner.uid}`);
  }

  #onCreate(creator: string, record: IpAllocation): void {
    if (record.spec.state === 'Bound') this.#onGiven(creator, record, undefined);
  }

  /** An address comes into somebody's hands, by a record that is made or one that changes hands. */
  #onGiven(creator: string, record: IpAllocation, before: IpAllocation | undefined): void {
    const { address, owner, nodeName } = record.spec;
    // The same owner once more: a leader that has not heard of its end gives it what it had.
    this.#released.delete(`${nodeName} ${address} ${owner.uid}`);
    this.#mirrors.onGiven(record);
    this.#creators.set(record.metadata.uid ?? '', creator);
    this.#givenMs.set(address, this.#now());
    const sentMs = this.sent.firstSentMs(creator, record);
    const records = this.#server?.objects(recordKind) ?? [];
    const isLast = this.sent.hadNoOther(creator, record);
    const { outside, another, asked } = this.sent.whyNotGiven(creator, record);
    const notAsked = (asked ?? address) === address ? undefined : `it asked for ${asked}`;
    // Who asks for one by name does not mind whether it has rested.
    const tooSoon = isLast || asked === address ? undefined : this.#rests.whyNotRested(record, before, records);
    const because =
      (this.#rests.heldLately(record.spec.ips, address) ? undefined : outside) ??
      notAsked ??
      another ??
      this.services.whyNotGiven(creator, record, this.#pods(), this.#server?.objects(endpointKind) ?? []) ??
      tooSoon;
    if (because !== undefined && this.#restores === 0) {
      this.break(7, `${address} was given to ${owner.namespace}/${owner.name}: ${because}`, [address]);
    }
    const twin = this.#bound(owner.uid).find(({ metadata, spec, status }) => {
      const isOld = spec.address !== address && status?.released?.owner.uid !== owner.uid;
      // A request that was given up for lost may arrive after what was asked for in its place.
      if (sentMs < (this.#givenMs.get(spec.address) ?? 0)) return false;
      return isOld && this.#creators.get(metadata.uid ?? '') === creator;
    });
    if (twin === undefined || this.#restores > 0) return;
    const text = `${creator} gave ${owner.kind} ${owner.name} ${address}, and had given it ${twin.spec.address}`;
    this.break(2, text, [address, twin.spec.address, owner.uid]);
  }

  #onReplace(creator: string, old: IpAllocation, now: IpAllocation): void {
    const { address, owner, state } = now.spec;
    this.#mirrors.onReplaced(old, now);
    if (old.spec.state === 'Reserved' && state === 'Bound') this.#isItsOrdinals(old, now);
    if (state === 'Cooling') this.#isNotToBeKept(creator, old);
    if (state === 'Bound' && old.spec.owner.uid !== owner.uid) this.#onGiven(creator, now, old);
    if (old.spec.owner.uid !== owner.uid || now.status?.released?.owner.uid === owner.uid)
      this.#answered.delete(old.spec.owner.uid);
    if (old.spec.state !== 'Bound' || state !== 'Releasing' || owner.kind !== 'Pod' || this.excused.has(owner.uid))
      return;
    const pod = this.#pods().get(owner.uid);
    const isSpare = this.#server
      ?.objects(recordKind)
      .some(
        ({ spec, status }) =>
          spec.address !== address && spec.owner.uid === owner.uid && status?.attached?.owner.uid === owner.uid,
      );
    if (isSpare === true) return;
    const alive = pod === undefined || isFinished(pod) ? undefined : 'which lives';
    const sentMs = this.sent.sentMs(creator, address);
    const because = isStaticIdentity(owner.uid) ? this.#mirrors.onTaken(owner.uid, sentMs) : alive;
    if (because === undefined) return;
    const text = `${address} was taken from pod ${owner.namespace}/${owner.name} (${owner.uid}): ${because}`;
    this.break(2, text, [address, owner.uid]);
  }

  #isItsOrdinals({ spec: before }: IpAllocation, { spec }: IpAllocation): void {
    if (isSameOrdinal(before, spec)) return;
    const text = `${spec.address} was given to ${spec.owner.name}, and was kept for ${before.owner.name}`;
    this.break(7, text, [spec.address, before.owner.uid, spec.owner.uid]);
  }

  /** An address that a pool keeps for an ordinal goes to nobody before its time is over, or the set is gone. */
  #isNotToBeKept(creator: string, old: IpAllocation): void {
    const { address, owner, reservedFor, state } = old.spec;
    const uid = reservedFor?.statefulSetUID;
    const isSetThere = this.#server?.objects(statefulSetKind).some(({ metadata }) => metadata.uid === uid) === true;
    if (state === 'Cooling' || !isSetThere || this.#restores > 0) return;
    const because = this.sent.whyToBeKept(creator, old);
    if (because === undefined) return;
    this.break(7, `${address} of ${owner.name} is ${state} and kept no longer: ${because}`, [address, owner.uid]);
  }

  #onDelete(creator: string, old: IpAllocation): void {
    const { address, owner } = old.spec;
    this.#isNotToBeKept(creator, old);
    this.#answered.delete(owner.uid);
    if (old.status?.released?.owner.uid === owner.uid || this.excused.has(owner.uid)) return;
    const text = `the record ${address} of ${owner.kind} ${owner.name} (${owner.uid}) was deleted, and nobody had released it`;
    this.break(4, text, [address, owner.uid]);
  }
}
