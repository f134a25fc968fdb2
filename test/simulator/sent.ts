// SPDX-License-Identifier: Apache-2.0
// What the sender of a write of records saw when it sent it. It is judged by that: what became of a pool while the request was on its
// way, nobody could know.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import { addressAnnotation } from '../../src/api/names.ts';
import type { Namespace, Node, Pod } from '../../src/api/workloads.ts';
import { parseAddress } from '../../src/ip/address.ts';
import { identityOf, nodeAddressesOf } from '../../src/reconcilers/pod.ts';
import type { RangeSet } from '../../src/ip/range-set.ts';
import { parsePool } from '../../src/reconcilers/pool.ts';
import { whyNotOrdinals, whyToBeKept } from './ordinals.ts';
import { NamespacePools } from './pool-names.ts';
import type { AddressBook } from '../../src/reconcilers/address-book.ts';
import type { Views } from '../../src/reconcilers/ports.ts';

export interface Seen {
  readonly atMs: number;
  readonly verb: string;
  readonly records: readonly IpAllocation[];
  readonly pools: readonly Ips[];
  readonly endpoints: readonly NodeEndpoint[];
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly namespaces: readonly Namespace[];
  /** What it knew to be addresses of Services. */
  readonly services: RangeSet;
  /** How many addresses each pool had beside this one. */
  readonly free: ReadonlyMap<string, number>;
}

interface WhyNot {
  readonly outside: string | undefined;
  readonly another: string | undefined;
  /** The very address that the pod asked for. */
  readonly asked: string | undefined;
}

/** What each sender saw, of each address since it was last given. */
export class Sent {
  readonly namespaces: NamespacePools;
  readonly #facts = new Map<string, Seen[]>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.namespaces = new NamespacePools(now);
  }

  note(creator: string, verb: string, address: string, views: Views, book: AddressBook): void {
    const key = `${creator} ${address}`;
    this.#facts.set(key, [...(this.#facts.get(key) ?? []), seenNow(this.#now(), verb, views, book)]);
  }

  /** When it was asked for at first. */
  firstSentMs(creator: string, { spec: { address } }: IpAllocation): number {
    const [first] = this.#given(creator, address);
    return first?.atMs ?? this.#now();
  }

  /** When writes of it were sent. */
  sentMs(creator: string, address: string): number[] {
    return (this.#facts.get(`${creator} ${address}`) ?? []).map(({ atMs }) => atMs);
  }

  /** Whether the pool had nothing else to give, as its giver knew. */
  hadNoOther(creator: string, { spec: { address, ips } }: IpAllocation): boolean {
    return this.#given(creator, address).some(({ free }) => (free.get(ips) ?? 0) === 0);
  }

  /**
   * Why the record may not be given, by each of the rules; a create that got no clear answer is sent again as it was
   * decided at first.
   */
  whyNotGiven(creator: string, record: IpAllocation): WhyNot {
    const seen = this.#given(creator, record.spec.address);
    this.#facts.delete(`${creator} ${record.spec.address}`);
    const outside = always(seen.map((each) => whyNotGiven(record, each)));
    // Before it knew of the pod it wrote of the address for other reasons.
    const knowing = seen.filter(({ pods }) => pods.some((pod) => identityOf(pod) === record.spec.owner.uid));
    const ofOrdinal = always(knowing.map((each) => whyNotOrdinals(record, each)));
    const another = ofOrdinal ?? always(knowing.map((each) => this.namespaces.whyNotItsPool(record, each)));
    const pod = knowing[0]?.pods.find((each) => identityOf(each) === record.spec.owner.uid);
    return { outside, another, asked: pod?.metadata.annotations?.[addressAnnotation] };
  }

  /** Why the address, which its node has let go of, is still to be kept for its ordinal. */
  whyToBeKept(creator: string, record: IpAllocation): string | undefined {
    const facts = this.#facts.get(`${creator} ${record.spec.address}`) ?? [];
    return always(facts.map((seen) => whyToBeKept(record, seen)));
  }

  #given(creator: string, address: string): Seen[] {
    return (this.#facts.get(`${creator} ${address}`) ?? []).filter(({ verb }) => verb !== 'delete');
  }
}

/** All that a controller sees. */
export function seenNow(atMs: number, verb: string, views: Views, book: AddressBook): Seen {
  const { pools, endpoints, nodes, pods, namespaces } = views;
  return {
    atMs,
    verb,
    records: book.records(),
    pools: pools.list(),
    endpoints: endpoints.list(),
    nodes: nodes.list(),
    pods: pods.list(),
    namespaces: namespaces.list(),
    services: book.kept.services.addresses,
    free: new Map(book.pools().map(({ name }) => [name, book.counts(name).free])),
  };
}

/** The first of the reasons, where each time there was one. */
function always(whys: ReadonlyArray<string | undefined>): string | undefined {
  return whys.includes(undefined) ? undefined : whys[0];
}

/** Why the address may not be given to the record's owner, by what its giver saw; undefined where it may. */
function whyNotGiven({ spec }: IpAllocation, seen: Seen): string | undefined {
  const { address, owner } = spec;
  const orphans = seen.endpoints.flatMap(({ status }) => status?.orphans ?? []);
  const ofOthers = orphans.find((each) => each.address === address && each.ownerUID !== owner.uid);
  if (ofOthers !== undefined) return `a wire of ${ofOthers.ownerUID} has it`;
  const wearer = seen.pods.find((pod) => pod.status?.podIP === address);
  // Whoever runs with an address keeps it, whatever became of its pool.
  if (orphans.some((each) => each.address === address) || (wearer && identityOf(wearer) === owner.uid))
    return undefined;
  const pool = seen.pools.find(({ metadata }) => metadata.name === spec.ips);
  const parsed = pool === undefined ? undefined : parsePool(pool);
  if (parsed?.kind !== 'pool') return `there is no pool ${spec.ips}`;
  if (!parsed.pool.declared.contains(parseAddress(address))) return `pool ${spec.ips} does not hold it`;
  if (seen.pools.some((each) => each.spec.subnet.split('/')[0] === address)) return 'it is a gateway';
  if (seen.nodes.some((node) => nodeAddressesOf(node).includes(address))) return "it is a node's";
  return undefined;
}
