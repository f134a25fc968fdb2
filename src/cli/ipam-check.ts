// SPDX-License-Identifier: Apache-2.0
// `fast-ctl ipam check`: what must be true at every instant of records, pods, endpoints and maps, each breach with its
// cure. Much is on its way at any moment; a breach counts when two looks find it.
import type { IpAllocation } from '../api/generated/ip-allocation.ts';
import { desiredClusterEntries } from '../datapath/desired.ts';
import { formatAddress } from '../ip/address.ts';
import type { AddressBook } from '../reconcilers/address-book.ts';
import {
  identityOf,
  isFinished,
  isStaticIdentity,
  needOf,
  ownerOf,
  podKey,
  runningAddressOf,
  staticRestartOf,
} from '../reconcilers/pod.ts';
import { isReleased } from '../reconcilers/release.ts';
import { agentLogs, controllerLogs, deleteAgent } from './kubectl-lines.ts';
import { bookOf, type IpamObjects } from './ipam-world.ts';
import type { NodeMaps } from './node-maps.ts';
import { isRemoved } from './node-standing.ts';
import type { SandboxTroubles } from './sandbox-troubles.ts';
import { describePod, nameOf as podName, stuckPods } from './stuck-pods.ts';

export type Invariant =
  | 'addressDoubled'
  | 'twoAddresses'
  | 'podWithoutRecord'
  | 'podWithoutWire'
  | 'podStuck'
  | 'recordWithoutPod'
  | 'releaseStuck'
  | 'restOverdue'
  | 'keptAddressGiven'
  | 'poolMissing'
  | 'endpointDiffers'
  | 'mapDiffers'
  | 'countsWrong';

export interface Breach {
  readonly invariant: Invariant;
  readonly what: string;
  readonly cure: string;
}

/** DEL's grace is 30 s, a fence 60 s. */
const RELEASE_PATIENCE_MS = 120_000;
/** A new leader counts a rest once over. */
const REST_PATIENCE_MS = 120_000;

const collector = `the collector repairs it within five minutes; if not, ${controllerLogs}`;
const agentCure = (node: string): string =>
  `the agent compares every 30 s; if it stays, ${deleteAgent(node)} (running pods keep their network)`;

const counter = `the controller counts each second; if it stays, ${controllerLogs}`;
const writer = `the controller writes it within a second; if it stays, ${controllerLogs}`;
const byController: ReadonlySet<string> = new Set([collector, counter, writer]);
const nobody = 'no controller leads, so nobody repairs it; fast-ctl status says what to do';

export interface CheckedObjects extends IpamObjects {
  /** Whether a controller leads, or may. */
  readonly isLed: boolean;
  readonly troubles: SandboxTroubles;
}

export function findBreaches(objects: CheckedObjects, maps: ReadonlyMap<string, NodeMaps>, nowMs: number): Breach[] {
  const book = bookOf(objects);
  const breaches = [
    ...ofPods(objects, book, maps),
    ...ofStuckPods(objects, nowMs),
    ...ofRecords(objects, book, nowMs),
    ...ofPools(objects, book),
    ...ofEndpoints(objects),
    ...[...maps].flatMap(([node, each]) => ofMaps(objects, node, each)),
  ];
  if (objects.isLed) return breaches;
  return breaches.map((breach) => (byController.has(breach.cure) ? { ...breach, cure: nobody } : breach));
}

/** Both looks found it. */
export function inBoth(first: readonly Breach[], second: readonly Breach[]): Breach[] {
  const seen = new Set(first.map((breach) => breach.what));
  return second.filter((breach) => seen.has(breach.what));
}

