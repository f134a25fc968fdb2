// SPDX-License-Identifier: Apache-2.0
// Repairs what no event told. It looks at everything from a fresh list, looks again some time later, and what stands both
// looks is confirmed by a live read before anything is written. Every write is fenced, so a repair is done once.
import { countOf } from '../api/count-of.ts';
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import type { KubeObject } from '../api/object.ts';
import { timestamp } from './allocation.ts';
import { findSuspects, isAttached, type Suspect, textOf } from './collector-suspects.ts';
import { OrphanCollector } from './orphan-collector.ts';
import { identityOf, isFinished, isStaticIdentity, needOf, ownerOf, staticRestartOf } from './pod.ts';
import type { PodWorld } from './pod-reconciler.ts';
import type { CollectorPort, EventNote, Outcome, OwnerReader, Repair } from './ports.ts';
import { retryAfter } from './ports.ts';
import { isReleased } from './release.ts';

export interface CollectorWorld extends PodWorld {
  readonly liveOwners: OwnerReader;
  readonly collector: CollectorPort;
}

/** How long what does not fit together may stay so. Each look costs a list of everything. */
export const COLLECT_MS = 300_000;
/** The second look: reconcilers, watches and agents have answered by then if they are going to. */
export const SECOND_LOOK_MS = 15_000;
/** Confirmed at once: each costs two or three requests. */
const BATCH = 16;
/** Repaired in one round; what is left is found again. */
const MAX_SUSPECTS = 10_000;

type Pass =
  | { readonly pass: 'first'; readonly isListed: boolean }
  | { readonly pass: 'second'; readonly found: ReadonlySet<string> }
  | { readonly pass: 'confirm'; readonly left: readonly Suspect[] };

export class Collector {
  readonly #world: CollectorWorld;
  readonly #orphans: OrphanCollector;
  /** A new leader has just listed everything. */
  #pass: Pass = { pass: 'first', isListed: true };
  /** What a person was told and has not mended yet. */
  #told = new Set<string>();

  constructor(world: CollectorWorld) {
    this.#world = world;
    this.#orphans = new OrphanCollector(world);
  }

  /** One step of the round; the answer says when the next is due. */
  async reconcile(): Promise<Outcome> {
    const pass = this.#pass;
    // A list that fails begins the round anew.
    this.#pass = { pass: 'first', isListed: false };
    switch (pass.pass) {
      case 'first':
        return await this.#lookFirst(pass.isListed);
      case 'second':
        return await this.#lookAgain(pass.found);
      case 'confirm':
        return await this.#confirm(pass.left);
    }
  }

  async #lookFirst(isListed: boolean): Promise<Outcome> {
    if (!isListed) await this.#world.collector.refresh();
    const found = new Set(findSuspects(this.#world).map(textOf));
    this.#told = this.#told.intersection(found);
    if (found.size === 0) return roundOver();
    this.#pass = { pass: 'second', found };
    return retryAfter(
      SECOND_LOOK_MS,
      `${countOf(found.size, 'thing does', 'things do')} not fit together and may be on their way`,
    );
  }

  async #lookAgain(found: ReadonlySet<string>): Promise<Outcome> {
    const still = (): Suspect[] => findSuspects(this.#world).filter((each) => found.has(textOf(each)));
    if (still().length === 0) return roundOver();
    await this.#world.collector.refresh();
    return this.#next(still().slice(0, MAX_SUSPECTS));
  }

  #next(left: readonly Suspect[]): Outcome {
    if (left.length === 0) return roundOver();
    this.#pass = { pass: 'confirm', left };
    return retryAfter(0, `${countOf(left.length, 'thing is', 'things are')} to be confirmed`);
  }

