// SPDX-License-Identifier: Apache-2.0
// What must have come true once nothing goes wrong any more: whoever can have an address has it, nothing is left over, and
// the counts equal a recount.
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import { addressAnnotation, nodePool } from '../../src/api/names.ts';
import type { Pod } from '../../src/api/workloads.ts';
import { decodeClusterPod } from '../../src/datapath/codecs.ts';
import { formatAddress, parseAddress } from '../../src/ip/address.ts';
import { parseRange } from '../../src/ip/range.ts';
import { RangeSet } from '../../src/ip/range-set.ts';
import { serviceCidrs } from '../../src/kube/resources.ts';
import {
  endpointKind,
  namespaceKind,
  nodeKind,
  podKind,
  poolKind,
  recordKind,
  statefulSetKind,
} from '../../src/operator/kinds.ts';
import { identityOf, isFinished, needOf } from '../../src/reconcilers/pod.ts';
import { parsePool } from '../../src/reconcilers/pool.ts';
import { ordinalKey, type ReservedFor, reservedForOf } from '../../src/reconcilers/stateful-set.ts';
import type { Cluster } from './cluster.ts';
import { expecting } from './gates.ts';
import type { Broken } from './judge.ts';
import type { Machine } from './machine.ts';
import { poolNamesOf } from './pool-names.ts';
import { datapathOf } from './silences.ts';
import { startMs } from './time.ts';

/** What is due is done soon. */
const graceMs = 10_000;

/** What is not as it should be, the first of each kind of look. */
export function unsettled(cluster: Cluster): Broken[] {
  const world = new Look(cluster);
  return [...world.pods(), ...world.records(), ...world.nodes(), ...world.machines(), ...world.pools()];
}

function isInHands(state: IpAllocation['spec']['state']): boolean {
  return state === 'Bound' || state === 'Releasing';
}

function isOrdinals({ spec }: IpAllocation, reservedFor: ReservedFor | undefined): boolean {
  if (spec.reservedFor === undefined || reservedFor === undefined) return false;
  return ordinalKey(spec.reservedFor) === ordinalKey(reservedFor);
}

function broken(invariant: number, text: string, ...things: string[]): Broken {
  return { invariant, text, things };
}