function ofPods({ pods, endpoints }: IpamObjects, book: AddressBook, maps: ReadonlyMap<string, NodeMaps>): Breach[] {
  const clean = new Set(endpoints.filter(isRemoved).map(({ metadata }) => metadata.name));
  const mapped = new Map([...maps].map(([node, { local }]) => [node, new Set(local.map((each) => each.address))]));
  const breaches: Breach[] = [];
  const wearers = new Map<string, string>();
  for (const pod of pods) {
    const running = runningAddressOf(pod);
    if (running === undefined) continue;
    const [address, key] = [formatAddress(running), podKey(pod.metadata)];
    const other = wearers.get(address);
    wearers.set(address, key);
    const record = book.record(address);
    const cure = `${restart(ownerOf(pod), pod.spec.nodeName)}, so that it starts with an address of its own`;
    if (other !== undefined) {
      breaches.push({
        invariant: 'addressDoubled',
        what: `${address} is used by pod ${other} and by pod ${key}`,
        cure,
      });
    } else if (record?.spec.state === 'Bound' && record.spec.owner.uid !== identityOf(pod)) {
      const what = `pod ${key} uses ${address}, which is ${nameOf(record)}'s by its record`;
      breaches.push({ invariant: 'addressDoubled', what, cure });
    } else if (
      needOf(pod) === 'address' &&
      !book.byOwner(identityOf(pod)).some((each) => each.spec.address === address)
    ) {
      breaches.push({
        invariant: 'podWithoutRecord',
        what: `pod ${key} uses ${address} without a record`,
        cure: collector,
      });
    } else if (needOf(pod) === 'address' && pod.status?.phase === 'Running' && clean.has(pod.spec.nodeName ?? '')) {
      breaches.push({
        invariant: 'podWithoutWire',
        what: `pod ${key} runs with ${address}, and Fast was taken off ${pod.spec.nodeName}: it has no network`,
        cure: 'fast-ctl status says how to go on with the uninstall, and how to keep Fast',
      });
    } else if (
      needOf(pod) === 'address' &&
      pod.status?.phase === 'Running' &&
      !isWired(record) &&
      // Its agent says in a calm moment that a wire is there; the map has it at once.
      mapped.get(pod.spec.nodeName ?? '')?.has(address) !== true
    ) {
      // As after an uninstall and a new install, or of a static pod whose Node was away for long: its sandbox outlived its wire,
      // and only another sandbox gets one.
      breaches.push({
        invariant: 'podWithoutWire',
        what: `pod ${key} runs with ${address}, and its node has no wire of it`,
        cure: restart(ownerOf(pod), pod.spec.nodeName),
      });
    }
  }
  return breaches;
}

function ofStuckPods({ pods, records, troubles, nodes }: CheckedObjects, nowMs: number): Breach[] {
  return stuckPods(pods, records, troubles, nodes, nowMs).map(({ pod, address, says }) => {
    // Two looks compare the sentence.
    const what = `pod ${podName(pod)} with ${address}: ${says('minutes')}`;
    return { invariant: 'podStuck', what, cure: describePod(pod) };
  });
}

function restart(owner: IpAllocation['spec']['owner'], nodeName: string | undefined): string {
  return staticRestartOf(owner, nodeName) ?? `kubectl delete pod -n ${owner.namespace ?? ''} ${owner.name}`;
}

/** By its agent's word. */
function isWired(record: IpAllocation | undefined): boolean {
  return record?.status?.attached?.owner.uid === record?.spec.owner.uid;
}

function nameOf({ spec: { owner } }: IpAllocation): string {
  return `${owner.kind.toLowerCase()} ${owner.kind === 'Pod' ? podKey(owner) : owner.name}`;
}

function ofRecords({ records, pods, nodes }: IpamObjects, book: AddressBook, nowMs: number): Breach[] {
  const alive = new Set(pods.filter((pod) => !isFinished(pod)).map(identityOf));
  for (const { metadata } of nodes) alive.add(metadata.uid ?? '');
  const nodeNames = new Set(nodes.map(({ metadata }) => metadata.name));
  return records.flatMap((record) => ofRecord(record, { book, alive, nodeNames, nowMs }));
}

interface RecordWorld {
  readonly book: AddressBook;
  readonly alive: ReadonlySet<string>;
  readonly nodeNames: ReadonlySet<string>;
  readonly nowMs: number;
}

function ofRecord(record: IpAllocation, { book, alive, nodeNames, nowMs }: RecordWorld): Breach[] {
  const { address, owner, state, stateSince, nodeName, ips } = record.spec;
  const breaches: Breach[] = [];
  const sinceMs = nowMs - Date.parse(stateSince);
  const whose = nameOf(record);
  const pool = book.pool(ips);
  const bound = book.byOwner(owner.uid).filter((each) => each.spec.state === 'Bound' && !isReleased(each));
  if (state === 'Bound' && bound.length > 1 && bound[0] === record) {
    const what = `${whose} has ${bound
      .map((each) => each.spec.address)
      .sort()
      .join(' and ')}`;
    breaches.push({ invariant: 'twoAddresses', what, cure: collector });
  }
  // A static pod runs by a file; its mirror may be away for as long as its kubelet is.
  const isMirrorless = isStaticIdentity(owner.uid) && nodeNames.has(nodeName) && isWired(record);
  if (state === 'Bound' && !alive.has(owner.uid) && !isMirrorless) {
    breaches.push({
      invariant: 'recordWithoutPod',
      what: `${address} is bound to ${whose}, which is gone`,
      cure: collector,
    });
  }
  if (state === 'Releasing' && sinceMs > RELEASE_PATIENCE_MS) {
    const isThere = nodeNames.has(nodeName);
    const cure = isThere
      ? `look at the agent on ${nodeName}: ${agentLogs(nodeName)}; if the machine is off, kubectl taint node ${nodeName} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`
      : controllerLogs;
    const what = `${address} of ${whose} is not let go of by node ${nodeName}`;
    breaches.push({ invariant: 'releaseStuck', what, cure });
  }
  const restMs = { Cooling: pool?.coolDownMs, Reserved: pool?.reservedMs }[state as string];
  if (restMs !== undefined && sinceMs > restMs * 2 + REST_PATIENCE_MS) {
    const cure = `no controller leads, or its log says why: ${controllerLogs}`;
    breaches.push({ invariant: 'restOverdue', what: `${address} is ${state} for longer than pool ${ips} says`, cure });
  }
  if (pool === undefined) {
    const cure = `make the Ips ${ips} again, or delete what holds the address`;
    breaches.push({
      invariant: 'poolMissing',
      what: `${address} of ${whose} is from pool ${ips}, which cannot be read`,
      cure,
    });
  }
  return breaches;
}