  /** A repair that fails is found again in the next round; it may fail for ever, and each round costs a list of everything. */
  async #confirm(suspects: readonly Suspect[]): Promise<Outcome> {
    const repairs = suspects
      .slice(0, BATCH)
      .map((suspect) =>
        this.#repair(suspect).catch((error: unknown) => this.#world.collector.failed(textOf(suspect), error)),
      );
    await Promise.all(repairs);
    return this.#next(suspects.slice(BATCH));
  }

  async #repair(suspect: Suspect): Promise<void> {
    switch (suspect.kind) {
      case 'record':
        return await this.#repairRecord(suspect.address);
      case 'spare':
        return await this.#repairSpare(suspect.ownerUid);
      case 'pod':
        return await this.#repairPod(suspect.key, suspect.ownerUid);
      case 'robbed':
        return await this.#tellRobbed(suspect, textOf(suspect));
      case 'orphan': {
        const done = await this.#orphans.repair(suspect.orphan);
        if (done !== undefined) this.#say(done.repair, done.event, textOf(suspect));
        return;
      }
    }
  }

  async #repairRecord(address: string): Promise<void> {
    const { records, queues } = this.#world;
    const live = await records.read(address);
    if (live?.spec.state !== 'Bound' || !(await this.#isOwnerGone(live))) return;
    if ((await this.#release(live)) !== 'written') return;
    const { kind, namespace, name, uid } = live.spec.owner;
    const who = `${kind.toLowerCase()} ${kind === 'Pod' ? `${namespace ?? ''}/` : ''}${name} (${uid})`;
    this.#say('recordReleased', note('IpAllocation', live, 'Collected', `${who} is gone, and no event had told of it`));
    queues.record(address);
  }

  /** A static pod without its mirror has a wait of its own, which its record's reconciler counts. */
  async #isOwnerGone({ spec: { owner } }: IpAllocation): Promise<boolean> {
    const { liveOwners } = this.#world;
    if (owner.kind === 'Node') return (await liveOwners.node(owner.name))?.metadata.uid !== owner.uid;
    const pod = await liveOwners.pod(owner.namespace ?? '', owner.name);
    if (pod === undefined) return !isStaticIdentity(owner.uid);
    return identityOf(pod) !== owner.uid || isFinished(pod);
  }

  async #repairSpare(ownerUid: string): Promise<void> {
    const { book, records, views } = this.#world;
    const known = book.byOwner(ownerUid).map(({ metadata }) => records.read(metadata.name));
    const live = (await Promise.all(known)).filter((each) => each !== undefined);
    const bound = live.filter(({ spec }) => spec.state === 'Bound' && spec.owner.uid === ownerUid);
    const isUsed = (record: IpAllocation): boolean => {
      const { owner, nodeName, address } = record.spec;
      if (owner.kind === 'Pod') return isAttached(record);
      return views.endpoints.get(nodeName)?.spec.overlayAddress === address;
    };
    const used = bound.find((record) => isUsed(record) && !isReleased(record));
    if (used === undefined) return;
    for (const spare of bound.filter((record) => !isUsed(record) && !isReleased(record))) {
      if ((await this.#release(spare)) !== 'written') continue;
      const why = `${spare.spec.owner.name} has two addresses and uses ${used.spec.address}`;
      this.#say('spareReleased', note('IpAllocation', spare, 'Collected', why));
    }
  }

  async #repairPod(key: string, ownerUid: string): Promise<void> {
    const [namespace = '', name = ''] = key.split('/');
    const pod = await this.#world.liveOwners.pod(namespace, name);
    if (pod === undefined || identityOf(pod) !== ownerUid || needOf(pod) !== 'address') return;
    this.#world.queues.pod(key);
    const why = 'the pod had no address and nobody was at work for it; it is looked at again';
    this.#say('podWoken', note('Pod', pod, 'Collected', why));
  }

  async #tellRobbed(suspect: { key: string; address: string; ownerUid: string }, text: string): Promise<void> {
    const { liveOwners, records } = this.#world;
    const [namespace = '', name = ''] = suspect.key.split('/');
    const pod = await liveOwners.pod(namespace, name);
    if (pod === undefined || identityOf(pod) !== suspect.ownerUid || pod.status?.podIP !== suspect.address) return;
    const holder = await records.read(suspect.address);
    if (holder === undefined || holder.spec.owner.uid === suspect.ownerUid) return;
    const { owner } = holder.spec;
    const whose = `${owner.kind.toLowerCase()} ${owner.namespace === undefined ? '' : `${owner.namespace}/`}${owner.name}`;
    const restart = staticRestartOf(ownerOf(pod), pod.spec.nodeName) ?? 'delete the pod';
    const why = `the pod runs with ${suspect.address}, which belongs to ${whose} now; ${restart} so that it starts with an address of its own`;
    this.#say('personTold', { ...note('Pod', pod, 'AddressLost', why), type: 'Warning' }, text);
  }

  #release(live: IpAllocation) {
    const { records, clock } = this.#world;
    const spec = { ...live.spec, state: 'Releasing' as const, stateSince: timestamp(clock.now()) };
    return records.replace({ ...live, spec });
  }

  /** What is only told is told once, until it is mended. */
  #say(repair: Repair, event: EventNote, toldAs = ''): void {
    if (repair === 'personTold') {
      if (this.#told.has(toldAs)) return;
      this.#told.add(toldAs);
    }
    this.#world.collector.repaired(repair);
    this.#world.events.record(event);
  }
}

function roundOver(): Outcome {
  return retryAfter(COLLECT_MS, 'the next round');
}

function note(kind: EventNote['kind'], object: KubeObject, reason: string, text: string): EventNote {
  return { kind, object, type: 'Normal', reason, note: text };
}
