// SPDX-License-Identifier: Apache-2.0
// What an ADD is to do, decided from the records of the pod's identity and the wires that are there.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { parseAddress } from '../ip/address.ts';
import type { Wire } from './wire.ts';

/** What CNI 1.1.0, section 3, calls an attachment. */
export interface AttachmentKey {
  readonly containerId: string;
  readonly podInterface: string;
}

export interface AddRequest {
  readonly identity: string;
  readonly containerId: string;
}

export type AddPlan =
  /** This sandbox has its wire, under the name that is asked for or another: an error of whoever asks twice. */
  | { readonly plan: 'exists'; readonly wire: Wire }
  /** A new wire. `replaced` loses its entry to it now and is removed behind the answer. */
  | { readonly plan: 'attach'; readonly record: IpAllocation; readonly replaced: readonly Wire[] }
  /** No record yet: the next event of this identity may bring it. */
  | { readonly plan: 'wait' }
  /** The address is given back, or about to be: this pod never gets it again. */
  | { readonly plan: 'refuse'; readonly because: string };

/** Whether the record is its owner's to use. A record that was released once stays so, whatever its state says. */
export function isUsable(record: IpAllocation): boolean {
  return record.spec.state === 'Bound' && record.status?.released?.owner.uid !== record.spec.owner.uid;
}

function lowestFirst(a: IpAllocation, b: IpAllocation): number {
  return parseAddress(a.spec.address) - parseAddress(b.spec.address);
}

/**
 * `records` are those whose owner is the identity, `wires` all of the node. Of two records of one pod that one is used
 * which is wired already, else the one that was the last time, else the lowest; the controller releases the other once it
 * sees which is attached.
 */
export function planAdd(request: AddRequest, records: readonly IpAllocation[], wires: readonly Wire[]): AddPlan {
  const own = records.filter((record) => record.spec.owner.uid === request.identity);
  const usable = own.filter(isUsable).sort(lowestFirst);
  const wired = usable.find((record) =>
    wires.some((wire) => wire.identity === request.identity && wire.address === record.spec.address),
  );
  const former = usable.find(({ status }) => status?.attached?.owner.uid === request.identity);
  const record = wired ?? former ?? usable[0];
  if (record === undefined) {
    const spent = own[0];
    if (spent === undefined) {
      return { plan: 'wait' };
    }
    const because = `the address ${spent.spec.address} of this pod is ${spent.spec.state}; a pod gets no wire once its address was released`;
    return { plan: 'refuse', because };
  }
  const held = wires.filter((wire) => wire.address === record.spec.address || wire.identity === request.identity);
  const same = held.find((wire) => wire.identity === request.identity && wire.containerId === request.containerId);
  return same === undefined ? { plan: 'attach', record, replaced: held } : { plan: 'exists', wire: same };
}

/** The wires of an attachment, whatever became of the pod's identity meanwhile: what a DEL is for. */
export function wiresOf(key: AttachmentKey, wires: readonly Wire[]): Wire[] {
  return wires.filter((wire) => wire.containerId === key.containerId && wire.podInterface === key.podInterface);
}

/** The wires that a GC is for: all but those of attachments that the runtime still holds. */
export function garbageOf(valid: readonly AttachmentKey[], wires: readonly Wire[]): Wire[] {
  const held = new Set(valid.map((one) => `${one.containerId}/${one.podInterface}`));
  return wires.filter((wire) => !held.has(`${wire.containerId}/${wire.podInterface}`));
}
