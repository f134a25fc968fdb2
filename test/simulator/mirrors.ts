// SPDX-License-Identifier: Apache-2.0
// Static pods as they are seen from outside: what runs by a file of its machine does not end with its mirror, so that its
// address is taken from it only where the mirror has been away for long.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { identityOf, isFinished, isStaticIdentity } from '../../src/reconcilers/pod.ts';
import type { Machine, Sandbox } from './machine.ts';

/** As long as a kubelet may take to make a mirror again. */
const graceMs = 30_000;
/** An answer that is older finds nobody. */
const callMs = 30_000;

/** A time in which the mirror was not there, or said that its pod has ended. */
interface Absence {
  readonly name: string;
  readonly fromMs: number;
  untilMs: number;
  /** Its pod has ended: by its own word, or since another file has taken the place of its. */
  isEnd: boolean;
}

export class Mirrors {
  readonly #machines: readonly Machine[];
  readonly #now: () => number;
  /** By identity. */
  readonly #absences = new Map<string, Absence[]>();
  /** Sandboxes whose pod has lost its address while they went on. */
  readonly #severed = new Set<string>();
  /** Machine, address and identity of what a controller has called released in the place of an agent that is silent. */
  readonly #spokenFor = new Set<string>();

  constructor(machines: readonly Machine[], now: () => number) {
    this.#machines = machines;
    this.#now = now;
  }

  onPod(old: Pod | undefined, now: Pod | undefined): void {
    const pod = now ?? old;
    if (pod === undefined || identityOf(pod) === pod.metadata.uid) return;
    const { name } = pod.metadata;
    const absences = this.#absences.get(identityOf(pod)) ?? [];
    this.#absences.set(identityOf(pod), absences);
    const last = absences.at(-1);
    const isAway = last?.untilMs === Number.POSITIVE_INFINITY;
    const isEnd = now !== undefined && isFinished(now);
    if (now !== undefined && !isEnd) {
      if (isAway) last.untilMs = this.#now();
      this.#endOthers(name);
    } else if (isAway) {
      last.isEnd ||= isEnd;
    } else {
      absences.push({ name, fromMs: this.#now(), untilMs: Number.POSITIVE_INFINITY, isEnd });
    }
  }

  #endOthers(name: string): void {
    for (const absences of this.#absences.values()) {
      const last = absences.at(-1);
      if (last?.name === name && last.untilMs === Number.POSITIVE_INFINITY) last.isEnd = true;
    }
  }

  /** The address of a static pod is taken from it by a write that was sent at one of these times. Answers why it may not be. */
  onTaken(identity: string, sentMs: readonly number[]): string | undefined {
    for (const { sandboxes } of this.#machines) {
      for (const { id, pod } of sandboxes.values()) if (pod.identity === identity) this.#severed.add(id);
    }
    const absences = this.#absences.get(identity) ?? [];
    const mayBe = absences.some(({ fromMs, untilMs, isEnd }) =>
      sentMs.some((atMs) => {
        if (untilMs < atMs - callMs) return false;
        return isEnd || Math.min(untilMs, atMs) - fromMs >= graceMs;
      }),
    );
    return mayBe ? undefined : 'its mirror was away for a moment, or not at all';
  }

  /** A controller has replaced the record; perhaps it spoke for its node, which is gone or out of service. */
  onReplaced(old: IpAllocation, { spec: { nodeName, address, owner }, status }: IpAllocation): void {
    const isReleased = status?.released?.owner.uid === owner.uid;
    if (!isReleased || old.status?.released?.owner.uid === owner.uid) return;
    this.#spokenFor.add(`${nodeName} ${address} ${owner.uid}`);
  }

  /** The address is somebody's, by a new record or one that has changed hands. */
  onGiven({ spec: { nodeName, address, owner } }: IpAllocation): void {
    this.#spokenFor.delete(`${nodeName} ${address} ${owner.uid}`);
  }

  /**
   * An agent that has not heard yet that the address is being given back wires it once more, and cuts it off in a moment. One
   * that nobody reaches does so for as long, though a controller has spoken for it and the record is gone.
   */
  onAdded(machine: string, { id, pod, address }: Sandbox, record: IpAllocation | undefined): void {
    if (!isStaticIdentity(pod.identity)) return;
    const isOwn = record?.spec.owner.uid === pod.identity;
    const isLeaving = isOwn && record.spec.state === 'Releasing';
    if (isLeaving || this.#spokenFor.has(`${machine} ${address} ${pod.identity}`)) this.#severed.add(id);
  }

  isSevered({ id }: Sandbox): boolean {
    return this.#severed.has(id);
  }
}