class Look {
  readonly #cluster: Cluster;
  readonly #records: IpAllocation[];
  readonly #pods: Pod[];
  readonly #pools: Ips[];
  readonly #services: RangeSet;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#records = cluster.server.objects(recordKind);
    this.#pods = cluster.server.objects(podKind);
    this.#pools = cluster.server.objects(poolKind);
    const cidrs = cluster.server.objects(serviceCidrs).flatMap(({ spec }) => spec?.cidrs ?? []);
    this.#services = RangeSet.of(cidrs.map(parseRange));
  }

  /** Each pod that can have an address has one, and runs with it. */
  pods(): Broken[] {
    return this.#pods.flatMap((pod) => {
      const name = `pod ${pod.metadata.namespace}/${pod.metadata.name}`;
      const identity = identityOf(pod);
      if (pod.metadata.deletionTimestamp !== undefined)
        return [broken(9, `${name} does not come to its end`, identity)];
      if (needOf(pod) === 'unscheduled') return [broken(9, `${name} is not scheduled`, identity)];
      if (needOf(pod) === 'gated') return this.#gated(pod);
      if (needOf(pod) !== 'address') return [];
      const own = this.#records.filter(({ spec }) => spec.owner.uid === identity && isInHands(spec.state));
      const [record] = own;
      if (record === undefined) {
        const fixed = pod.metadata.annotations?.[addressAnnotation];
        const [free] = this.#poolsOf(pod).flatMap((pool) =>
          this.#givable(pool, pod).filter((each) => each === (fixed ?? each)),
        );
        return free === undefined ? [] : [broken(9, `${name} has no address, and ${free} is free`, identity, free)];
      }
      const addresses = own.map(({ metadata }) => metadata.name);
      if (own.length > 1) return [broken(2, `${name} has ${own.length} records: ${addresses}`, identity, ...addresses)];
      return this.#runs(pod, record);
    });
  }

  /** Gated is who would find no address: all that his pools have are for those who were let through before. */
  #gated(pod: Pod): Broken[] {
    const isServed = (each: Pod): boolean => this.#records.some(({ spec }) => spec.owner.uid === identityOf(each));
    const fixed = pod.metadata.annotations?.[addressAnnotation];
    return this.#poolsOf(pod).flatMap((pool) => {
      const free = this.#givable(pool, pod).filter((each) => each === (fixed ?? each));
      if (free.length <= expecting(pool.metadata.name, this.#pods, isServed).length) return [];
      const text = `pod ${pod.metadata.name} is not let through, and pool ${pool.metadata.name} has ${free} free`;
      return [broken(9, text, identityOf(pod))];
    });
  }

  /** No record is left over. */
  records(): Broken[] {
    const { server } = this.#cluster;
    return this.#records.flatMap((record) => {
      const { name } = record.metadata;
      const { owner, state, nodeName } = record.spec;
      const said = `the record ${name} of ${owner.kind} ${owner.name} (${owner.uid}) on ${nodeName} is ${state}`;
      if (state === 'Releasing') return [broken(3, `${said} still`, name, owner.uid)];
      if (state === 'Reserved') {
        const because = this.#whyKeptInVain(record);
        return because === undefined ? [] : [broken(3, `${said}, and ${because}`, name, owner.uid)];
      }
      if (state !== 'Bound') return [];
      const isThere =
        owner.kind === 'Node'
          ? server.objects(nodeKind).some(({ metadata }) => metadata.uid === owner.uid)
          : this.#pods.some((pod) => identityOf(pod) === owner.uid && !isFinished(pod));
      return isThere ? [] : [broken(3, `${said}, and its owner is gone`, name, owner.uid)];
    });
  }

  /** Why an address need not be kept any more; undefined where it is to be. */
  #whyKeptInVain({ metadata: { name }, spec }: IpAllocation): string | undefined {
    const { server, time } = this.#cluster;
    const { reservedFor, stateSince, ips } = spec;
    if (reservedFor === undefined) return 'it says for nobody';
    const isThere = server.objects(statefulSetKind).some(({ metadata }) => metadata.uid === reservedFor.statefulSetUID);
    if (!isThere) return 'its set is gone';
    const others = this.#records.filter((each) => isOrdinals(each, reservedFor) && each.metadata.name !== name);
    if (others.some((each) => each.spec.state === 'Bound')) return 'its ordinal has another';
    const keptMs = (this.#pool(ips)?.spec.reservedSeconds ?? 0) * 1_000;
    return startMs + time.nowMs > Date.parse(stateSince) + keptMs + graceMs ? 'its time is over' : undefined;
  }

  /** Each node has its address, and its endpoint lists what it holds and what its agent says. */
  nodes(): Broken[] {
    const { server } = this.#cluster;
    const endpoints = server.objects(endpointKind);
    const nodes = server.objects(nodeKind);
    const gone = endpoints
      .filter(({ metadata }) => !nodes.some((node) => node.metadata.name === metadata.name))
      .map(({ metadata }) => broken(9, `the endpoint of ${metadata.name} outlives its node`, metadata.name));
    const present = nodes.flatMap(({ metadata: { name, uid = '' } }) => {
      const endpoint = endpoints.find(({ metadata }) => metadata.name === name);
      const spec = endpoint?.spec;
      const own = this.#records
        .filter(({ spec }) => spec.owner.uid === uid && isInHands(spec.state))
        .map(({ metadata }) => metadata.name);
      if (own.length !== 1) return [broken(2, `node ${name} has the addresses [${own}]`, name, ...own)];
      if (spec?.overlayAddress !== own[0])
        return [broken(9, `the endpoint of ${name} lacks its overlay address`, name)];
      const datapath = datapathOf(endpoint);
      if (datapath?.status !== 'True')
        return [broken(9, `the endpoint of ${name} says of its datapath: ${datapath?.message}`, name)];
      const held = this.#records
        .filter((record) => record.spec.nodeName === name && record.spec.state === 'Bound')
        .filter((record) => record.spec.owner.kind === 'Pod')
        .map(({ metadata }) => metadata.name);
      const listed = spec?.podAddresses ?? [];
      if (held.sort().join() === [...listed].sort().join()) return [];
      return [
        broken(9, `the endpoint of ${name} lists [${listed}], and its pods hold [${held}]`, name, ...held, ...listed),
      ];
    });
    return [...gone, ...present];
  }

  /** No machine has a wire or an entry too many or too few. */
  machines(): Broken[] {
    return this.#cluster.machines.filter((machine) => machine.isOn).flatMap((machine) => this.#machine(machine));
  }

  /** Each pool's counts are what a recount comes to. */
  pools(): Broken[] {
    return this.#pools.flatMap(({ metadata: { name, deletionTimestamp }, status }) => {
      const isNobodys = this.#records.every(({ spec }) => spec.ips !== name);
      if (deletionTimestamp !== undefined && isNobodys)
        return [broken(9, `pool ${name} is in no use and does not go`, name)];
      const parsed = parsePool(this.#pool(name) as Ips);
      if (parsed.kind !== 'pool') return [];
      const own = this.#records.filter(({ spec }) => spec.ips === name);
      const count = (...states: string[]): number => own.filter(({ spec }) => states.includes(spec.state)).length;
      const usable = this.#usable(parsed.pool.declared);
      const recount = {
        total: usable.length,
        bound: count('Bound', 'Releasing'),
        cooling: count('Cooling'),
        reserved: count('Reserved'),
        free: usable.filter((address) => !this.#isTaken(address)).length,
        outOfRange: own.filter(({ metadata }) => !usable.includes(metadata.name)).length,
      };
      const [told, counted] = [recount, status].map((counts) => {
        const { total, bound, cooling, reserved, free, outOfRange } = counts ?? {};
        return `total ${total}, bound ${bound}, cooling ${cooling}, reserved ${reserved}, free ${free}, outOfRange ${outOfRange}`;
      });
      return told === counted ? [] : [broken(8, `pool ${name} counts ${counted}; a recount comes to ${told}`, name)];
    });
  }

  #runs(pod: Pod, { metadata: { name: address }, spec, status }: IpAllocation): Broken[] {
    const identity = identityOf(pod);
    const name = `pod ${pod.metadata.namespace}/${pod.metadata.name}`;
    const machine = this.#cluster.machines.find((each) => each.name === pod.spec.nodeName);
    const isUp = [...(machine?.sandboxes.values() ?? [])].some(
      (sandbox) => sandbox.state === 'up' && sandbox.pod.identity === identity && sandbox.address === address,
    );
    if (!isUp)
      return [broken(9, `${name} does not run, and its address ${address} is ${spec.state}`, identity, address)];
    if (status?.attached?.owner.uid === identity) return [];
    return [broken(9, `${name} runs with ${address}, and its record does not say so`, identity, address)];
  }

  #machine(machine: Machine): Broken[] {
    const { name } = machine;
    const up = [...machine.sandboxes.values()].filter(({ state }) => state === 'up');
    const wanted = up.map(({ address, pod }) => `${address} ${pod.identity}`).sort();
    const found = machine.entries().map(({ address, identity }) => `${address} ${identity}`);
    if (wanted.join() !== found.sort().join()) {
      return [broken(9, `the map of ${name} has [${found}], and its pods are [${wanted}]`, ...wanted, ...found)];
    }
    const veths = [...machine.host.links.values()].filter(({ kind }) => kind === 'veth');
    if (veths.length !== up.length) {
      return [
        broken(9, `${name} has ${veths.length} wires for ${up.length} pods: ${veths.map(({ alias }) => alias)}`, name),
      ];
    }
    const others = this.#cluster.server.objects(endpointKind).filter(({ metadata }) => metadata.name !== name);
    const there = others.flatMap(({ spec }) => [...(spec.podAddresses ?? []), spec.overlayAddress ?? '']);
    const known = machine.clusterPods.contents().map((raw) => decodeClusterPod(raw).address);
    if (there.sort().join() === known.sort().join()) return [];
    return [broken(9, `${name} knows of [${known}] on other nodes, which hold [${there}]`, name)];
  }

  #pool(name: string): Ips | undefined {
    return this.#pools.find(({ metadata }) => metadata.name === name);
  }

  #poolsOf(pod: Pod): Ips[] {
    const names = poolNamesOf(pod, this.#cluster.server.objects(namespaceKind));
    const isReady = ({ metadata }: Ips): boolean =>
      metadata.deletionTimestamp === undefined && metadata.name !== nodePool;
    return names.flatMap((name) => this.#pool(name) ?? []).filter(isReady);
  }

  #free(pool: Ips): string[] {
    const parsed = parsePool(pool);
    if (parsed.kind !== 'pool') return [];
    return this.#usable(parsed.pool.declared).filter((address) => !this.#isTaken(address));
  }

  /** Free, kept for it, or at rest: with nothing else left, that is given out too. */
  #givable(pool: Ips, pod: Pod): string[] {
    const reservedFor = reservedForOf(pod);
    const { name } = pool.metadata;
    const parsed = parsePool(pool);
    const usable = parsed.kind === 'pool' ? this.#usable(parsed.pool.declared) : [];
    const resting = this.#records
      .filter(({ spec }) => spec.ips === name && spec.owner.uid !== identityOf(pod))
      .filter(
        (each) => each.spec.state === 'Cooling' || (each.spec.state === 'Reserved' && isOrdinals(each, reservedFor)),
      )
      .map(({ metadata }) => metadata.name);
    const worn = this.#pods.map(({ status }) => status?.podIP);
    return [...this.#free(pool), ...resting.filter((address) => usable.includes(address) && !worn.includes(address))];
  }

  #usable(declared: RangeSet): string[] {
    const kept = this.#pools.map(({ spec }) => spec.subnet.split('/')[0]);
    return declared
      .subtract(this.#services)
      .ranges.flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, index) => formatAddress(first + index)),
      )
      .filter((address) => !kept.includes(address));
  }

  #isTaken(address: string): boolean {
    if (this.#records.some(({ metadata }) => metadata.name === address)) return true;
    return this.#pods.some((pod) => pod.status?.podIP === address && !isFinished(pod) && parseAddress(address) > 0);
  }
}
