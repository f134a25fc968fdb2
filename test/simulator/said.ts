// SPDX-License-Identifier: Apache-2.0
// What agents say of records, and endpoints of addresses, and why it cannot be true.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';

export interface Untrue {
  readonly text: string;
  readonly things: readonly string[];
}

/** An address that is at two ends. */
export function listedTwice(endpoints: readonly NodeEndpoint[]): Untrue | undefined {
  const holders = new Map<string, string>();
  for (const { metadata, spec } of endpoints) {
    for (const address of spec.podAddresses ?? []) {
      const other = holders.get(address);
      holders.set(address, metadata.name);
      if (other === undefined) continue;
      return { text: `${address} is listed by the endpoints of ${other} and of ${metadata.name}`, things: [address] };
    }
  }
  return undefined;
}

/** Why the agent's word does not fit the record that it is written on. */
export function whyNotSaid(node: string, old: IpAllocation, now: IpAllocation): Untrue | undefined {
  const { address, owner } = now.spec;
  const { released, attached } = now.status ?? {};
  const said = [
    released !== undefined && released.owner.uid !== old.status?.released?.owner.uid ? released.owner.uid : owner.uid,
    attached !== undefined && attached.owner.uid !== old.status?.attached?.owner.uid ? attached.owner.uid : owner.uid,
  ].find((uid) => uid !== owner.uid);
  if (said !== undefined) {
    const text = `the agent of ${node} wrote of ${said} on the record ${address}, which is ${owner.uid}'s`;
    return { text, things: [address, said, owner.uid] };
  }
  const isNews = released?.owner.uid === owner.uid && old.status?.released?.owner.uid !== owner.uid;
  if (!isNews || now.spec.state === 'Releasing') return undefined;
  const text = `the agent of ${node} called ${address} released, which is ${owner.uid}'s and ${now.spec.state}`;
  return { text, things: [address, owner.uid] };
}
