// SPDX-License-Identifier: Apache-2.0
// The CEL rules of crds/ that a simulation can meet, by hand: an interpreter of CEL would be a project of its own. The
// contract suite holds each of them against the real API server.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import { isAddress } from '../../src/ip/address.ts';
import { parsePool } from '../../src/reconcilers/pool.ts';
import type { Problem } from './schema.ts';

type State = IpAllocation['spec']['state'];

/** From where a record may go to where; anything else is refused. */
const moves: Record<State, readonly State[]> = {
  Bound: ['Releasing'],
  Releasing: ['Cooling', 'Reserved'],
  Cooling: ['Bound'],
  Reserved: ['Bound', 'Cooling'],
};

/** What the rules of crds/ipallocations.yaml have against the record; `old` is undefined for a create. */
export function recordProblems(record: IpAllocation, old: IpAllocation | undefined): Problem[] {
  const { spec } = record;
  const problems: Problem[] = [];
  const refuse = (isWrong: boolean, field: string, message: string): void => {
    if (isWrong) problems.push({ field, message });
  };
  refuse(record.metadata.name !== spec.address, 'spec.address', 'the name of an IpAllocation is its address');
  refuse(!isAddress(spec.address), 'spec.address', 'no canonical IPv4 address');
  refuse(!isAddress(spec.gateway), 'spec.gateway', 'no IPv4 address');
  if (old === undefined) return problems;
  const before = old.spec;
  const isReleased = record.status?.released?.owner.uid === before.owner.uid;
  const isOther = spec.owner.uid !== before.owner.uid;
  refuse(isOther && !isReleased, 'spec.owner', `the former owner ${before.owner.uid} is not released`);
  const isMove = spec.state !== before.state;
  refuse(isMove && before.state === 'Releasing' && !isReleased, 'spec.state', 'wait for status.released');
  refuse(isMove && !moves[before.state].includes(spec.state), 'spec.state', `not from ${before.state}`);
  refuse(spec.nodeName !== before.nodeName && !isOther, 'spec.nodeName', 'the node changes only with the owner');
  refuse(spec.address !== before.address, 'spec.address', 'the address cannot be changed');
  refuse(spec.ips !== before.ips, 'spec.ips', 'the pool of a record cannot be changed');
  return problems;
}

/** What the rules of crds/ipses.yaml have against the pool. The parser agrees with them (test/api/pool-rules). */
export function poolProblems(pool: Ips, old: Ips | undefined): Problem[] {
  const parsed = parsePool(pool);
  const problems: Problem[] = parsed.kind === 'problem' ? [parsed.problem] : [];
  if (old !== undefined && old.spec.subnet !== pool.spec.subnet) {
    problems.push({ field: 'spec.subnet', message: 'the subnet cannot be changed' });
  }
  return problems;
}