const countFields = ['total', 'bound', 'cooling', 'reserved', 'free', 'outOfRange'] as const;

function ofPools({ pools, nodes, records }: IpamObjects, book: AddressBook): Breach[] {
  const own = new Map<string, string>();
  for (const { metadata, status } of nodes) {
    for (const { address } of status?.addresses ?? []) own.set(address, `node ${metadata.name}`);
  }
  for (const { name, gateway } of book.pools()) own.set(formatAddress(gateway.address), `the gateway of pool ${name}`);
  const given = records.flatMap((record): Breach[] => {
    const keeper = own.get(record.spec.address);
    if (keeper === undefined) return [];
    const { owner } = record.spec;
    const cure =
      owner.kind === 'Pod'
        ? `${restart(owner, record.spec.nodeName)}, so that it gets another`
        : `the controller gave what is not its to give: ${controllerLogs}`;
    return [
      { invariant: 'keptAddressGiven', what: `${record.spec.address} of ${nameOf(record)} is ${keeper}'s own`, cure },
    ];
  });
  const counted = pools.flatMap(({ metadata: { name }, status }): Breach[] => {
    if (book.pool(name) === undefined || status === undefined) return [];
    const counts = book.counts(name);
    const wrong = countFields.filter((field) => status[field] !== counts[field]);
    if (wrong.length === 0) return [];
    const said = wrong.map((field) => `${field} ${status[field] ?? 'nothing'}, not ${counts[field]}`);
    const what = `the status of pool ${name} says ${said.join(', ')}`;
    return [{ invariant: 'countsWrong', what, cure: counter }];
  });
  return [...given, ...counted];
}

function ofEndpoints({ endpoints, records }: IpamObjects): Breach[] {
  return endpoints.flatMap(({ metadata: { name }, spec }): Breach[] => {
    const held = records.filter((record) => {
      const { state, nodeName, owner } = record.spec;
      const isHeld = (state === 'Bound' || state === 'Releasing') && !isReleased(record);
      return isHeld && nodeName === name && owner.kind === 'Pod';
    });
    const wanted = new Set(held.map((record) => record.spec.address));
    const listed = new Set(spec.podAddresses ?? []);
    return difference(wanted, listed).map((said) => {
      return { invariant: 'endpointDiffers', what: `NodeEndpoint ${name} ${said}`, cure: writer };
    });
  });
}

function ofMaps({ endpoints, records }: IpamObjects, node: string, maps: NodeMaps): Breach[] {
  const cure = agentCure(node);
  const here = records.filter(({ spec }) => spec.nodeName === node && spec.owner.kind === 'Pod');
  const held = new Set(
    here.filter(({ spec }) => spec.state === 'Bound' || spec.state === 'Releasing').map(({ spec }) => spec.address),
  );
  const wired = new Set(
    here
      .filter(({ spec, status }) => spec.state === 'Bound' && status?.attached?.owner.uid === spec.owner.uid)
      .map(({ spec }) => spec.address),
  );
  const local = new Set(maps.local.map(({ address }) => address));
  const said = [
    ...difference(wired, local.intersection(wired)).map((each) => `local_pod_ips ${each}`),
    ...difference(held.intersection(local), local).map((each) => `local_pod_ips ${each}`),
  ];
  const desired = desiredClusterEntries(endpoints, node).entries;
  const wanted = new Set([...desired.values()].map(({ address, nodeAddress }) => `${address} at ${nodeAddress}`));
  const there = new Set(maps.cluster.map(({ address, nodeAddress }) => `${address} at ${nodeAddress}`));
  said.push(...difference(wanted, there).map((each) => `cluster_pod_ips ${each}`));
  return said.map((each) => ({ invariant: 'mapDiffers', what: `on ${node} ${each}`, cure }));
}

function difference(wanted: ReadonlySet<string>, there: ReadonlySet<string>): string[] {
  const missing = [...wanted.difference(there)].map((each) => `lacks ${each}`);
  return [...missing, ...[...there.difference(wanted)].map((each) => `has ${each}, which nobody holds there`)];
}
